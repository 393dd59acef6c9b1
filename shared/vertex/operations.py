"""Long-running operations: read once, never waited for.

A deployment takes ten minutes or more and an event function has nine, so an operation's name is recorded and looked at by a later
step, in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.cloud.aiplatform_v1.types import endpoint as endpoint_types
from google.cloud.aiplatform_v1.types import endpoint_service
from google.rpc import code_pb2

from shared.channels import PerRegion
from shared.errors import NotFoundError
from shared.gapic import patience
from shared.gapic.errors import translated
from shared.rollout.observed import OperationState
from shared.vertex import full_names

_MAY_PASS = {
    code_pb2.RESOURCE_EXHAUSTED,
    code_pb2.UNAVAILABLE,
    code_pb2.INTERNAL,
    code_pb2.DEADLINE_EXCEEDED,
}
"""Quota, capacity and Vertex AI's own trouble; a container that never becomes healthy fails with FAILED_PRECONDITION."""

_MADE: Mapping[Any, Callable[[Any], str]] = {
    endpoint_types.Endpoint: lambda made: full_names.last_segment(made.name),
    endpoint_service.DeployModelResponse: lambda made: str(made.deployed_model.id),
    endpoint_service.MutateDeployedModelResponse: lambda made: str(made.deployed_model.id),
}
"""What an operation's response says was made, and an upload's; an undeployment makes nothing."""


def read_operation(clients: PerRegion[Any], region: str, name: str) -> OperationState:
    """The operation as it is now; any of Vertex AI's services reads it, in the operation's region."""
    try:
        with translated(f"reading operation {name}"):
            operation = clients(region).get_operation({"name": name}, **patience.read())
    except NotFoundError:
        # Vertex AI forgets operations after some time; whoever waits for this one must look at what it should have made.
        return OperationState(name, done=True, error="operation is unknown", retryable=True)
    if not operation.done:
        return OperationState(name, done=False)
    if operation.HasField("error"):
        error = operation.error
        reason = error.message or code_pb2.Code.Name(error.code)
        return OperationState(name, done=True, error=reason, retryable=error.code in _MAY_PASS)
    return OperationState(name, done=True, result=_result(operation.response))


def _result(response: Any) -> str:
    if response.TypeName().endswith(".UploadModelResponse"):
        # The types of models are many, and who only gives traffic back needs none of them.
        from google.cloud.aiplatform_v1.types import model_service

        uploaded = model_service.UploadModelResponse.pb().FromString(response.value)
        return full_names.model_at(uploaded.model, uploaded.model_version_id)
    for kind, made_by in _MADE.items():
        message = kind.pb()
        if response.Is(message.DESCRIPTOR):
            return made_by(message.FromString(response.value))
    return ""


def started(operation: Any) -> str:
    """The name of an operation that was just started."""
    return str(operation.operation.name)
