"""Several versions at once: who waits, who gives way, and who has which alias."""

from __future__ import annotations

from dataclasses import replace

from local.stepped import PROJECT
from shared.actions.aliasing import RECENT, recent_rollouts
from shared.actions.record import Telling, ledger_entry
from shared.rollout.aliases import desired_aliases
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import MODEL, policy


def on_trial(cloud: Cloud, supersede: str) -> None:
    """Version 2 has a tenth of the traffic, and version 3 is there."""
    cloud.apply(policy(rollout={"supersede": supersede}))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.register("run-3")
    cloud.settle()


def test_a_newer_version_waits_for_the_trial_to_end(cloud: Cloud) -> None:
    on_trial(cloud, "queue")
    cloud.minutes(3, requests=0)
    assert cloud.split() == {"1": 90, "2": 10}
    assert cloud.rollout("3").phase is Phase.QUEUED
    cloud.minutes(12, requests=0)
    assert cloud.split() == {"2": 100}, "a watch is not a trial, so version 3 is being deployed"
    assert cloud.rollout("3").phase is Phase.DEPLOYING
    cloud.minutes(8, requests=0)
    assert cloud.split() == {"2": 90, "3": 10}
    assert cloud.rollout("2").phase is Phase.PROMOTED
    assert cloud.rollout("2").sentence == "Ended the watch of v2: v3 has its first share of the traffic"
    assert cloud.aliases() == {"default": "2", "champion": "2", "previous": "1", "candidate": "3"}


def test_a_newer_version_replaces_the_trial(cloud: Cloud) -> None:
    on_trial(cloud, "replace")
    assert cloud.split() == {"1": 100}
    superseded = cloud.rollout("2")
    assert superseded.phase is Phase.SUPERSEDED
    assert "v3 is newer" in " ".join(e.sentence for e in cloud.ledger("2"))
    cloud.minutes(13, requests=0)
    assert cloud.split() == {"1": 90, "3": 10}
    assert cloud.aliases() == {"default": "1", "champion": "1", "candidate": "3"}


def test_a_newer_version_replaces_one_that_is_still_being_deployed(cloud: Cloud) -> None:
    cloud.apply(policy(rollout={"supersede": "replace"}))
    cloud.deploy("run-1")
    cloud.register("run-2")
    cloud.settle()
    cloud.minutes(2, requests=0)
    cloud.register("run-3")
    cloud.settle()
    cloud.minutes(2, requests=0)
    assert cloud.rollout("2").phase is Phase.SUPERSEDED
    cloud.minutes(12, requests=0)
    assert cloud.split() == {"1": 90, "3": 10}


def test_a_newer_version_is_rejected_where_the_policy_says_so(cloud: Cloud) -> None:
    on_trial(cloud, "reject")
    rollout = cloud.rollout("3")
    assert rollout.phase is Phase.REJECTED
    assert "is on trial, and the policy rejects what comes meanwhile" in rollout.sentence
    assert cloud.split() == {"1": 90, "2": 10}


def test_a_foreign_upload_that_took_default_has_it_given_back(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.minutes(1, requests=0)
    cloud.upload(version_aliases=["default"])
    assert cloud.aliases() == {"default": "2", "champion": "1"}
    cloud.settle()
    cloud.minutes(1, requests=0)
    assert cloud.aliases() == {"default": "1", "champion": "1", "candidate": "2"}
    said = cloud.ledger("2")[0].sentence
    assert "uploaded by developer@example.com" in said
    assert "took `default` from the champion v1, which gets it back" in said


def test_aliases_are_given_again_until_they_stand(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.emulator.faults.fail("MergeVersionAliases", times=3)
    cloud.deploy("run-2")
    cloud.minutes(4, requests=0)
    assert cloud.aliases() == {"default": "1", "champion": "1", "candidate": "2"}
    assert not cloud.rollout("2").aliases_due


def test_two_uploads_of_one_run_are_one_rollout(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.register("run-1")
    cloud.settle()
    cloud.upload(labels=dict(cloud.versions()["1"].labels))
    cloud.settle()
    assert list(cloud.versions()) == ["1", "2"]
    assert [r.version for r in cloud.world.store.rollouts_of_model("churn")] == ["1"]


def test_a_second_target_waits_for_the_first(cloud: Cloud) -> None:
    targets = [{"region": "us-central1", "endpoint": name} for name in ("churn-serving", "churn-batch")]
    cloud.apply(policy(targets=targets))
    cloud.register("run-1")
    cloud.settle()
    cloud.minutes(14, requests=0)
    assert cloud.split() == {"1": 100}
    assert cloud.split("churn-batch") == {}
    assert "champion" not in cloud.aliases(), "not before the last target"
    cloud.advance(hours=2)
    cloud.minutes(14, requests=0)
    assert cloud.split("churn-batch") == {"1": 100}
    assert cloud.aliases() == {"default": "1", "champion": "1"}


def test_a_failure_on_the_first_target_spares_the_second(cloud: Cloud) -> None:
    targets = [{"region": "us-central1", "endpoint": name} for name in ("churn-serving", "churn-batch")]
    cloud.apply(policy(targets=targets))
    cloud.emulator.faults.never_healthy()
    cloud.register("run-1")
    cloud.settle()
    cloud.minutes(14, requests=0)
    first, second = sorted(cloud.world.store.rollouts_of_model("churn"), key=lambda r: r.target_index)
    assert (first.phase, second.phase) == (Phase.FAILED, Phase.REJECTED)
    assert "Model server never became ready" in second.sentence
    assert cloud.emulator.counts["DeployModel"] == 1


def test_an_older_version_that_arrives_late_is_superseded(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.register("run-1")
    cloud.published("model-uploaded")
    cloud.deploy("run-2")
    assert cloud.split() == {"2": 100}
    version = {"schema": "model-uploaded/v1", "project": "local-project", "region": "us-central1", "model": "churn"}
    assert cloud.wake("start_rollout", version | {"version": "1"}) == 200
    cloud.settle()
    assert cloud.rollout("1").phase is Phase.SUPERSEDED
    assert cloud.split() == {"2": 100}


def test_a_version_in_another_region_is_not_delivered_and_the_ledger_says_why(cloud: Cloud) -> None:
    cloud.apply(policy(targets=[{"region": "europe-west4", "endpoint": "churn-serving"}]))
    cloud.upload(new=True)
    cloud.advance(minutes=2)
    event = {"schema": "model-uploaded/v1", "project": PROJECT, "region": "us-central1", "model": MODEL, "version": "1"}
    assert [cloud.wake("start_rollout", event) for _ in range(2)] == [200, 200]
    (entry,) = cloud.world.store.ledger(model=MODEL)
    assert (entry.decision, entry.severity, entry.rollout) == ("note", "warning", "")
    assert entry.sentence == (
        "Not delivered: churn v1 is in us-central1, the policy's first target is in europe-west4;"
        " a version is registered where that is, and copied to the others"
    )


def test_the_champion_is_known_behind_any_number_of_rejected_versions(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.advance(hours=1)
    champion = cloud.rollout("1")
    for number in range(2, 2 + RECENT):
        rejected = replace(
            champion, id=f"churn-v{number}-aaaaaa", version=str(number), phase=Phase.REJECTED, updated_at=cloud.now
        )
        assert cloud.world.store.create_rollout(rejected, ledger_entry(rejected, Telling("reject", "no"), cloud.now))
    found = recent_rollouts(cloud.world, MODEL, 1)
    assert desired_aliases(found, 1)["champion"] == "1"
