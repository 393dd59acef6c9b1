"""The whole life of a version, each event delivered by hand."""

from __future__ import annotations

from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import judged, policy


def test_the_first_version_gets_an_endpoint_and_all_the_traffic(cloud: Cloud) -> None:
    cloud.apply(judged())
    assert cloud.endpoint() is None
    cloud.deploy("run-1")
    assert cloud.split() == {"1": 100}
    rollout = cloud.rollout("1")
    assert (rollout.phase, rollout.stable_id) == (Phase.WATCHING, "")
    assert cloud.decisions("1") == ["start", "operate", "start", "promote"]
    assert cloud.aliases() == {"default": "1", "champion": "1"}


def test_a_good_version_walks_up_to_all_traffic_and_is_promoted_after_the_watch(cloud: Cloud) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    assert cloud.split() == {"1": 90, "2": 10}
    assert cloud.aliases() == {"default": "1", "champion": "1", "candidate": "2"}
    cloud.minutes(4)
    assert cloud.split() == {"1": 90, "2": 10}, "the stage has not baked yet"
    cloud.minutes(4)
    assert cloud.split() == {"1": 50, "2": 50}
    cloud.minutes(8)
    assert cloud.split() == {"2": 100}
    assert cloud.rollout("2").phase is Phase.WATCHING
    assert cloud.aliases() == {"default": "2", "champion": "2", "previous": "1"}
    endpoint = cloud.endpoint()
    assert endpoint is not None
    assert endpoint.labels["vr-fallback"] == cloud.rollout("1").deployed_id
    cloud.advance(minutes=110)
    cloud.minutes(12)
    assert cloud.rollout("2").phase is Phase.PROMOTED
    assert cloud.decisions("2") == ["start", "start", "advance", "advance", "promote", "finish"]
    endpoint = cloud.endpoint()
    assert endpoint is not None
    assert "vr-fallback" not in endpoint.labels
    assert endpoint.labels["vr-stable"] == cloud.rollout("2").deployed_id


def test_each_advance_is_in_the_ledger_with_numbers_and_both_splits(cloud: Cloud) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(8)
    v1, v2 = cloud.rollout("1").deployed_id, cloud.rollout("2").deployed_id
    entry = cloud.ledger("2")[-1]
    assert (entry.decision, entry.actor, entry.stage) == ("advance", "advance_rollout", 1)
    assert entry.traffic_before == {v1: 90, v2: 10}
    assert entry.traffic_after == {v1: 50, v2: 50}
    assert "error_rate 0 % <= 1 %" in entry.sentence
    assert entry.checks[0].samples >= 50
    assert entry.event.startswith("m")


def test_a_bad_version_is_rolled_back_at_ten_percent_with_the_numbers(cloud: Cloud) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(6, errors={"2": 0.3})
    assert cloud.split() == {"1": 100}
    rollout = cloud.rollout("2")
    assert rollout.phase is Phase.ROLLED_BACK
    entry = cloud.ledger("2")[-1]
    assert (entry.decision, entry.actor, entry.severity) == ("roll_back", "roll_back", "error")
    assert "error_rate 30 % > 1 %" in entry.sentence
    assert entry.began_at is not None
    endpoint = cloud.endpoint()
    assert endpoint is not None
    assert endpoint.labels["vr-closed"] == rollout.id
    assert cloud.aliases() == {"default": "1", "champion": "1"}


def test_harm_in_the_watch_gives_all_the_traffic_to_the_fallback(cloud: Cloud) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(16)
    assert cloud.split() == {"2": 100}
    cloud.minutes(8, errors={"2": 0.2})
    assert cloud.split() == {"1": 100}
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    assert cloud.aliases() == {"default": "1", "champion": "1"}


def test_without_checks_a_stage_advances_by_its_bake_time(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(6, requests=0)
    assert cloud.split() == {"1": 50, "2": 50}
    assert "listTimeSeries" not in cloud.counted()


def test_the_same_events_again_change_nothing(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.minutes(1)
    before, uploads = cloud.rollout("1"), cloud.emulator.counts["UploadModel"]
    assert cloud.wake("register_model", cloud.train("run-1")) == 200
    cloud.settle()
    version = {"schema": "model-uploaded/v1", "project": "local-project", "region": "us-central1", "model": "churn"}
    assert cloud.wake("start_rollout", version | {"version": "1"}) == 200
    cloud.settle()
    assert cloud.emulator.counts["UploadModel"] == uploads
    assert cloud.rollout("1") == before
    assert list(cloud.versions()) == ["1"]


def test_a_rollout_keeps_the_policy_that_it_started_with(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.apply(policy(rollout={"stages": [{"traffic": 25, "bake": "1h"}, {"traffic": 100}]}))
    cloud.minutes(6, requests=0)
    assert cloud.split() == {"1": 50, "2": 50}
    cloud.minutes(6, requests=0)
    assert cloud.split() == {"2": 100}
    cloud.deploy("run-3")
    assert cloud.split() == {"2": 75, "3": 25}
