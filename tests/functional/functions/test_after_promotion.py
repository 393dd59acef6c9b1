"""After a promotion: the way back at full strength, then less of it, then none; and old versions leave the registry."""

from __future__ import annotations

import statistics
import time

import grpc
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.aiplatform_v1.services.prediction_service.client import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import PredictionServiceGrpcTransport

from local.identity import Issuer
from local.stepped import PARENT
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ENDPOINT, MODEL, policy
from tests.functional.functions.test_capacity import deployed, under_load

PEAK = 90.0
"""Requests per real second, at most: three replicas carry 120 before they slow down, one carries 40."""


def promoted(cloud: Cloud) -> None:
    """Version 2 has all the traffic, version 1 is the fallback with the three replicas that load gave it."""
    under_load(cloud)
    cloud.minutes(16, requests=0)
    assert cloud.split() == {"2": 100}


def retire(cloud: Cloud) -> None:
    assert cloud.tick("retire_models") == 200
    cloud.advance(minutes=3)


def peak(cloud: Cloud, minutes: int, requests: int = 60) -> tuple[int, int, float]:
    """What users see at peak load: requests, failures, and the P95 in milliseconds."""
    failures, took = 0, []
    with grpc.insecure_channel(cloud.address) as channel:
        predictions = PredictionServiceClient(transport=PredictionServiceGrpcTransport(channel=channel))
        for _ in range(minutes):
            for _ in range(requests):
                begun = time.perf_counter()
                try:
                    predictions.predict(endpoint=f"{PARENT}/endpoints/{ENDPOINT}", instances=[{"x": 1}], timeout=30)
                except GoogleAPICallError:
                    failures += 1
                took.append(time.perf_counter() - begun)
                time.sleep(max(0.0, 1 / PEAK - took[-1]))
            cloud.minutes(1, requests=0)
    return len(took), failures, statistics.quantiles(took, n=20)[-1] * 1000


def test_the_fallback_shrinks_after_its_hold_goes_after_the_watch_and_old_versions_are_deleted(
    cloud: Cloud, signed: Issuer
) -> None:
    promoted(cloud)
    retire(cloud)
    assert (deployed(cloud, "1").min_replicas, deployed(cloud, "1").available_replicas) == (3, 3), "within its hold"
    cloud.advance(minutes=60)
    retire(cloud)
    assert deployed(cloud, "1").min_replicas == 1
    said = [e.sentence for e in cloud.world.store.ledger(model=MODEL) if e.actor == "retire_models"]
    assert any("back to 1 replicas at least, 1h after the last change of traffic" in s for s in said)
    cloud.advance(hours=1)
    cloud.minutes(1, requests=0)
    assert cloud.rollout("2").phase is Phase.PROMOTED
    cloud.advance(minutes=11)
    retire(cloud)
    endpoint = cloud.endpoint()
    assert endpoint is not None
    assert [d.version for d in endpoint.deployed] == ["2"]
    cloud.apply(policy(retention={"keep": 1, "after": "1d"}))
    cloud.register("run-3")  # the newest; `previous` is still at v1
    cloud.settle()
    cloud.advance(days=2)
    retire(cloud)
    assert sorted(cloud.versions()) == ["1", "2", "3"], "one has an alias, one is deployed, one is the newest"


def test_a_rollback_at_peak_load_into_the_fallback_fails_no_request(cloud: Cloud, signed: Issuer) -> None:
    promoted(cloud)
    cloud.tell("abort", "2", reason="complaints at noon")
    assert cloud.split() == {"1": 100}
    sent, failures, p95 = peak(cloud, minutes=5)
    shown = f"rolled back into {deployed(cloud, '1').available_replicas} replicas at {PEAK:g} requests/s: "
    print(f"{shown}{failures} of {sent} requests failed in the five minutes after, P95 {p95:.1f} ms")
    assert failures == 0
    assert sent == 300
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK


def test_a_newer_version_in_the_watch_and_a_lost_answer_leave_one_way_back_at_every_moment(cloud: Cloud) -> None:
    """GIVEN a watch WHEN the answer of the shrinking is lost, a process dies and a newer version comes THEN a rollback always has its heir."""
    promoted(cloud)
    cloud.advance(minutes=61)
    cloud.emulator.faults.lose_answer("MutateDeployedModel")
    with cloud.cost() as calls:
        retire(cloud)
        cloud.open()  # another process: nothing is remembered but what is stored
        retire(cloud)
    assert deployed(cloud, "1").min_replicas == 1
    assert calls["MutateDeployedModel"] == 1
    cloud.deploy("run-3")
    cloud.minutes(1, requests=0)
    assert cloud.split() == {"2": 90, "3": 10}
    assert cloud.rollout("2").phase is Phase.PROMOTED, "its watch ends with the first share of a newer version"
    cloud.advance(minutes=4)
    assert cloud.wake("roll_back", cloud.alarm(deployed_model=cloud.rollout("3").deployed_id)) == 200
    assert cloud.split() == {"2": 100}, "not the fallback of the watch before: the stable of the trial"
    cloud.advance(minutes=15)
    retire(cloud)
    cloud.advance(minutes=35)
    retire(cloud)
    endpoint = cloud.endpoint()
    assert endpoint is not None
    assert [d.version for d in endpoint.deployed] == ["2"]


def test_versions_beyond_the_retention_go_and_what_a_person_keeps_stays(cloud: Cloud, signed: Issuer) -> None:
    """GIVEN five old versions WHEN a person has deployed one elsewhere, named one, and a tick dies THEN only the others go, once."""
    cloud.apply(policy(retention={"keep": 1, "after": "30d"}))
    for number in range(5):
        cloud.upload(new=number == 0)
    cloud.published("model-uploaded")
    cloud.models.merge_version_aliases(name=f"{PARENT}/models/{MODEL}@2", version_aliases=["kept"])
    cloud.endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": "elsewhere"}, endpoint_id="elsewhere")
    cloud.advance(minutes=2)
    resources = {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1, "max_replica_count": 1}
    cloud.endpoints.deploy_model(
        endpoint=f"{PARENT}/endpoints/elsewhere",
        deployed_model={"model": f"{PARENT}/models/{MODEL}@3", "dedicated_resources": resources},
        traffic_split={"0": 100},
    )
    cloud.advance(minutes=15)
    retire(cloud)
    assert len(cloud.versions()) == 5, "too young"
    cloud.advance(days=31)
    cloud.open()  # another process than the one before: nothing is remembered but what is stored
    retire(cloud)
    retire(cloud)
    # 1 is the default, 2 has a name, 3 is deployed, 5 is the newest.
    assert sorted(cloud.versions()) == ["1", "2", "3", "5"]
    told = [e.sentence for e in cloud.world.store.ledger(model=MODEL) if e.decision == "delete"]
    assert told == ["Deleted v4: 31d old >= 30d, and 1 newer ones stay"]
    assert cloud.emulator.counts["DeleteModelVersion"] == 1
