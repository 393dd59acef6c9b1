"""Writes that were carried out and whose answer never came, and steps that were interrupted half way."""

from __future__ import annotations

import grpc
import pytest

from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import policy
from tests.functional.functions.test_capacity import resize


@pytest.fixture
def trial(cloud: Cloud) -> Cloud:
    """Version 2 has a tenth of the traffic."""
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    return cloud


def test_a_shift_whose_answer_was_lost_is_confirmed_not_repeated(trial: Cloud) -> None:
    trial.emulator.faults.lose_answer("UpdateEndpoint")
    trial.minutes(5, requests=0)
    assert trial.split() == {"1": 50, "2": 50}
    trial.minutes(1, requests=0)
    rollout = trial.rollout("2")
    assert (rollout.stage, rollout.shift) == (1, None)
    assert trial.decisions("2").count("advance") == 2
    assert trial.ledger("2")[-1].traffic_before is not None


def test_a_shift_that_was_recorded_and_never_made_is_made_by_the_next_step(trial: Cloud) -> None:
    trial.emulator.faults.fail("UpdateEndpoint", grpc.StatusCode.DEADLINE_EXCEEDED)
    trial.minutes(5, requests=0)
    assert trial.split() == {"1": 90, "2": 10}
    assert trial.rollout("2").shift is not None
    trial.minutes(1, requests=0)
    assert trial.split() == {"1": 50, "2": 50}
    assert trial.decisions("2").count("advance") == 2


def test_a_shift_that_was_made_while_the_store_went_away_is_written_down_later(trial: Cloud) -> None:
    trial.advance(minutes=6)
    due = {"schema": "rollout-due/v1", "rollout": trial.rollout("2").id}
    with trial.without_store():
        assert trial.wake("advance_rollout", due) == 500
    assert trial.split() == {"1": 90, "2": 10}, "nothing is moved that could not be recorded first"
    assert trial.wake("advance_rollout", due) == 200
    assert trial.split() == {"1": 50, "2": 50}


def test_a_rollback_whose_answer_was_lost_is_one_rollback(trial: Cloud) -> None:
    trial.advance(minutes=4)
    trial.emulator.faults.lose_answer("UpdateEndpoint")
    assert trial.wake("roll_back", trial.alarm(deployed_model=trial.rollout("2").deployed_id)) == 200
    assert trial.split() == {"1": 100}
    assert trial.rollout("2").phase is Phase.ROLLED_BACK
    assert trial.decisions("2").count("roll_back") == 1


def test_a_change_of_replicas_that_was_asked_for_in_vain_is_asked_for_again(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    resize(cloud, "1", 4)
    cloud.deploy("run-2")
    cloud.emulator.faults.fail("MutateDeployedModel")
    cloud.minutes(6, requests=0)
    assert cloud.split() == {"1": 90, "2": 10}
    cloud.minutes(13, requests=0)
    assert cloud.split() == {"1": 50, "2": 50}


def test_labels_that_could_not_be_released_are_released_by_the_next_step(trial: Cloud) -> None:
    trial.minutes(14, requests=0)
    assert trial.split() == {"2": 100}
    trial.advance(hours=2)
    trial.emulator.faults.fail("UpdateEndpoint", grpc.StatusCode.ABORTED)
    trial.minutes(1, requests=0)
    assert trial.rollout("2").phase is Phase.WATCHING
    trial.minutes(1, requests=0)
    assert trial.rollout("2").phase is Phase.PROMOTED
    endpoint = trial.endpoint()
    assert endpoint is not None
    assert "vr-fallback" not in endpoint.labels


def test_an_operation_that_cannot_be_read_only_delays(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.register("run-2")
    cloud.settle()
    cloud.emulator.faults.fail("GetOperation", times=None)
    cloud.minutes(3, requests=0)
    assert cloud.rollout("2").phase is Phase.DEPLOYING
    cloud.emulator.faults.clear()
    cloud.minutes(9, requests=0)
    assert cloud.split() == {"1": 90, "2": 10}
