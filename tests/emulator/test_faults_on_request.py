"""Faults that are asked for by an administrative call: of which calls, how often, how probable; listed and cleared."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.monitoring_v3 import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

from tests.emulator.conftest import PARENT, MakeVertex, Vertex
from vertex_emulator.errors import ApiError
from vertex_emulator.monitoring.server import Monitoring


def plan(vertex: Vertex, **fault: Any) -> str:
    return str(vertex.emulator.administration.call("PlanFault", fault)["id"])


def planned(vertex: Vertex) -> list[Any]:
    return list(vertex.emulator.administration.call("ListFaults", {})["faults"])


def outcome(vertex: Vertex, endpoint: str) -> str:
    """How reading an endpoint once ends."""
    try:
        vertex.endpoints.get_endpoint(name=endpoint, retry=None)
    except exceptions.GoogleAPICallError as error:
        assert error.grpc_status_code is not None
        return str(error.grpc_status_code.name)
    return "OK"


@pytest.mark.parametrize(
    "method",
    [
        "GetEndpoint",
        "EndpointService/GetEndpoint",
        "google.cloud.aiplatform.v1.EndpointService/GetEndpoint",
        "EndpointService/*",
        "*",
    ],
)
def test_a_method_is_meant_by_its_short_name_its_service_or_all(vertex: Vertex, serving: str, method: str) -> None:
    plan(vertex, kind="fail", method=method, code="RESOURCE_EXHAUSTED")
    assert [outcome(vertex, serving), outcome(vertex, serving)] == ["RESOURCE_EXHAUSTED", "OK"]


def test_another_services_fault_is_not_met(vertex: Vertex, serving: str) -> None:
    plan(vertex, kind="fail", method="ModelService/*", times=None)
    assert outcome(vertex, serving) == "OK"


def test_a_fault_with_a_probability_comes_in_the_same_order_for_the_same_seed(vertex: Vertex, serving: str) -> None:
    runs = []
    for seed in (3, 3, 4):
        id_ = plan(vertex, kind="fail", method="GetEndpoint", probability=0.5, times=None, seed=seed)
        runs.append([outcome(vertex, serving) for _ in range(40)])
        vertex.emulator.administration.call("ClearFaults", {"id": id_})
    assert runs[0] == runs[1] != runs[2]
    assert 8 < runs[0].count("UNAVAILABLE") < 32


def test_a_partial_outage_hits_one_region_and_spares_the_others(vertex: Vertex, serving: str) -> None:
    elsewhere = PARENT.replace("us-central1", "us-east1")
    plan(vertex, kind="fail", resource="locations/us-east1", times=None)
    assert outcome(vertex, serving) == "OK"
    with pytest.raises(exceptions.ServiceUnavailable):
        list(vertex.models.list_models({"parent": elsewhere}, retry=None))


def test_a_lost_answer_comes_after_the_deed(vertex: Vertex, serving: str) -> None:
    plan(vertex, kind="lose", method="UpdateEndpoint", code="DEADLINE_EXCEEDED")
    with pytest.raises(exceptions.DeadlineExceeded):
        vertex.split(serving, {"11": 100}, labels={"done": "yes"})
    assert dict(vertex.endpoints.get_endpoint(name=serving).labels) == {"done": "yes"}


def test_an_answer_that_is_late_is_late_by_wall_seconds(vertex: Vertex, serving: str) -> None:
    plan(vertex, kind="delay", method="GetEndpoint", seconds=0.2)
    begun = time.perf_counter()
    assert outcome(vertex, serving) == "OK"
    assert time.perf_counter() - begun >= 0.2


def test_an_operation_takes_longer_and_fails_as_asked_for_one_endpoint(vertex: Vertex, serving: str) -> None:
    other = vertex.endpoint("other")
    plan(vertex, kind="operation", method="DeployModel", code="INTERNAL", message="No.", resource="endpoints/other")
    plan(vertex, kind="duration", method="DeployModel", seconds=5, resource="endpoints/other")
    spared, hit = vertex.start_deploy(serving, "22"), vertex.start_deploy(other, "22")
    vertex.advance(6)
    assert vertex.operation(hit.operation.name).error.message == "No."
    assert not vertex.operation(spared.operation.name).done


def test_faults_are_listed_until_they_are_used_up_or_cleared(vertex: Vertex, serving: str) -> None:
    first = plan(vertex, kind="fail", method="GetEndpoint", times=2)
    second = plan(vertex, kind="delay", seconds=0.01, times=None)
    outcome(vertex, serving)
    assert [(f["id"], f["kind"], f["happened"]) for f in planned(vertex)] == [(first, "fail", 1), (second, "delay", 1)]
    outcome(vertex, serving)
    assert [f["id"] for f in planned(vertex)] == [second]
    with pytest.raises(ApiError, match="The fault 99 is not found"):
        vertex.emulator.administration.call("ClearFaults", {"id": "99"})
    vertex.emulator.administration.call("ClearFaults", {})
    assert planned(vertex) == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "explode"}, "kind must be one of fail, lose, delay, operation, duration, not 'explode'"),
        ({"kind": "fail", "method": "GetEndpiont"}, "no method is called 'GetEndpiont'"),
        ({"kind": "fail", "code": "BROKEN"}, "'BROKEN' is not a status code"),
        ({"kind": "fail", "often": 3}, "unknown key 'often'"),
        ({"kind": "fail", "times": 0}, "times must be at least 1, not 0"),
        ({"kind": "delay", "seconds": "soon"}, "could not convert"),
    ],
)
def test_a_fault_that_cannot_be_meant_is_refused_with_the_reason(
    vertex: Vertex, fault: dict[str, Any], message: str
) -> None:
    with pytest.raises(ApiError, match=message) as refused:
        plan(vertex, **fault)
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def monitored(make_vertex: MakeVertex) -> Iterator[tuple[Vertex, Any]]:
    """An emulator that serves Cloud Monitoring too, and a client of that."""
    monitoring = Monitoring()
    vertex = make_vertex(monitoring=monitoring)
    yield vertex, MetricServiceClient(transport=MetricServiceGrpcTransport(channel=vertex.channel))
    monitoring.stop()


def test_monitorings_methods_meet_faults_too(monitored: tuple[Vertex, Any]) -> None:
    vertex, metrics = monitored
    request = {"name": "projects/local-project", "filter": 'metric.type = "custom.googleapis.com/x"'}
    plan(vertex, kind="fail", method="MetricService/ListMetricDescriptors", code="PERMISSION_DENIED")
    plan(vertex, kind="lose", method="MetricService/*", code="INTERNAL")
    with pytest.raises(exceptions.PermissionDenied):
        metrics.list_metric_descriptors(request, retry=None)
    with pytest.raises(exceptions.InternalServerError):
        metrics.list_metric_descriptors(request, retry=None)
    assert list(metrics.list_metric_descriptors(request, retry=None)) == []
