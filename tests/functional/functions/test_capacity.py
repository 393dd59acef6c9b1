"""Capacity before share: who gets traffic has the machines for it, and who gives it away keeps them."""

from __future__ import annotations

import contextlib

import grpc
from google.api_core.exceptions import ServiceUnavailable
from google.cloud.aiplatform_v1.services.prediction_service.client import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import PredictionServiceGrpcTransport

from local.identity import Issuer
from local.stepped import PARENT
from shared.rollout.observed import DeployedModel
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ENDPOINT, policy


def resize(cloud: Cloud, version: str, minimum: int) -> None:
    """Somebody, or load, changes how many replicas a version has."""
    resources = {"min_replica_count": minimum, "max_replica_count": 4}
    cloud.endpoints.mutate_deployed_model(
        endpoint=f"{PARENT}/endpoints/{ENDPOINT}",
        deployed_model={"id": cloud.rollout(version).deployed_id, "dedicated_resources": resources},
        update_mask={"paths": ["dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count"]},
    )
    cloud.advance(seconds=61)


def deployed(cloud: Cloud, version: str) -> DeployedModel:
    endpoint = cloud.endpoint()
    assert endpoint is not None
    return next(d for d in endpoint.deployed if d.version == version)


def test_the_candidate_has_its_replicas_before_it_has_the_share(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    resize(cloud, "1", 4)
    cloud.deploy("run-2")
    assert cloud.split() == {"1": 90, "2": 10}
    assert deployed(cloud, "2").min_replicas == 1, "a tenth of four replicas is one"
    cloud.minutes(6, requests=0)
    assert cloud.split() == {"1": 90, "2": 10}, "the replicas were only asked for"
    assert cloud.decisions("2")[-1] == "operate"
    cloud.minutes(4, requests=0)
    assert deployed(cloud, "2").available_replicas == 2
    assert cloud.split() == {"1": 50, "2": 50}
    cloud.minutes(10, requests=0)
    assert deployed(cloud, "2").available_replicas == 4
    assert cloud.split() == {"2": 100}
    assert "2 replicas for 50 % of what 4 carry now" in " ".join(e.sentence for e in cloud.ledger("2"))


def under_load(cloud: Cloud) -> None:
    """Version 2 has a tenth of the traffic, and version 1 three replicas because of what it serves."""
    container = {"image": "sim/churn:1", "env": {"SIM_CAPACITY_RPS": "50", "SIM_LATENCY_MS": "0"}}
    cloud.apply(policy(register={"from": {"message": True}, "container": container}))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    with grpc.insecure_channel(cloud.address) as channel:
        predictions = PredictionServiceClient(transport=PredictionServiceGrpcTransport(channel=channel))
        for _ in range(3):
            for _ in range(25):  # more than one replica carries: at 200 compressed seconds per second a minute is 0.3 s
                with contextlib.suppress(ServiceUnavailable):
                    predictions.predict(endpoint=f"{PARENT}/endpoints/{ENDPOINT}", instances=[{"x": 1}], timeout=10)
            cloud.minutes(1, requests=0)


def test_the_stable_keeps_the_replicas_that_load_gave_it(cloud: Cloud) -> None:
    under_load(cloud)
    stable = deployed(cloud, "1")
    assert (stable.min_replicas, stable.available_replicas) == (1, 3)
    cloud.minutes(4, requests=0)
    assert deployed(cloud, "1").min_replicas == 3
    assert cloud.rollout("2").pinned[stable.id] == 1
    cloud.minutes(20, requests=0)
    assert cloud.split() == {"2": 100}
    assert deployed(cloud, "1").available_replicas == 3, (
        "although nothing was served for longer than it needs to shrink"
    )


def test_replicas_that_are_refused_for_a_while_only_delay(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    resize(cloud, "1", 4)
    cloud.deploy("run-2")
    cloud.emulator.faults.fail_operation("MutateDeployedModel")
    cloud.minutes(8, requests=0)
    assert "asked for again at" in cloud.rollout("2").sentence
    cloud.minutes(10, requests=0)
    assert cloud.split() == {"1": 50, "2": 50}
    assert cloud.rollout("2").resizes_failed == 0


def test_a_change_of_replicas_that_is_refused_again_and_again_pauses_with_the_reason(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    resize(cloud, "1", 4)
    cloud.deploy("run-2")
    cloud.emulator.faults.fail_operation("MutateDeployedModel", times=3)
    cloud.minutes(40, requests=0)
    rollout = cloud.rollout("2")
    assert rollout.hold is not None
    assert "quotas are exceeded" in rollout.sentence
    assert cloud.split() == {"1": 90, "2": 10}


def test_a_raise_whose_answer_is_lost_is_made_once_and_the_share_waits_for_it(cloud: Cloud) -> None:
    """GIVEN a shift that needs replicas WHEN the answer of the call is lost and the process dies THEN nobody has the share before them."""
    cloud.apply(policy())
    cloud.deploy("run-1")
    resize(cloud, "1", 4)
    cloud.deploy("run-2")
    candidate = cloud.rollout("2").deployed_id
    cloud.emulator.faults.lose_answer("MutateDeployedModel")
    with cloud.cost() as calls:
        cloud.minutes(6, requests=0)
        assert cloud.split() == {"1": 90, "2": 10}
        operation = cloud.rollout("2").operation
        assert operation is not None
        assert (operation.kind, operation.name) == ("set_replicas", ""), "the intent is there, the name is lost"
        cloud.open()  # another process: nothing is remembered but what is stored
        cloud.minutes(11, requests=0)
        assert cloud.split() == {"1": 50, "2": 50}
    assert calls["MutateDeployedModel"] == 1
    halves = [s for s in cloud.emulator.history.of(ENDPOINT) if s.traffic_split.get(candidate) == 50]
    assert halves
    assert all(model.replicas >= 2 for s in halves for model in s.deployed if model.id == candidate)


def test_after_a_rollback_the_stable_keeps_its_strength_for_the_hold_and_is_then_lowered(
    cloud: Cloud, signed: Issuer
) -> None:
    under_load(cloud)
    cloud.minutes(4, requests=0)
    assert deployed(cloud, "1").min_replicas == 3
    cloud.tell("abort", "2", reason="complaints")
    assert cloud.split() == {"1": 100}
    cloud.advance(minutes=50)
    cloud.tick("retire_models")
    assert deployed(cloud, "1").min_replicas == 3
    cloud.advance(minutes=11)
    cloud.tick("retire_models")
    cloud.advance(minutes=3)
    endpoint = cloud.endpoint()
    assert endpoint is not None
    assert [(d.version, d.min_replicas) for d in endpoint.deployed] == [("1", 1)]
