"""Long-running operations (google/longrunning/operations.proto) and the faults that are injected into them and into calls."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.longrunning import operations_pb2

from tests.emulator.conftest import PARENT, STORED, MakeVertex, Vertex
from vertex_emulator.config import Config, Durations, Quotas

NAME = f"{STORED}/models/relevance"


def start_upload(vertex: Vertex) -> str:
    request = {"parent": PARENT, "model_id": "relevance", "model": {"display_name": "R"}}
    return str(vertex.models.upload_model(request).operation.name)


def test_another_process_resumes_an_operation_by_its_name(vertex: Vertex) -> None:
    name = start_upload(vertex)
    assert not vertex.operation(name).done
    vertex.advance(60)
    resumed = vertex.operation(name)
    assert resumed.done
    assert resumed.response.type_url.endswith("google.cloud.aiplatform.v1.UploadModelResponse")


def test_operations_of_a_model_are_listed_by_state(vertex: Vertex) -> None:
    vertex.upload()
    vertex.upload("other")
    vertex.models.delete_model({"name": NAME})
    operations: Any = vertex.models
    names = [o.name for o in operations.list_operations({"name": NAME}).operations]
    assert len(names) == 2
    assert [o.done for o in operations.list_operations({"name": NAME, "filter": "done=false"}).operations] == [False]
    assert len(operations.list_operations({"name": PARENT}).operations) == 3


def test_a_cancelled_operation_has_no_effect(vertex: Vertex) -> None:
    name = start_upload(vertex)
    vertex.models.cancel_operation({"name": name})
    vertex.advance(60)
    assert vertex.operation(name).error.code == grpc.StatusCode.CANCELLED.value[0]
    assert not list(vertex.models.list_models({"parent": PARENT}))


def test_only_an_operation_that_is_done_can_be_forgotten(vertex: Vertex) -> None:
    name = start_upload(vertex)
    with pytest.raises(exceptions.FailedPrecondition):
        vertex.models.delete_operation({"name": name})
    vertex.advance(60)
    vertex.models.delete_operation({"name": name})
    with pytest.raises(exceptions.NotFound):
        vertex.operation(name)


def test_waiting_returns_the_operation_as_it_is_when_the_time_is_over(vertex: Vertex) -> None:
    wait = vertex.channel.unary_unary(
        "/google.longrunning.Operations/WaitOperation",
        operations_pb2.WaitOperationRequest.SerializeToString,
        operations_pb2.Operation.FromString,
    )
    request = operations_pb2.WaitOperationRequest(name=start_upload(vertex))
    request.timeout.FromMilliseconds(30)
    assert not wait(request).done
    vertex.clock.advance(60)
    assert wait(request).done


def test_durations_are_configured_and_changed_for_single_operations(make_vertex: MakeVertex) -> None:
    vertex = make_vertex(Config(durations=Durations(upload=5)))
    vertex.emulator.faults.set_duration("UploadModel", 500)
    slow = start_upload(vertex)
    vertex.advance(499)
    assert not vertex.operation(slow).done
    vertex.advance(1)
    assert vertex.operation(slow).done


def test_a_call_is_refused_as_often_as_planned_and_changes_nothing(vertex: Vertex, serving: str) -> None:
    vertex.emulator.faults.fail("UpdateEndpoint", grpc.StatusCode.UNAVAILABLE, times=2)
    for _ in range(2):
        with pytest.raises(exceptions.ServiceUnavailable):
            vertex.split(serving, {})
    assert dict(vertex.endpoints.get_endpoint({"name": serving}).traffic_split) == {"11": 100}
    assert dict(vertex.split(serving, {}).traffic_split) == {}


def test_a_lost_answer_leaves_the_change_in_force(vertex: Vertex, serving: str) -> None:
    vertex.emulator.faults.lose_answer("UpdateEndpoint")
    with pytest.raises(exceptions.ServiceUnavailable):
        vertex.split(serving, {})
    assert dict(vertex.endpoints.get_endpoint({"name": serving}).traffic_split) == {}


def test_a_slow_answer_runs_into_the_clients_deadline(vertex: Vertex, serving: str) -> None:
    vertex.emulator.faults.delay("GetEndpoint", 0.2, times=1)
    with pytest.raises(exceptions.DeadlineExceeded):
        vertex.endpoints.get_endpoint({"name": serving}, timeout=0.05)
    assert vertex.endpoints.get_endpoint({"name": serving}, timeout=5).name == serving


def test_a_fault_without_an_end_lasts_until_it_is_cleared(vertex: Vertex) -> None:
    vertex.emulator.faults.fail("ListModels", times=None)
    for _ in range(5):
        with pytest.raises(exceptions.ServiceUnavailable):
            vertex.models.list_models({"parent": PARENT})
    vertex.emulator.faults.clear()
    assert not list(vertex.models.list_models({"parent": PARENT}))


def test_quotas_per_compressed_minute_refuse_and_recover(make_vertex: MakeVertex) -> None:
    vertex = make_vertex(Config(quotas=Quotas(crud_per_minute=3)))
    for _ in range(3):
        vertex.models.list_models({"parent": PARENT})
    with pytest.raises(exceptions.ResourceExhausted, match="Quota exceeded"):
        vertex.models.list_models({"parent": PARENT})
    vertex.models.list_models({"parent": PARENT.replace("us-central1", "europe-west4")})
    vertex.advance(60)
    vertex.models.list_models({"parent": PARENT})


def test_the_documented_quotas_are_a_configuration() -> None:
    quotas = Quotas.documented()
    assert (quotas.crud_per_minute, quotas.operations_per_minute, quotas.predictions_per_minute) == (600, 60, 30_000)


def test_a_method_that_is_not_emulated_says_so(vertex: Vertex) -> None:
    with pytest.raises(exceptions.MethodNotImplemented):
        vertex.models.update_explanation_dataset({"model": NAME})


def test_a_malformed_name_is_an_invalid_argument(vertex: Vertex) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="resource name"):
        vertex.models.get_model({"name": "projects/p/locations/l/endpoints/e"})
    with pytest.raises(exceptions.InvalidArgument, match="resource name"):
        vertex.models.list_models({"parent": "projects/p"})
