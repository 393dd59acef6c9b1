"""A deployment's life against the local Vertex AI; the requests themselves are pinned in ``test_endpoints_on_the_wire``."""

from __future__ import annotations

import pytest

from shared.errors import ConflictError, NotFoundError, RefusedError, TransientError
from shared.policy.schema import Machine, Target
from shared.rollout.labels import ARM_OF, PAIR, STICKY
from shared.rollout.observed import Endpoint, TargetRef
from shared.vertex.endpoints import DeploySpec
from tests.contract.vertex.local_vertex import PROJECT, REGION, LocalVertex
from tests.contract.vertex.test_registry import second, upload

REF = TargetRef(PROJECT, REGION, "serving")
TARGET = Target(region=REGION, endpoint="serving")
MACHINE = Machine.model_validate({"type": "n1-standard-4", "replicas": {"min": 1, "max": 5}})


def create(vertex: LocalVertex) -> Endpoint:
    operation = vertex.endpoints.create(REF, TARGET, {"team": "search"})
    assert vertex.finish(operation).result == "serving"
    return read(vertex)


def read(vertex: LocalVertex) -> Endpoint:
    endpoint = vertex.endpoints.get(REF)
    assert endpoint is not None
    return endpoint


def deploy(vertex: LocalVertex, deployed_id: str, version: str, replicas: int = 1) -> None:
    spec = DeploySpec(deployed_id, PROJECT, REGION, "relevance", version, f"v{version}", MACHINE, None, False, replicas)
    assert vertex.finish(vertex.endpoints.deploy(REF, spec)).result == deployed_id


def two_versions(vertex: LocalVertex) -> Endpoint:
    """An endpoint with two versions behind it, none with traffic."""
    upload(vertex)
    upload(vertex, second())
    create(vertex)
    deploy(vertex, "1000000001", "1", replicas=2)
    deploy(vertex, "1000000002", "2")
    return read(vertex)


def test_an_endpoint_is_known_by_the_project_it_was_asked_with(vertex: LocalVertex) -> None:
    assert vertex.endpoints.get(REF) is None
    endpoint = create(vertex)
    assert endpoint.ref == REF
    assert endpoint.labels == {"team": "search"}
    assert endpoint.etag
    assert vertex.endpoints.list(PROJECT, REGION) == [endpoint]
    assert vertex.endpoints.list(PROJECT, "europe-west4") == []


@pytest.mark.parametrize("label", [PAIR, STICKY, ARM_OF])
def test_of_the_endpoints_that_were_not_named_those_come_that_may_belong_to_others(
    vertex: LocalVertex, label: str
) -> None:
    create(vertex)
    beside = TargetRef(PROJECT, REGION, "beside")
    vertex.finish(vertex.endpoints.create(beside, Target(region=REGION, endpoint="beside"), {label: "serving"}))
    vertex.finish(vertex.endpoints.create(TargetRef(PROJECT, REGION, "other"), TARGET, {}))
    assert {e.ref.endpoint for e in vertex.endpoints.list(PROJECT, REGION, {"serving"})} == {"serving", "beside"}
    assert {e.ref.endpoint for e in vertex.endpoints.list(PROJECT, REGION)} == {"serving", "beside", "other"}


def test_a_deployment_appears_when_it_is_done_and_takes_no_traffic(vertex: LocalVertex) -> None:
    upload(vertex)
    create(vertex)
    spec = DeploySpec("1000000001", PROJECT, REGION, "relevance", "1", "v1", MACHINE, None, False, 2)
    operation = vertex.endpoints.deploy(REF, spec)
    assert not vertex.endpoints.operation(REGION, operation).done
    assert read(vertex).deployed == ()

    assert vertex.finish(operation).result == "1000000001"

    endpoint = read(vertex)
    assert endpoint.split == {}
    (deployed,) = endpoint.deployed
    assert (deployed.id, deployed.model, deployed.version) == ("1000000001", "relevance", "1")
    assert (deployed.min_replicas, deployed.max_replicas, deployed.machine_type) == (2, 5, "n1-standard-4")
    assert deployed.available_replicas == 2


def test_traffic_moves_with_its_labels_in_one_write(vertex: LocalVertex) -> None:
    endpoint = two_versions(vertex)
    vertex.calls()
    endpoint = vertex.endpoints.write_traffic(endpoint, {"1000000001": 100}, {"vr-stable": "1000000001"})
    endpoint = vertex.endpoints.write_traffic(endpoint, {"1000000001": 90, "1000000002": 10}, {"vr-rollout": "r"})
    assert vertex.calls() == ["UpdateEndpoint", "UpdateEndpoint"]
    assert endpoint == read(vertex)
    assert endpoint.split == {"1000000001": 90, "1000000002": 10}
    assert endpoint.labels == {"vr-rollout": "r"}


def test_of_two_writers_the_second_has_to_look_again(vertex: LocalVertex) -> None:
    seen_by_both = two_versions(vertex)
    vertex.endpoints.write_traffic(seen_by_both, {"1000000001": 100}, {})
    with pytest.raises(ConflictError):
        vertex.endpoints.write_traffic(seen_by_both, {"1000000002": 100}, {})
    assert read(vertex).split == {"1000000001": 100}


def test_a_write_whose_answer_was_lost_ends_as_a_conflict_with_ones_own(
    vertex: LocalVertex, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = two_versions(vertex)
    monkeypatch.setenv("CLOCK_RATE", "10")
    vertex.emulator.faults.lose_answer("UpdateEndpoint")
    with pytest.raises(ConflictError):
        vertex.endpoints.write_traffic(endpoint, {"1000000001": 100}, {})
    assert read(vertex).split == {"1000000001": 100}


def test_writing_labels_does_not_touch_the_traffic(vertex: LocalVertex) -> None:
    endpoint = vertex.endpoints.write_traffic(two_versions(vertex), {"1000000001": 100}, {"team": "search"})
    written = vertex.endpoints.write_labels(endpoint, {"vr-closed": "r"})
    assert (written.split, written.labels) == ({"1000000001": 100}, {"vr-closed": "r"})


def test_a_split_that_is_not_whole_is_refused_with_vertex_ais_reason(vertex: LocalVertex) -> None:
    with pytest.raises(RefusedError, match="100"):
        vertex.endpoints.write_traffic(two_versions(vertex), {"1000000001": 90}, {})


def test_undeploying_is_refused_while_there_is_traffic(vertex: LocalVertex) -> None:
    vertex.endpoints.write_traffic(two_versions(vertex), {"1000000001": 100}, {})
    with pytest.raises(RefusedError):
        vertex.endpoints.undeploy(REF, "1000000001")
    state = vertex.finish(vertex.endpoints.undeploy(REF, "1000000002"))
    assert (state.done, state.error) == (True, "")
    assert [deployed.id for deployed in read(vertex).deployed] == ["1000000001"]


def test_the_bounds_of_the_autoscaler_change_by_an_operation(vertex: LocalVertex) -> None:
    two_versions(vertex)
    state = vertex.finish(vertex.endpoints.set_replicas(REF, "1000000002", 3, 8))
    assert state.result == "1000000002"
    changed = read(vertex).find("1000000002")
    assert changed
    assert (changed.min_replicas, changed.max_replicas) == (3, 8)


def test_a_deployment_without_quota_may_be_tried_again(vertex: LocalVertex) -> None:
    upload(vertex)
    create(vertex)
    spec = DeploySpec("1000000001", PROJECT, REGION, "relevance", "1", "v1", MACHINE, None, False, 1)
    vertex.emulator.faults.fail_operation("DeployModel")
    out_of_quota = vertex.finish(vertex.endpoints.deploy(REF, spec))
    vertex.emulator.faults.never_healthy()
    unhealthy = vertex.finish(vertex.endpoints.deploy(REF, spec))
    assert ("quota" in out_of_quota.error, out_of_quota.retryable) == (True, True)
    assert ("never became ready" in unhealthy.error, unhealthy.retryable) == (True, False)
    assert read(vertex).deployed == ()


def test_an_id_that_is_taken_is_refused(vertex: LocalVertex) -> None:
    two_versions(vertex)
    with pytest.raises(RefusedError):
        deploy(vertex, "1000000001", "2")


def test_deploying_to_an_endpoint_that_is_gone(vertex: LocalVertex) -> None:
    upload(vertex)
    with pytest.raises(NotFoundError):
        deploy(vertex, "1000000001", "1")


def test_every_method_is_one_call(vertex: LocalVertex) -> None:
    endpoint = two_versions(vertex)
    vertex.calls()
    vertex.endpoints.list(PROJECT, REGION)
    vertex.endpoints.write_labels(endpoint, {})
    operation = vertex.endpoints.set_replicas(REF, "1000000001", 1, 2)
    vertex.endpoints.operation(REGION, operation)
    vertex.endpoints.undeploy(REF, "1000000002")
    assert vertex.calls() == ["ListEndpoints", "UpdateEndpoint", "MutateDeployedModel", "GetOperation", "UndeployModel"]


def test_a_region_that_is_down_is_transient(vertex: LocalVertex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOCK_RATE", "200")
    vertex.emulator.faults.fail("GetEndpoint", times=None)
    with pytest.raises(TransientError):
        vertex.endpoints.get(REF)
