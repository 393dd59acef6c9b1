"""Which methods the emulator serves, by service; any other is answered with UNIMPLEMENTED by gRPC itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.cloud.location import locations_pb2
from google.longrunning import operations_pb2

from vertex_emulator.messages import request_class

PACKAGE = "google.cloud.aiplatform.v1"
SERVICES = {
    "ModelService": (
        *("UploadModel", "GetModel", "ListModels", "ListModelVersions", "UpdateModel", "MergeVersionAliases"),
        *("DeleteModel", "DeleteModelVersion", "CopyModel", "ExportModel"),
        *("ImportModelEvaluation", "GetModelEvaluation", "ListModelEvaluations"),
    ),
    "EndpointService": (
        *("CreateEndpoint", "GetEndpoint", "ListEndpoints", "UpdateEndpoint", "DeleteEndpoint"),
        *("DeployModel", "UndeployModel", "MutateDeployedModel", "UpdateEndpointLongRunning"),
    ),
    "DeploymentResourcePoolService": (
        *("CreateDeploymentResourcePool", "GetDeploymentResourcePool", "ListDeploymentResourcePools"),
        *("UpdateDeploymentResourcePool", "DeleteDeploymentResourcePool", "QueryDeployedModels"),
    ),
    "PredictionService": ("Predict", "RawPredict", "StreamRawPredict", "Explain"),
    "JobService": (
        *("CreateCustomJob", "GetCustomJob", "ListCustomJobs", "CancelCustomJob", "DeleteCustomJob"),
        *("CreateBatchPredictionJob", "GetBatchPredictionJob", "ListBatchPredictionJobs"),
        *("CancelBatchPredictionJob", "DeleteBatchPredictionJob"),
    ),
    "PipelineService": (
        *("CreateTrainingPipeline", "GetTrainingPipeline", "ListTrainingPipelines"),
        *("CancelTrainingPipeline", "DeleteTrainingPipeline"),
        *("CreatePipelineJob", "GetPipelineJob", "ListPipelineJobs", "CancelPipelineJob", "DeletePipelineJob"),
    ),
}
OPERATIONS = ("GetOperation", "ListOperations", "WaitOperation", "CancelOperation", "DeleteOperation")
LOCATIONS = ("ListLocations", "GetLocation")
PREDICTIONS = frozenset({"Predict", "RawPredict", "StreamRawPredict", "Explain"})
STREAMING = frozenset({"StreamRawPredict"})
UNLOCKED = PREDICTIONS | {"WaitOperation"}
"""Methods that wait for something else and therefore take the state's lock themselves, briefly."""
_READS = ("Get", "List", "Query", "Predict", "RawPredict", "StreamRawPredict", "Explain", "Wait")
_SERVICE_OF = {method: service for service, methods in SERVICES.items() for method in methods}


_ALL = {
    **{f"{PACKAGE}.{service}": names for service, names in SERVICES.items()},
    "google.longrunning.Operations": OPERATIONS,
    "google.cloud.location.Locations": LOCATIONS,
}


def all_services() -> Mapping[str, tuple[str, ...]]:
    """Return the methods of every service by its full name."""
    return _ALL


def request_type(method: str) -> Any:
    """Return the raw class of a method's requests."""
    if method in OPERATIONS:
        return getattr(operations_pb2, f"{method}Request")
    if method in LOCATIONS:
        return getattr(locations_pb2, f"{method}Request")
    return request_class(method)


def services_of(method: str) -> list[str]:
    """Return the full names of the services that have a method of this name."""
    return [service for service, names in all_services().items() if method in names]


def full_name(method: str) -> str:
    """Return what audit log entries call a method, e.g. ``google.cloud.aiplatform.v1.ModelService.UploadModel``."""
    return f"{PACKAGE}.{_SERVICE_OF[method]}.{method}"


def is_audited(method: str) -> bool:
    """Whether the Admin Activity log has entries of a method: those that change something."""
    return method in _SERVICE_OF and not method.startswith(_READS)
