"""What nothing needs any more is undeployed, and never a model with traffic."""

from __future__ import annotations

import pytest

from local.identity import Issuer
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import policy
from tests.functional.functions.test_capacity import deployed, resize, under_load


def retire(cloud: Cloud) -> None:
    """A tick of its own, and the time that an undeployment takes."""
    assert cloud.tick("retire_models") == 200
    cloud.advance(minutes=3)


def versions(cloud: Cloud) -> list[str]:
    endpoint = cloud.endpoint()
    return [d.version for d in endpoint.deployed] if endpoint else []


@pytest.fixture
def trial(cloud: Cloud, signed: Issuer) -> Cloud:
    """Version 2 has a tenth of the traffic."""
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    return cloud


def test_nothing_is_retired_during_a_trial_or_a_watch(trial: Cloud) -> None:
    retire(trial)
    trial.tell("promote", "2")
    trial.tell("promote", "2")
    retire(trial)
    assert versions(trial) == ["1", "2"]
    assert trial.emulator.counts["UndeployModel"] == 0


def test_the_fallback_is_undeployed_after_the_watch(trial: Cloud) -> None:
    trial.tell("promote", "2")
    trial.tell("promote", "2")
    trial.advance(minutes=119)
    retire(trial)
    assert versions(trial) == ["1", "2"]
    trial.minutes(1, requests=0)
    trial.advance(minutes=11)
    retire(trial)
    assert versions(trial) == ["2"]
    entry = next(e for e in trial.ledger("1") if e.decision == "operate" and "Undeployed" in e.sentence)
    assert entry.actor == "retire_models"
    assert "its watch is over" in entry.sentence


def test_a_rolled_back_candidate_stays_for_its_logs_and_is_then_undeployed(trial: Cloud) -> None:
    trial.tell("abort", "2")
    retire(trial)
    assert versions(trial) == ["1", "2"]
    trial.advance(minutes=11)
    retire(trial)
    assert versions(trial) == ["1"]


def test_one_undeployment_is_asked_for_once(trial: Cloud) -> None:
    trial.tell("abort", "2")
    trial.advance(minutes=11)
    for _ in range(3):
        assert trial.tick("retire_models") == 200
    assert trial.emulator.counts["UndeployModel"] == 1


def test_a_model_with_traffic_is_never_undeployed(trial: Cloud) -> None:
    trial.tell("abort", "2")
    trial.move({"1": 99, "2": 1})
    trial.advance(hours=5)
    retire(trial)
    assert versions(trial) == ["1", "2"]
    assert trial.emulator.counts["UndeployModel"] == 0


def test_a_refused_undeployment_is_asked_for_again_later(trial: Cloud) -> None:
    trial.tell("abort", "2")
    trial.advance(minutes=11)
    trial.emulator.faults.fail_operation("UndeployModel")
    retire(trial)
    assert versions(trial) == ["1", "2"]
    trial.advance(minutes=31)
    retire(trial)
    assert versions(trial) == ["1"]


def test_the_fallback_keeps_its_strength_for_the_hold_and_then_shrinks(cloud: Cloud, signed: Issuer) -> None:
    under_load(cloud)
    cloud.minutes(24, requests=0)
    assert cloud.split() == {"2": 100}
    assert (deployed(cloud, "1").min_replicas, deployed(cloud, "2").min_replicas) == (3, 3)
    cloud.advance(minutes=40)
    retire(cloud)
    assert deployed(cloud, "1").min_replicas == 3
    cloud.advance(minutes=20)
    retire(cloud)
    assert (deployed(cloud, "1").min_replicas, deployed(cloud, "2").min_replicas) == (1, 3)
    assert "v1 back to 1 replicas at least" in " ".join(e.sentence for e in cloud.ledger("1"))


def test_after_the_watch_the_promoted_version_has_its_usual_minimum(cloud: Cloud, signed: Issuer) -> None:
    under_load(cloud)
    cloud.minutes(24, requests=0)
    cloud.advance(hours=2)
    cloud.minutes(1, requests=0)
    cloud.advance(hours=1)
    retire(cloud)
    assert versions(cloud) == ["2"]
    assert deployed(cloud, "2").min_replicas == 1


def test_the_replicas_of_a_person_are_left_alone(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    resize(cloud, "1", 2)
    cloud.advance(hours=5)
    retire(cloud)
    assert deployed(cloud, "1").min_replicas == 2


def test_a_deployment_that_lost_its_turn_is_undeployed(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.register("run-2")
    cloud.settle()
    cloud.tell("abort", "2")
    cloud.advance(minutes=25)
    retire(cloud)
    assert versions(cloud) == ["1"]


def test_observing_retires_nothing(trial: Cloud) -> None:
    trial.tell("abort", "2")
    trial.apply(policy(mode="observe"))
    trial.advance(minutes=30)
    retire(trial)
    assert versions(trial) == ["1", "2"]


def test_an_endpoint_that_the_policy_no_longer_names_is_tidied_too(trial: Cloud) -> None:
    trial.tell("promote", "2")
    trial.apply(policy(targets=[{"region": "us-central1", "endpoint": "churn-elsewhere"}]))
    trial.tell("promote", "2")
    trial.advance(minutes=121)
    trial.minutes(1, requests=0)
    assert trial.rollout("2").phase is Phase.PROMOTED, "a rollout keeps the policy that it started with, to its end"
    trial.advance(minutes=11)
    retire(trial)
    assert versions(trial) == ["2"]
