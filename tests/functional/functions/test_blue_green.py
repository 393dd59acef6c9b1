"""Two endpoints of one target, of which clients ask one, through the real functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.cloud import LIVE_BUCKET
from local.stepped import PROJECT, REGION
from shared.policy.schema import Policy
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.live_object import OBJECT
from tests.functional.functions.policies import ENDPOINT, ERRORS, policy
from tests.functional.functions.shadows import SHADOW, behave, into_the_shadow, shadow_minutes, shadow_of

GREEN = f"{ENDPOINT}-green"


def pair(**rollout: Any) -> Policy:
    usual = {"strategy": "blue_green", "blue_green": {"ttl": "30s"}, "stages": [{"traffic": 100}], "checks": [ERRORS]}
    return policy(rollout=usual | rollout)


def live(cloud: Cloud) -> dict[str, Any]:
    """What a client reads."""
    return dict(json.loads(cloud.storage.text(LIVE_BUCKET, OBJECT)))


def answers(cloud: Cloud) -> tuple[str, str]:
    """Endpoint and version that a client would meet."""
    told = live(cloud)
    name = told["endpoint"].rpartition("/")[2]
    alone = cloud.world.endpoints.plain(cloud.rollout("1").target.__class__(PROJECT, REGION, name))
    assert alone is not None
    assert list(alone.split.values()) == [100], "the live endpoint always has one model with all of its traffic"
    held = alone.find(next(iter(alone.split)))
    assert held is not None
    assert held.version == told["version"]
    return name, held.version


def deploy(cloud: Cloud, run: str) -> None:
    """From a training run to the switch, or to the rollout's end; two endpoints are made before the first."""
    cloud.register(run)
    cloud.settle()
    version = max(cloud.versions(), key=int)
    for minutes in (0, 1, 1, 1, 10, 1, 1):
        cloud.advance(minutes=minutes)
        cloud.tick("assess_rollouts")
        cloud.settle()
        if cloud.split().get(version) or not cloud.rollout(version).phase.is_open:
            return


def serve(cloud: Cloud, number: int, errors: dict[str, float] | None = None) -> None:
    """Minutes in which clients ask whom they are told to ask."""
    for _ in range(number):
        cloud.serve_pair(300, errors or {})
        cloud.advance(minutes=1)
        assert cloud.tick("assess_rollouts") == 200
        cloud.settle()


def test_a_version_is_switched_to_on_the_other_endpoint_and_the_old_one_goes_after_the_watch(cloud: Cloud) -> None:
    cloud.apply(pair())
    deploy(cloud, "run-1")
    assert answers(cloud) == (ENDPOINT, "1")
    deploy(cloud, "run-2")
    assert cloud.rollout("2").phase is Phase.WATCHING, cloud.rollout("2").sentence
    assert answers(cloud) == (GREEN, "2")
    assert live(cloud)["ttl_seconds"] == 30
    assert "clients follow to churn-serving-green within 30s" in cloud.rollout("2").sentence
    assert cloud.split() == {"2": 100}
    old = cloud.world.endpoints.plain(cloud.rollout("2").target)
    assert old is not None
    assert [d.version for d in old.deployed] == ["1"], "who has not read it yet is still answered"
    assert list(old.split.values()) == [100]
    for _ in range(13):
        serve(cloud, 10)
    assert cloud.rollout("2").phase is Phase.PROMOTED, cloud.rollout("2").sentence
    assert cloud.tick("retire_models") == 200
    cloud.advance(minutes=5)
    old = cloud.world.endpoints.plain(cloud.rollout("2").target)
    assert old is not None
    assert not old.deployed, "the idle endpoint costs nothing"
    assert cloud.aliases() == {"default": "2", "champion": "2", "previous": "1"}
    deploy(cloud, "run-3")
    assert answers(cloud) == (ENDPOINT, "3")


def test_an_incident_in_the_watch_switches_back_in_one_write(cloud: Cloud) -> None:
    cloud.apply(pair())
    deploy(cloud, "run-1")
    deploy(cloud, "run-2")
    serve(cloud, 5)
    cloud.storage.written.clear()
    with cloud.cost() as calls:
        assert cloud.wake("roll_back", cloud.alarm(endpoint=GREEN)) == 200
    assert cloud.storage.written == [("insert", f"{LIVE_BUCKET}/{OBJECT}")]
    assert calls["UpdateEndpoint"] == 0
    assert answers(cloud) == (ENDPOINT, "1")
    assert live(cloud)["before"] == GREEN
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    cloud.settle()
    # What is said afterwards of the endpoint that lost its clients is about the version there.
    assert cloud.wake("roll_back", cloud.alarm(endpoint=GREEN)) == 200
    assert answers(cloud) == (ENDPOINT, "1")
    cloud.advance(minutes=11)
    cloud.tick("retire_models")
    cloud.advance(minutes=5)
    found = cloud.endpoint()
    assert found is not None
    assert [d.version for d in found.deployed] == ["1"]


def test_harm_that_the_watch_measures_switches_back(cloud: Cloud) -> None:
    cloud.apply(pair())
    deploy(cloud, "run-1")
    deploy(cloud, "run-2")
    assert answers(cloud) == (GREEN, "2")
    serve(cloud, 8, {"2": 0.3})
    assert answers(cloud) == (ENDPOINT, "1")
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    assert "error_rate 30 % > 1 %" in cloud.rollout("2").sentence


def in_its_shadow(cloud: Cloud) -> str:
    """v1 is live, and v2 answers what users ask v1 a second time."""
    checks = [{"metric": "error_rate", "at_most": "5%", "min_samples": 20}]
    cloud.apply(pair(shadow=SHADOW, checks=checks))
    deploy(cloud, "run-1")
    behave(cloud, "1")
    assert answers(cloud) == (ENDPOINT, "1")
    return into_the_shadow(cloud)


def test_a_version_passes_its_shadow_before_all_clients_are_switched_to_it(cloud: Cloud) -> None:
    version = in_its_shadow(cloud)
    shadow_minutes(cloud, 8)
    assert cloud.rollout(version).shadowed, cloud.rollout(version).sentence
    for minutes in (1, 3, 1, 1, 5, 6, 1, 1):
        assert answers(cloud) == (ENDPOINT, "1") or shadow_of(cloud, version) is None
        cloud.advance(minutes=minutes)
        cloud.tick("assess_rollouts")
        cloud.settle()
    assert shadow_of(cloud, version) is None
    assert answers(cloud) == (GREEN, version), cloud.rollout(version).sentence


def test_a_version_that_fails_in_its_shadow_never_meets_a_client(cloud: Cloud) -> None:
    version = in_its_shadow(cloud)
    behave(cloud, version, noise=1.5)
    shadow_minutes(cloud, 7, requests=20)
    assert cloud.rollout(version).phase is Phase.ROLLED_BACK
    assert "same_score" in cloud.rollout(version).sentence
    assert answers(cloud) == (ENDPOINT, "1")
    green = cloud.world.endpoints.plain(cloud.rollout("1").target.__class__(PROJECT, REGION, GREEN))
    assert green is not None
    assert not green.deployed, "no machine of the other endpoint was paid for"


def test_an_endpoint_with_a_canary_behind_it_becomes_one_of_two_and_clients_are_told_before(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.apply(pair())
    deploy(cloud, "run-2")
    assert answers(cloud) == (GREEN, "2")
    assert any(e.sentence.startswith("Coupled churn-serving with churn-serving-green") for e in cloud.ledger("2"))
    endpoint = cloud.world.endpoints.get(cloud.rollout("2").target)
    assert endpoint is not None
    assert endpoint.pair is not None
    assert endpoint.pair.live is not None


def test_a_rollback_during_the_deployment_of_a_newer_version_moves_that_one_to_the_other_endpoint(cloud: Cloud) -> None:
    cloud.apply(pair())
    deploy(cloud, "run-1")
    deploy(cloud, "run-2")
    serve(cloud, 5)
    cloud.register("run-3")
    cloud.settle()
    cloud.tick("assess_rollouts")
    cloud.settle()
    assert cloud.rollout("3").phase is Phase.DEPLOYING
    assert cloud.wake("roll_back", cloud.alarm(endpoint=GREEN)) == 200
    assert answers(cloud) == (ENDPOINT, "1")
    for minutes in (11, 1, 1, 11, 1, 1, 1):
        cloud.advance(minutes=minutes)
        cloud.tick("assess_rollouts")
        cloud.settle()
    assert answers(cloud) == (GREEN, "3"), cloud.rollout("3").sentence
    assert cloud.rollout("3").attempt == 2
    assert any("became live while v3 was deployed on it" in e.sentence for e in cloud.ledger("3"))


def test_without_a_bucket_it_is_refused(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVE_BUCKET")
    cloud.apply(pair())
    cloud.register("run-1")
    cloud.settle()
    for _ in range(3):
        cloud.advance(minutes=1)
        cloud.tick("assess_rollouts")
        cloud.settle()
    assert cloud.rollout("1").phase is Phase.REJECTED
    assert "LIVE_BUCKET" in cloud.rollout("1").sentence


def test_a_canary_on_one_of_two_endpoints_is_refused(cloud: Cloud) -> None:
    cloud.apply(pair())
    deploy(cloud, "run-1")
    cloud.apply(policy())
    cloud.register("run-2")
    cloud.settle()
    assert cloud.rollout("2").phase is Phase.REJECTED
    assert "is one of two endpoints (label vr-pair), and the policy says canary" in cloud.rollout("2").sentence
