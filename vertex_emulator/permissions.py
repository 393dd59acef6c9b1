"""Which IAM permission each call needs, and which were needed so far: what a custom role has to contain.

The names exist (documentation: "Vertex AI IAM permissions"; "Access control" of Cloud Monitoring). That a method needs just this one is
documented for most and unverified for the others, which are marked. Some calls need more than is recorded here: acting as a
service account, reading a bucket.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable
from contextvars import ContextVar, Token
from dataclasses import dataclass

_VERTEX = "google.cloud.aiplatform.v1"
_MONITORING = "google.monitoring.v3"
_OPERATIONS = "google.longrunning.Operations"
_LOCATIONS = "google.cloud.location.Locations"
OWN_COLLECTION = "*"
"""In a permission: the collection of the resource that the call is about, as operations are guarded by their resource."""
CALLER_HEADER = "x-emulator-caller"
"""How a program can say who it is; the first part of its user agent stands for it otherwise."""
_caller: ContextVar[str] = ContextVar("caller", default="")


@dataclass(frozen=True)
class Permission:
    """What a method needs."""

    name: str
    is_verified: bool = True
    """Whether Google documents that this method needs this permission."""


def _assumed(name: str) -> Permission:
    return Permission(name, is_verified=False)


def _standard(service: str, kind: str, collection: str, verbs: str, plural: str = "") -> dict[str, Permission]:
    """Return the entries of the standard methods, e.g. CreateEndpoint: aiplatform.endpoints.create."""
    domain = "monitoring" if service.startswith(_MONITORING) else "aiplatform"
    named = {verb: (plural or f"{kind}s") if verb == "List" else kind for verb in verbs.split()}
    return {
        f"{service}/{verb}{name}": Permission(f"{domain}.{collection}.{verb.lower()}") for verb, name in named.items()
    }


_MODELS, _ENDPOINTS = f"{_VERTEX}.ModelService", f"{_VERTEX}.EndpointService"
_POOLS, _PREDICTIONS = f"{_VERTEX}.DeploymentResourcePoolService", f"{_VERTEX}.PredictionService"
_JOBS, _PIPELINES = f"{_VERTEX}.JobService", f"{_VERTEX}.PipelineService"
_METRICS, _POLICIES = f"{_MONITORING}.MetricService", f"{_MONITORING}.AlertPolicyService"
_CHANNELS = f"{_MONITORING}.NotificationChannelService"
_ALL, _JOB = "Create Get List Update Delete", "Create Get List Cancel Delete"

PERMISSIONS: dict[str, Permission] = {
    **_standard(_MODELS, "Model", "models", "Get List Delete"),
    f"{_MODELS}/UploadModel": Permission("aiplatform.models.upload"),
    f"{_MODELS}/ExportModel": Permission("aiplatform.models.export"),
    f"{_MODELS}/ListModelVersions": _assumed("aiplatform.models.list"),
    f"{_MODELS}/UpdateModel": Permission("aiplatform.models.update"),
    f"{_MODELS}/MergeVersionAliases": _assumed("aiplatform.models.update"),
    f"{_MODELS}/DeleteModelVersion": _assumed("aiplatform.models.delete"),
    f"{_MODELS}/CopyModel": _assumed("aiplatform.models.upload"),
    f"{_MODELS}/ImportModelEvaluation": Permission("aiplatform.modelEvaluations.import"),
    f"{_MODELS}/GetModelEvaluation": Permission("aiplatform.modelEvaluations.get"),
    f"{_MODELS}/ListModelEvaluations": Permission("aiplatform.modelEvaluations.list"),
    **_standard(_ENDPOINTS, "Endpoint", "endpoints", "Create Get List Delete"),
    # That a split is guarded by endpoints.update, and not by endpoints.deploy, is not documented.
    f"{_ENDPOINTS}/UpdateEndpoint": _assumed("aiplatform.endpoints.update"),
    f"{_ENDPOINTS}/UpdateEndpointLongRunning": _assumed("aiplatform.endpoints.update"),
    f"{_ENDPOINTS}/DeployModel": Permission("aiplatform.endpoints.deploy"),
    f"{_ENDPOINTS}/UndeployModel": Permission("aiplatform.endpoints.undeploy"),
    # There is no endpoints.mutateDeployedModel; which of the others it is, is not documented.
    f"{_ENDPOINTS}/MutateDeployedModel": _assumed("aiplatform.endpoints.update"),
    **_standard(_POOLS, "DeploymentResourcePool", "deploymentResourcePools", _ALL),
    f"{_POOLS}/QueryDeployedModels": _assumed("aiplatform.deploymentResourcePools.queryDeployedModels"),
    f"{_PREDICTIONS}/Predict": Permission("aiplatform.endpoints.predict"),
    f"{_PREDICTIONS}/RawPredict": Permission("aiplatform.endpoints.predict"),
    f"{_PREDICTIONS}/StreamRawPredict": _assumed("aiplatform.endpoints.predict"),
    f"{_PREDICTIONS}/Explain": Permission("aiplatform.endpoints.explain"),
    **_standard(_JOBS, "CustomJob", "customJobs", _JOB),
    **_standard(_JOBS, "BatchPredictionJob", "batchPredictionJobs", _JOB),
    **_standard(_PIPELINES, "TrainingPipeline", "trainingPipelines", _JOB),
    **_standard(_PIPELINES, "PipelineJob", "pipelineJobs", _JOB),
    f"{_OPERATIONS}/GetOperation": Permission(f"aiplatform.{OWN_COLLECTION}.get"),
    f"{_OPERATIONS}/WaitOperation": _assumed(f"aiplatform.{OWN_COLLECTION}.get"),
    f"{_OPERATIONS}/ListOperations": Permission("aiplatform.operations.list"),
    f"{_OPERATIONS}/CancelOperation": _assumed(f"aiplatform.{OWN_COLLECTION}.update"),
    f"{_OPERATIONS}/DeleteOperation": _assumed(f"aiplatform.{OWN_COLLECTION}.delete"),
    f"{_LOCATIONS}/GetLocation": _assumed("aiplatform.locations.get"),
    f"{_LOCATIONS}/ListLocations": _assumed("aiplatform.locations.list"),
    f"{_METRICS}/ListTimeSeries": Permission("monitoring.timeSeries.list"),
    f"{_METRICS}/CreateTimeSeries": Permission("monitoring.timeSeries.create"),
    **_standard(_METRICS, "MetricDescriptor", "metricDescriptors", "Create Get List Delete"),
    **_standard(_POLICIES, "AlertPolicy", "alertPolicies", _ALL, "AlertPolicies"),
    **_standard(_CHANNELS, "NotificationChannel", "notificationChannels", _ALL),
    **_standard(_CHANNELS, "NotificationChannelDescriptor", "notificationChannelDescriptors", "Get List"),
}
"""By the full name of the method."""


@dataclass(frozen=True)
class Used:
    """A permission that was needed."""

    permission: str
    caller: str
    method: str
    calls: int
    is_verified: bool


class PermissionLog:
    """Counts the permissions that calls needed, by caller; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: Counter[tuple[str, str, str]] = Counter()

    def note(self, method: str, resource: str) -> None:
        """Count a call of a method, by its full name, about a resource."""
        name = PERMISSIONS[method].name
        if OWN_COLLECTION in name:
            name = name.replace(OWN_COLLECTION, _collection(resource))
        with self._lock:
            self._used[name, _caller.get(), method] += 1

    def used(self) -> list[Used]:
        """Return what was needed so far, in order of name."""
        with self._lock:
            counts = dict(self._used)
        return [
            Used(permission, caller, method, calls, PERMISSIONS[method].is_verified)
            for (permission, caller, method), calls in sorted(counts.items())
        ]

    def calls(self) -> Counter[str]:
        """Return how many calls needed each permission so far, by whomever."""
        calls: Counter[str] = Counter()
        with self._lock:
            for (permission, _, _), number in self._used.items():
                calls[permission] += number
        return calls

    def clear(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._used.clear()


class called_by:  # noqa: N801  (a context manager, used like a function)
    """Count what is called meanwhile for a caller: its name, else the first part of its user agent."""

    __slots__ = ("_caller", "_token")
    _token: Token[str]

    def __init__(self, caller: str, user_agent: str = "") -> None:
        self._caller = caller or user_agent.partition(" ")[0]

    def __enter__(self) -> None:
        """Begin."""
        self._token = _caller.set(self._caller)

    def __exit__(self, *_: object) -> None:
        """End."""
        _caller.reset(self._token)


def caller_of(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[str, str]:
    """Return what the metadata of a gRPC call say of who made it: a name, and a user agent."""
    name = agent = ""
    for key, value in metadata:
        if key == CALLER_HEADER:
            name = str(value)
        elif key == "user-agent":
            agent = str(value)
    return name, agent


def _collection(resource: str) -> str:
    """Return the collection of the resource whose operation it is, ``operations`` for one of a location."""
    found = re.match(r"projects/[^/]+/locations/[^/]+/([A-Za-z]+)/", resource)
    return found[1] if found else "operations"
