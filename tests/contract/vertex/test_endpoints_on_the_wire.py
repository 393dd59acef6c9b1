"""The exact requests of ``Endpoints``: what is sent is what Vertex AI will do."""

from __future__ import annotations

from datetime import UTC, datetime

import grpc
import pytest
from google.cloud.aiplatform_v1.types import endpoint as e
from google.cloud.aiplatform_v1.types import endpoint_service as s
from google.cloud.aiplatform_v1.types import machine_resources as m
from google.longrunning import operations_pb2
from google.rpc import code_pb2

from shared.errors import AlreadyExistsError, ConflictError, RefusedError, TransientError
from shared.policy.schema import Machine, Target
from shared.rollout.observed import DeployedModel, Endpoint, TargetRef
from shared.vertex.endpoints import DeploySpec, Endpoints
from tests.contract.vertex.wire import Wire

REF = TargetRef("my-project", "us-central1", "serving")
NAME = "projects/my-project/locations/us-central1/endpoints/serving"
THEIRS = NAME.replace("my-project", "123456")
OPERATION = f"{THEIRS}/operations/77"
READ = Endpoint(REF, "etag-1", {}, {})
MACHINE = Machine.model_validate(
    {
        "type": "n1-standard-4",
        "accelerator": {"type": "NVIDIA_TESLA_T4", "count": 2},
        "replicas": {"min": 1, "max": 5},
        "autoscale": {"cpu": 70, "gpu": 50},
    }
)
SPEC = DeploySpec("1234567890", "my-project", "us-central1", "relevance", "7", "relevance v7", MACHINE, None, True, 3)


def endpoint_reply(**fields: object) -> e.Endpoint:
    return e.Endpoint(name=THEIRS, etag="etag-2", **fields)


def running() -> operations_pb2.Operation:
    return operations_pb2.Operation(name=OPERATION)


def test_an_endpoint_is_read_under_the_project_it_was_asked_with(wire: Wire) -> None:
    deployed = e.DeployedModel(
        id="1000000001",
        model=f"{THEIRS.partition('/endpoints')[0]}/models/relevance@3",
        dedicated_resources=m.DedicatedResources(
            machine_spec=m.MachineSpec(machine_type="n1-standard-4"), min_replica_count=2, max_replica_count=6
        ),
        status=e.DeployedModel.Status(available_replica_count=4),
        create_time=datetime(2026, 11, 1, 12, tzinfo=UTC),
    )
    wire.answer(
        "GetEndpoint",
        endpoint_reply(deployed_models=[deployed], traffic_split={"1000000001": 100, "2": 0}, labels={"team": "a"}),
    )

    read = Endpoints().get(REF)

    assert read == Endpoint(
        ref=REF,
        etag="etag-2",
        labels={"team": "a"},
        split={"1000000001": 100},
        deployed=(
            DeployedModel(
                "1000000001", "relevance", "3", 2, 6, 4, "n1-standard-4", datetime(2026, 11, 1, 12, tzinfo=UTC)
            ),
        ),
    )
    assert [(call.method, call.routing) for call in wire.calls] == [("GetEndpoint", f"name={NAME}")]


def test_the_version_field_is_preferred_to_the_one_in_the_name(wire: Wire) -> None:
    wire.answer("GetEndpoint", endpoint_reply(deployed_models=[{"id": "1", "model": "a/m", "model_version_id": "9"}]))
    read = Endpoints().get(REF)
    assert read
    assert (read.deployed[0].model, read.deployed[0].version) == ("m", "9")
    assert read.deployed[0].available_replicas is None


def test_a_missing_endpoint_is_none(wire: Wire) -> None:
    wire.answer("GetEndpoint", grpc.StatusCode.NOT_FOUND)
    assert Endpoints().get(REF) is None


def test_listing_reads_all_pages(wire: Wire) -> None:
    wire.answer(
        "ListEndpoints",
        s.ListEndpointsResponse(endpoints=[{"name": "a/endpoints/one"}], next_page_token="more"),
        s.ListEndpointsResponse(endpoints=[{"name": "a/endpoints/two"}]),
    )
    found = Endpoints().list("my-project", "us-central1")
    assert [endpoint.ref for endpoint in found] == [
        TargetRef("my-project", "us-central1", "one"),
        TargetRef("my-project", "us-central1", "two"),
    ]
    assert [call.read(s.ListEndpointsRequest).page_token for call in wire.calls] == ["", "more"]
    assert {call.routing for call in wire.calls} == {"parent=projects/my-project/locations/us-central1"}


def test_traffic_and_labels_are_one_masked_write_under_the_etag_that_was_read(wire: Wire) -> None:
    wire.answer("UpdateEndpoint", endpoint_reply(traffic_split={"1": 90, "2": 10}))

    written = Endpoints().write_traffic(READ, {"1": 90, "2": 10, "3": 0}, {"vr-stable": "1", "team": "a"})

    assert written.etag == "etag-2"
    assert written.split == {"1": 90, "2": 10}
    (call,) = wire.calls
    sent = call.read(s.UpdateEndpointRequest)
    assert call.routing == f"endpoint.name={NAME}"
    assert list(sent.update_mask.paths) == ["traffic_split", "labels"]
    assert sent.endpoint.etag == "etag-1"
    assert dict(sent.endpoint.traffic_split) == {"1": 90, "2": 10}
    assert dict(sent.endpoint.labels) == {"vr-stable": "1", "team": "a"}
    assert sent.endpoint.display_name == ""


def test_writing_labels_leaves_the_traffic_out_of_the_mask(wire: Wire) -> None:
    wire.answer("UpdateEndpoint", endpoint_reply())
    Endpoints().write_labels(READ, {"team": "b"})
    assert list(wire.calls[0].read(s.UpdateEndpointRequest).update_mask.paths) == ["labels"]


def test_all_traffic_can_be_taken_away(wire: Wire) -> None:
    wire.answer("UpdateEndpoint", endpoint_reply())
    Endpoints().write_traffic(READ, {}, {})
    sent = wire.calls[0].read(s.UpdateEndpointRequest)
    assert list(sent.update_mask.paths) == ["traffic_split", "labels"]
    assert not sent.endpoint.traffic_split


def test_an_endpoint_without_an_etag_is_never_overwritten_blindly(wire: Wire) -> None:
    with pytest.raises(ConflictError, match="without an etag"):
        Endpoints().write_traffic(Endpoint(REF, "", {}, {}), {"1": 100}, {})
    assert wire.calls == []


@pytest.mark.parametrize(
    "refusal",
    [
        (grpc.StatusCode.ABORTED, "Specified Context `etag`: `X` does not match server `etag`: `Y`"),
        (grpc.StatusCode.FAILED_PRECONDITION, "The ETag is stale."),
    ],
)
def test_a_stale_etag_is_a_conflict(wire: Wire, refusal: tuple[grpc.StatusCode, str]) -> None:
    wire.answer("UpdateEndpoint", refusal)
    with pytest.raises(ConflictError):
        Endpoints().write_traffic(READ, {"1": 100}, {})
    assert wire.methods() == ["UpdateEndpoint"]


def test_a_guarded_write_is_repeated_through_a_short_outage(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOCK_RATE", "10")
    wire.answer("UpdateEndpoint", grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE, endpoint_reply())
    assert Endpoints().write_traffic(READ, {"1": 100}, {}).etag == "etag-2"
    assert wire.methods() == ["UpdateEndpoint"] * 3


def test_a_read_that_keeps_failing_ends_as_transient(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOCK_RATE", "100")
    wire.answer("GetEndpoint", (grpc.StatusCode.UNAVAILABLE, "the region is down"))
    with pytest.raises(TransientError, match="after retries: the region is down"):
        Endpoints().get(REF)
    assert len(wire.calls) > 1


def test_a_deployment_asks_for_no_traffic(wire: Wire) -> None:
    wire.answer("DeployModel", running())

    assert Endpoints().deploy(REF, SPEC) == OPERATION

    (call,) = wire.calls
    sent = call.read(s.DeployModelRequest)
    assert call.routing == f"endpoint={NAME}"
    assert not sent.traffic_split
    model = sent.deployed_model
    assert model.id == "1234567890"
    assert model.model == "projects/my-project/locations/us-central1/models/relevance@7"
    assert model.enable_access_logging
    resources = model.dedicated_resources
    assert (resources.min_replica_count, resources.max_replica_count) == (3, 5)
    assert (resources.machine_spec.machine_type, resources.machine_spec.accelerator_count) == ("n1-standard-4", 2)
    assert {spec.metric_name.rpartition("online/")[2]: spec.target for spec in resources.autoscaling_metric_specs} == {
        "cpu/utilization": 70,
        "accelerator/duty_cycle": 50,
    }


def test_an_unknown_accelerator_is_refused_before_the_call(wire: Wire) -> None:
    machine = Machine.model_validate({"type": "n1-standard-4", "accelerator": {"type": "NVIDIA_TESLA_T5"}})
    spec = DeploySpec("1", "my-project", "us-central1", "m", "1", "", machine, None, False, 1)
    with pytest.raises(RefusedError, match=r"no accelerator 'NVIDIA_TESLA_T5'; known are .*NVIDIA_TESLA_T4"):
        Endpoints().deploy(REF, spec)
    assert wire.calls == []


def test_starting_an_operation_is_never_repeated(wire: Wire) -> None:
    wire.answer("DeployModel", grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(TransientError):
        Endpoints().deploy(REF, SPEC)
    assert wire.methods() == ["DeployModel"]


def test_replicas_are_changed_under_a_mask(wire: Wire) -> None:
    wire.answer("MutateDeployedModel", running())
    assert Endpoints().set_replicas(REF, "1234567890", 2, 8) == OPERATION
    sent = wire.calls[0].read(s.MutateDeployedModelRequest)
    assert list(sent.update_mask.paths) == [
        "dedicated_resources.min_replica_count",
        "dedicated_resources.max_replica_count",
    ]
    assert sent.deployed_model.dedicated_resources.max_replica_count == 8


def test_undeploying_sends_no_split(wire: Wire) -> None:
    wire.answer("UndeployModel", running())
    assert Endpoints().undeploy(REF, "1234567890") == OPERATION
    sent = wire.calls[0].read(s.UndeployModelRequest)
    assert sent.deployed_model_id == "1234567890"
    assert not sent.traffic_split


def test_a_new_endpoint_gets_the_id_it_is_known_by(wire: Wire) -> None:
    wire.answer("CreateEndpoint", running())
    target = Target.model_validate(
        {
            "region": "us-central1",
            "endpoint": "serving",
            "dedicated": True,
            "request_logging": {"sample": "10%", "table": "bq://p.d.t"},
        }
    )
    assert Endpoints().create(REF, target, {"vr-model": "relevance"}) == OPERATION
    sent = wire.calls[0].read(s.CreateEndpointRequest)
    assert sent.endpoint_id == "serving"
    assert sent.endpoint.dedicated_endpoint_enabled
    assert dict(sent.endpoint.labels) == {"vr-model": "relevance"}
    logging = sent.endpoint.predict_request_response_logging_config
    assert logging.enabled
    assert logging.sampling_rate == pytest.approx(0.1)
    assert logging.bigquery_destination.output_uri == "bq://p.d.t"


def test_an_endpoint_that_is_there_already_says_so(wire: Wire) -> None:
    wire.answer("CreateEndpoint", (grpc.StatusCode.ALREADY_EXISTS, "Endpoint serving already exists."))
    with pytest.raises(AlreadyExistsError, match=r"Endpoint serving already exists\. \(ALREADY_EXISTS\)"):
        Endpoints().create(REF, Target(region="us-central1", endpoint="serving"), {})


def test_every_call_has_its_own_deadline(wire: Wire) -> None:
    wire.answer("GetEndpoint", endpoint_reply())
    wire.answer("UndeployModel", running())
    client = Endpoints()
    client.get(REF)
    client.undeploy(REF, "1")
    reading, writing = wire.calls
    assert reading.seconds == pytest.approx(20, abs=5)
    assert writing.seconds == pytest.approx(30, abs=5)


def finished(**fields: object) -> operations_pb2.Operation:
    return operations_pb2.Operation(name=OPERATION, done=True, **fields)


def test_an_operation_says_what_it_made(wire: Wire) -> None:
    deployed = finished()
    deployed.response.Pack(s.DeployModelResponse.pb(s.DeployModelResponse(deployed_model={"id": "42"})))
    created = finished()
    created.response.Pack(e.Endpoint.pb(endpoint_reply()))
    undeployed = finished()
    undeployed.response.Pack(s.UndeployModelResponse.pb(s.UndeployModelResponse()))
    wire.answer("GetOperation", running(), deployed, created, undeployed)
    client = Endpoints()

    states = [client.operation("us-central1", OPERATION) for _ in range(4)]

    assert [(state.done, state.result) for state in states] == [
        (False, ""),
        (True, "42"),
        (True, "serving"),
        (True, ""),
    ]
    assert wire.calls[0].routing == f"name={OPERATION}"


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        (code_pb2.RESOURCE_EXHAUSTED, True),
        (code_pb2.UNAVAILABLE, True),
        (code_pb2.INTERNAL, True),
        (code_pb2.DEADLINE_EXCEEDED, True),
        (code_pb2.FAILED_PRECONDITION, False),
        (code_pb2.INVALID_ARGUMENT, False),
    ],
)
def test_a_failed_operation_gives_its_reason_and_whether_to_try_again(wire: Wire, code: int, retryable: bool) -> None:
    wire.answer("GetOperation", finished(error={"code": code, "message": "Model server never became ready."}))
    state = Endpoints().operation("us-central1", OPERATION)
    assert (state.done, state.error, state.retryable) == (True, "Model server never became ready.", retryable)


def test_a_forgotten_operation_is_over_and_may_be_tried_again(wire: Wire) -> None:
    wire.answer("GetOperation", grpc.StatusCode.NOT_FOUND)
    state = Endpoints().operation("us-central1", OPERATION)
    assert (state.done, state.error, state.retryable) == (True, "operation is unknown", True)
