"""Which methods the emulator serves, by service; any other is answered with UNIMPLEMENTED by gRPC itself."""

from __future__ import annotations

PACKAGE = "google.cloud.aiplatform.v1"
SERVICES = {
    "ModelService": (
        *("UploadModel", "GetModel", "ListModels", "ListModelVersions", "UpdateModel", "MergeVersionAliases"),
        *("DeleteModel", "DeleteModelVersion", "CopyModel"),
        *("ImportModelEvaluation", "GetModelEvaluation", "ListModelEvaluations"),
    ),
    "EndpointService": (
        *("CreateEndpoint", "GetEndpoint", "ListEndpoints", "UpdateEndpoint", "DeleteEndpoint"),
        *("DeployModel", "UndeployModel", "MutateDeployedModel"),
    ),
    "DeploymentResourcePoolService": (
        *("CreateDeploymentResourcePool", "GetDeploymentResourcePool", "ListDeploymentResourcePools"),
        *("UpdateDeploymentResourcePool", "DeleteDeploymentResourcePool", "QueryDeployedModels"),
    ),
    "PredictionService": ("Predict", "RawPredict"),
    "JobService": ("CreateCustomJob", "GetCustomJob", "ListCustomJobs", "CancelCustomJob", "DeleteCustomJob"),
    "PipelineService": (
        *("CreateTrainingPipeline", "GetTrainingPipeline", "ListTrainingPipelines"),
        *("CancelTrainingPipeline", "DeleteTrainingPipeline"),
        *("CreatePipelineJob", "GetPipelineJob", "ListPipelineJobs", "CancelPipelineJob", "DeletePipelineJob"),
    ),
}
OPERATIONS = ("GetOperation", "ListOperations", "WaitOperation", "CancelOperation", "DeleteOperation")
UNLOCKED = frozenset({"Predict", "RawPredict", "WaitOperation"})
"""Methods that wait for something else and therefore take the state's lock themselves, briefly."""
_READS = ("Get", "List", "Query", "Predict", "RawPredict", "Wait")
_SERVICE_OF = {method: service for service, methods in SERVICES.items() for method in methods}


def full_name(method: str) -> str:
    """Return what audit log entries call a method, e.g. ``google.cloud.aiplatform.v1.ModelService.UploadModel``."""
    return f"{PACKAGE}.{_SERVICE_OF[method]}.{method}"


def is_audited(method: str) -> bool:
    """Whether the Admin Activity log has entries of a method: those that change something."""
    return method in _SERVICE_OF and not method.startswith(_READS)
