"""Which IAM permissions a program needs is seen from what it called."""

from __future__ import annotations

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.aiplatform_v1.services.endpoint_service.client import EndpointServiceClient
from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import EndpointServiceGrpcTransport

from tests.emulator.conftest import PARENT, Vertex
from vertex_emulator import methods
from vertex_emulator.monitoring.server import Monitoring
from vertex_emulator.permissions import CALLER_HEADER, PERMISSIONS


def test_every_method_that_is_served_has_an_entry_and_no_other() -> None:
    vertex = {f"{service}/{name}" for service, names in methods.all_services().items() for name in names}
    assert set(PERMISSIONS) == vertex | set(Monitoring().methods())


def test_the_permissions_of_a_deployment_are_those_of_a_role_that_may_deploy(vertex: Vertex, serving: str) -> None:
    vertex.emulator.permissions.clear()
    started = vertex.start_deploy(serving, "22")
    vertex.operation(started.operation.name)
    vertex.split(serving, {"11": 100})
    vertex.predict(serving)
    used = {(entry.permission, entry.is_verified) for entry in vertex.emulator.permissions_used}
    assert used == {
        ("aiplatform.endpoints.deploy", True),
        ("aiplatform.endpoints.get", True),
        ("aiplatform.endpoints.predict", True),
        ("aiplatform.endpoints.update", False),
    }


def test_callers_are_told_apart_by_what_they_say_of_themselves(vertex: Vertex, serving: str) -> None:
    vertex.emulator.permissions.clear()
    vertex.endpoints.get_endpoint(name=serving, metadata=[(CALLER_HEADER, "roll_back")])
    vertex.endpoints.get_endpoint(name=serving, metadata=[(CALLER_HEADER, "roll_back")])
    options = [("grpc.primary_user_agent", "advance/1.0")]
    with grpc.insecure_channel(vertex.emulator.address, options=options) as channel:
        EndpointServiceClient(transport=EndpointServiceGrpcTransport(channel=channel)).get_endpoint(name=serving)
    seen = {(entry.caller, entry.permission, entry.calls) for entry in vertex.emulator.permissions_used}
    assert seen == {("roll_back", "aiplatform.endpoints.get", 2), ("advance/1.0", "aiplatform.endpoints.get", 1)}


def test_a_refused_call_needed_its_permission_too(vertex: Vertex) -> None:
    vertex.emulator.faults.fail("ListModels")
    with pytest.raises(exceptions.ServiceUnavailable):
        list(vertex.models.list_models({"parent": PARENT}, retry=None))
    (used,) = vertex.emulator.administration.call("ListPermissions", {})["permissions"]
    assert (used["permission"], used["calls"]) == ("aiplatform.models.list", 1)
