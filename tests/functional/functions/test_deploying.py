"""Deployments that fail, are put off, or whose answer is lost."""

from __future__ import annotations

import grpc
import pytest

from shared import topics
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import policy


@pytest.fixture
def serving(cloud: Cloud) -> Cloud:
    """Version 1 has the traffic."""
    cloud.apply(policy())
    cloud.deploy("run-1")
    return cloud


def ids(cloud: Cloud) -> list[str]:
    """Versions that are deployed."""
    endpoint = cloud.endpoint()
    return [d.version for d in endpoint.deployed] if endpoint else []


def begin(cloud: Cloud) -> list[int]:
    """Version 2 is there, and its rollout gets its first hint; what ``advance_rollout`` answered."""
    cloud.register("run-2")
    cloud.deliver(topics.MODEL_UPLOADED)
    return cloud.deliver(topics.ROLLOUT_DUE)


def test_the_intent_is_recorded_before_the_call_and_a_lost_answer_is_found_by_what_it_made(serving: Cloud) -> None:
    serving.emulator.faults.lose_answer("DeployModel")
    assert begin(serving)[0] == 500
    rollout = serving.rollout("2")
    assert rollout.phase is Phase.DEPLOYING
    assert rollout.operation is not None
    assert (rollout.operation.name, rollout.operation.subject) == ("", rollout.deployed_id)
    deployments = serving.emulator.counts["DeployModel"]
    serving.minutes(12, requests=0)
    assert serving.split() == {"1": 90, "2": 10}
    assert serving.emulator.counts["DeployModel"] == deployments
    assert serving.rollout("2").attempt == 1


def test_a_deployment_that_never_began_is_waited_out_and_begun_again(serving: Cloud) -> None:
    serving.emulator.faults.fail("DeployModel")
    assert begin(serving)[0] == 500
    serving.advance(minutes=90)
    serving.minutes(1, requests=0)
    assert serving.rollout("2").attempt == 1, "it may still show itself"
    serving.advance(minutes=31)
    serving.minutes(1, requests=0)
    assert serving.rollout("2").attempt == 2
    serving.minutes(18, requests=0)
    assert serving.split() == {"1": 90, "2": 10}


def test_an_endpoint_whose_creation_lost_its_answer_is_found(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.emulator.faults.lose_answer("CreateEndpoint")
    cloud.deploy("run-1")
    assert cloud.split() == {"1": 100}
    assert cloud.emulator.counts["CreateEndpoint"] == 1


def test_want_of_machines_is_tried_again_with_back_off(serving: Cloud) -> None:
    serving.emulator.faults.fail_operation("DeployModel", times=2)
    begin(serving)
    serving.minutes(11, requests=0)
    rollout = serving.rollout("2")
    assert (rollout.attempt, rollout.operation) == (2, None)
    assert "CustomModelServingCPUs" in rollout.sentence
    first = rollout.not_before
    assert first is not None
    assert 0 < (first - serving.now).total_seconds() <= 300
    serving.minutes(16, requests=0)
    rollout = serving.rollout("2")
    assert rollout.attempt == 3
    assert rollout.not_before is not None
    assert (rollout.not_before - first).total_seconds() > 900, "the deployment, and twice the pause"
    for _ in range(40):
        if serving.rollout("2").stage == 0:
            break
        serving.minutes(1, requests=0)
    assert serving.split() == {"1": 90, "2": 10}
    assert serving.rollout("2").deployed_id != rollout.deployed_id, "each attempt has an id of its own"


def test_after_the_last_attempt_the_rollout_has_failed(serving: Cloud) -> None:
    serving.emulator.faults.fail_operation("DeployModel", times=None)
    begin(serving)
    serving.minutes(60, requests=0)
    rollout = serving.rollout("2")
    assert rollout.phase is Phase.FAILED
    assert rollout.sentence.startswith("Failed v2 after 3 of 3 attempts: ")
    assert serving.split() == {"1": 100}


def test_a_container_that_is_never_healthy_fails_at_once_and_leaves_nothing_behind(serving: Cloud) -> None:
    serving.emulator.faults.never_healthy()
    begin(serving)
    serving.minutes(12, requests=0)
    rollout = serving.rollout("2")
    assert (rollout.phase, rollout.attempt) == (Phase.FAILED, 1)
    assert "Model server never became ready" in rollout.sentence
    assert ids(serving) == ["1"]
    assert serving.world.store.busy(rollout.target) == ""
    assert serving.aliases() == {"default": "1", "champion": "1"}
    serving.deploy("run-3")
    assert serving.split() == {"1": 90, "3": 10}, "the next version has its turn"


def test_a_refused_deployment_fails_with_the_reason_of_vertex(serving: Cloud) -> None:
    serving.emulator.faults.fail(
        "DeployModel", grpc.StatusCode.INVALID_ARGUMENT, message="Machine type is not supported here."
    )
    assert begin(serving)[0] == 200
    assert serving.rollout("2").phase is Phase.FAILED
    assert "Machine type is not supported here." in serving.rollout("2").sentence


def test_want_of_request_quota_only_puts_off(serving: Cloud) -> None:
    serving.emulator.faults.fail("DeployModel", grpc.StatusCode.RESOURCE_EXHAUSTED, message="Too many requests.")
    assert begin(serving)[0] == 500
    rollout = serving.rollout("2")
    assert (rollout.attempt, rollout.operation) == (1, None)
    assert rollout.not_before is not None
    serving.minutes(1, requests=0)
    assert serving.rollout("2").operation is None, "not before"
    serving.minutes(13, requests=0)
    assert serving.split() == {"1": 90, "2": 10}
    assert serving.rollout("2").attempt == 1


def test_a_rollout_is_refused_where_several_models_hold_the_traffic(serving: Cloud) -> None:
    serving.deploy("run-2")
    serving.minutes(12, requests=0)
    serving.advance(hours=3)
    serving.minutes(1, requests=0)
    assert serving.rollout("2").phase is Phase.PROMOTED
    serving.move({"1": 50, "2": 50})
    serving.deploy("run-3")
    rollout = serving.rollout("3")
    assert rollout.phase is Phase.REJECTED
    assert "several models hold traffic" in rollout.sentence
    assert ids(serving) == ["1", "2"]
    assert serving.split() == {"1": 50, "2": 50}


def test_a_version_that_is_gone_when_it_is_deployed_fails_with_the_reason(serving: Cloud) -> None:
    serving.emulator.faults.fail("DeployModel", grpc.StatusCode.NOT_FOUND, message="the model version is gone")
    begin(serving)
    rollout = serving.rollout("2")
    assert rollout.phase is Phase.FAILED
    assert "the model version is gone" in rollout.sentence
    assert serving.world.store.busy(rollout.target) == ""
