"""DeployModel, UndeployModel, MutateDeployedModel (types/endpoint_service.py).

A deployed model is visible only once its operation is done, and a failed deployment leaves nothing behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import grpc
from google.cloud.aiplatform_v1.types import DeploymentStage

from vertex_emulator.config import AT_START
from vertex_emulator.errors import ApiError, invalid, missing, precondition
from vertex_emulator.fleet import Deployment
from vertex_emulator.load import LoadMeter
from vertex_emulator.machines import read_machines
from vertex_emulator.messages import Message, copy_of, raw, replace_field, timestamp
from vertex_emulator.names import check_deployed_model_id, location_of
from vertex_emulator.operations import Decided, Work
from vertex_emulator.replicas import ReplicaSet
from vertex_emulator.splits import BEING_DEPLOYED, check_split

if TYPE_CHECKING:
    from vertex_emulator.endpoints import Endpoints
    from vertex_emulator.fleet import Fleet
    from vertex_emulator.operations import Operations
    from vertex_emulator.pools import Pool, Pools
    from vertex_emulator.registry import Registry
    from vertex_emulator.serving.contract import ModelServer
    from vertex_emulator.serving.launcher import Launcher
    from vertex_emulator.state import State

_STAGES = (
    DeploymentStage.STARTING_DEPLOYMENT,
    DeploymentStage.PREPARING_MODEL,
    DeploymentStage.CREATING_SERVING_CLUSTER,
    DeploymentStage.ADDING_NODES_TO_CLUSTER,
    DeploymentStage.GETTING_CONTAINER_IMAGE,
    DeploymentStage.STARTING_MODEL_SERVER,
    DeploymentStage.FINISHING_UP,
)
_MUTABLE = {
    "dedicated_resources": frozenset(
        {"min_replica_count", "max_replica_count", "required_replica_count", "autoscaling_metric_specs"}
    ),
    "automatic_resources": frozenset({"min_replica_count", "max_replica_count"}),
}


@dataclass(eq=False)
class _Pending:
    """A deployment under way."""

    endpoint: str
    id: str
    replicas: int
    """What it counts against the quota."""


class Deployments:
    """Serves the deployment methods of EndpointService."""

    def __init__(
        self,
        state: State,
        operations: Operations,
        registry: Registry,
        endpoints: Endpoints,
        fleet: Fleet,
        launcher: Launcher,
        pools: Pools,
    ) -> None:
        self._state = state
        self._operations = operations
        self._registry = registry
        self._endpoints = endpoints
        self._fleet = fleet
        self._launcher = launcher
        self._pools = pools
        self._pending: list[_Pending] = []
        self._mutating: set[tuple[str, str]] = set()
        operations.make("DeployModel", self._deploying)
        operations.make("UndeployModel", self._undeploying)
        operations.make("MutateDeployedModel", self._changing)

    def DeployModel(self, request: Any) -> Any:
        """Begin to deploy a model; a split in the request takes effect at the end, an empty one leaves traffic alone."""
        endpoint = self._endpoints.find(request.endpoint)
        model, number = self._registry.find(request.deployed_model.model)
        version = model.versions[number]
        deployed = copy_of(request.deployed_model)
        is_shared = deployed.WhichOneof("prediction_resources") == "shared_resources"
        pool = self._pool(endpoint, deployed) if is_shared else None
        machines = pool.machines if pool else read_machines(deployed, self._state.config.machine_types)
        deployed.id = self._new_deployed_id(endpoint, deployed.id)
        self._check_split_of(endpoint, deployed.id, request.traffic_split)
        self._check_quota(endpoint, 0 if pool else machines.max_replicas)
        deployed.model = f"{model.name}@{number}"
        deployed.model_version_id = str(number)
        deployed.display_name = deployed.display_name or model.display_name
        return self._operations.begin(
            "DeployModel",
            endpoint.name,
            request,
            raw("DeployModelOperationMetadata")(),
            self._state.config.durations.deploy,
            {"deployed_model": deployed, "version": copy_of(version)},
        )

    def _deploying(self, name: str, request: Message, decided: Decided) -> Work:
        deployed: Message = decided["deployed_model"]
        deployment = self._deployment(name, deployed, decided["version"])
        is_shared = bool(deployed.shared_resources)
        pending = _Pending(name, deployed.id, 0 if is_shared else deployment.machines.max_replicas)

        def finish(now: datetime) -> Message:
            endpoint = self._endpoints.find(name)
            self._check_split_of(endpoint, deployed.id, request.traffic_split)
            self._make_room(endpoint, deployed.id)
            self._pending.remove(pending)
            deployment.endpoint_display_name = endpoint.display_name
            self._fleet.add(deployment)
            deployed.create_time.CopyFrom(timestamp(now))
            endpoint.deployed_models.append(deployed)
            if request.traffic_split:
                shares = {deployed.id if k == BEING_DEPLOYED else k: v for k, v in request.traffic_split.items()}
                endpoint.traffic_split.clear()
                endpoint.traffic_split.update(shares)
            self._endpoints.changed(endpoint, now)
            return raw("DeployModelResponse")(deployed_model=deployed)

        def abandon() -> None:
            if pending in self._pending:
                self._pending.remove(pending)
            self._launcher.discard(deployment.server)

        self._pending.append(pending)
        return Work(finish, deployment.server.is_ready, abandon, _describe_stage)

    def start_again(self, endpoint: Message) -> list[ModelServer]:
        """Start the servers of an endpoint that was loaded; they may need a while to be ready."""
        started = []
        for deployed in endpoint.deployed_models:
            model, number = self._registry.find(deployed.model)
            deployment = self._deployment(endpoint.name, deployed, model.versions[number])
            self._fleet.add(deployment)
            started.append(deployment.server)
        return started

    def _deployment(self, endpoint: str, deployed: Message, version: Message) -> Deployment:
        """Start a server for a deployed model, on machines of its own or on its pool's."""
        pool = self._pools.find(deployed.shared_resources) if deployed.shared_resources else None
        machines = pool.machines if pool else read_machines(deployed, self._state.config.machine_types)
        own = ReplicaSet(machines.min_replicas, machines.max_replicas, machines.target)
        model, _, number = deployed.model.partition("@")
        return Deployment(
            deployed.id,
            endpoint,
            model,
            number,
            deployed.display_name,
            "",
            machines,
            self._launcher.launch(version, endpoint, deployed.id),
            pool.replicas if pool else own,
            pool.meter if pool else LoadMeter(),
            can_explain=_can_explain(deployed, version),
        )

    def _make_room(self, endpoint: Message, deployed_id: str) -> None:
        """Refuse a deployment whose id is taken by now, or let it take the other's place, as the configuration says."""
        for position, entry in enumerate(endpoint.deployed_models):
            if entry.id == deployed_id:
                self._refuse_duplicate(endpoint.name, deployed_id)
                del endpoint.deployed_models[position]
                self._launcher.discard(self._fleet.remove(endpoint.name, deployed_id).server)
                return

    def _refuse_duplicate(self, endpoint: str, deployed_id: str) -> None:
        code = self._state.config.duplicate_deployed_model
        if code is not None:
            raise ApiError(code, f"The DeployedModel ID {deployed_id} already exists on {endpoint}.")

    def UndeployModel(self, request: Any) -> Any:
        """Begin to undeploy a model without traffic; it stays visible until the operation is done."""
        endpoint = self._endpoints.find(request.endpoint)
        deployed = self._deployed(endpoint, request.deployed_model_id)
        key = (endpoint.name, deployed.id)
        if key in self._endpoints.undeploying:
            precondition(f"DeployedModel {deployed.id} is already being undeployed.")
        is_last = len(endpoint.deployed_models) == 1
        self._unassign(endpoint, deployed.id, dict(request.traffic_split), is_last=is_last)

        return self._operations.begin(
            "UndeployModel",
            endpoint.name,
            request,
            raw("UndeployModelOperationMetadata")(),
            self._state.config.durations.undeploy,
        )

    def _undeploying(self, name: str, request: Message, _: Decided) -> Work:
        key = (name, request.deployed_model_id)

        def finish(now: datetime) -> Message:
            self._endpoints.undeploying.discard(key)
            endpoint = self._endpoints.find(name)
            position = [entry.id for entry in endpoint.deployed_models].index(key[1])
            del endpoint.deployed_models[position]
            endpoint.traffic_split.pop(key[1], None)
            gone = self._fleet.remove(*key)
            self._endpoints.changed(endpoint, now)
            self._launcher.discard(gone.server)
            return raw("UndeployModelResponse")()

        self._endpoints.undeploying.add(key)
        return Work(finish, abandon=lambda: self._endpoints.undeploying.discard(key))

    def MutateDeployedModel(self, request: Any) -> Any:
        """Begin to change a deployed model's replica limits or autoscaling; one such change at a time."""
        endpoint = self._endpoints.find(request.endpoint)
        deployed = self._deployed(endpoint, request.deployed_model.id)
        key = (endpoint.name, deployed.id)
        if key in self._mutating:
            precondition(f"DeployedModel {deployed.id} is already being mutated.")
        wanted = _mutated(deployed, request)
        machines = read_machines(wanted, self._state.config.machine_types)
        if key in self._endpoints.undeploying:
            precondition(f"DeployedModel {deployed.id} is being undeployed.")
        deployment = self._fleet.get(*key)
        self._check_quota(endpoint, machines.max_replicas - deployment.replicas.maximum)

        return self._operations.begin(
            "MutateDeployedModel",
            endpoint.name,
            request,
            raw("MutateDeployedModelOperationMetadata")(),
            self._state.config.durations.mutate,
            {"deployed_model": wanted},
        )

    def _changing(self, name: str, _: Message, decided: Decided) -> Work:
        wanted: Message = decided["deployed_model"]
        machines = read_machines(wanted, self._state.config.machine_types)
        key = (name, wanted.id)

        def finish(now: datetime) -> Message:
            self._mutating.discard(key)
            endpoint = self._endpoints.find(name)
            current = self._deployed(endpoint, key[1])
            current.CopyFrom(wanted)
            deployment = self._fleet.get(*key)
            deployment.machines = machines
            deployment.replicas.set_limits(machines.min_replicas, machines.max_replicas, machines.target, now)
            self._endpoints.changed(endpoint, now)
            return raw("MutateDeployedModelResponse")(deployed_model=current)

        self._mutating.add(key)
        return Work(finish, abandon=lambda: self._mutating.discard(key))

    def _pool(self, endpoint: Message, deployed: Message) -> Pool:
        pool = self._pools.find(deployed.shared_resources)
        if location_of(pool.message.name) != location_of(endpoint.name):
            invalid(f"{pool.message.name} is not in the endpoint's location, {location_of(endpoint.name)}.")
        deployed.shared_resources = pool.message.name
        return pool

    def _new_deployed_id(self, endpoint: Message, chosen: str) -> str:
        if not chosen:
            return self._state.new_id()
        check_deployed_model_id(chosen)
        taken = {entry.id for entry in endpoint.deployed_models}
        taken |= {pending.id for pending in self._pending if pending.endpoint == endpoint.name}
        if chosen in taken and self._state.config.duplicate_found == AT_START:
            self._refuse_duplicate(endpoint.name, chosen)
        return chosen

    def _check_split_of(self, endpoint: Message, deployed_id: str, split: Any) -> None:
        known = {entry.id for entry in endpoint.deployed_models} | {BEING_DEPLOYED}
        check_split(split, known - {deployed_id})
        others = {key: share for key, share in split.items() if key != BEING_DEPLOYED}
        for key, share in others.items():
            if share and (endpoint.name, key) in self._endpoints.undeploying:
                precondition(f"DeployedModel {key} is being undeployed and cannot get traffic.")

    def _check_quota(self, endpoint: Message, additional: int) -> None:
        limit = self._state.config.quotas.replicas
        location = endpoint.name.partition("/endpoints/")[0]
        pending = sum(entry.replicas for entry in self._pending if entry.endpoint.startswith(f"{location}/"))
        used = self._fleet.replicas_in(location) + pending
        if limit is not None and additional > 0 and used + additional > limit:
            raise ApiError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"The following quotas are exceeded: replicas in {location}: {used} used, {additional} asked for, "
                f"{limit} allowed.",
            )

    def _deployed(self, endpoint: Message, deployed_id: str) -> Message:
        for entry in endpoint.deployed_models:
            if entry.id == deployed_id:
                return entry
        return missing(f"The DeployedModel {deployed_id} of {endpoint.name}")

    def _unassign(self, endpoint: Message, deployed_id: str, split: dict[str, int], *, is_last: bool) -> None:
        """Apply the request's split, and refuse where the model would keep traffic.

        The last model's endpoint ends with an empty split whatever the request says (types/endpoint_service.py:
        UndeployModelRequest.traffic_split). The SDK and gcloud rely on it: they undeploy an only model that has all the
        traffic with no split at all.
        """
        if split.get(deployed_id, 0):
            precondition(f"traffic_split must not give traffic to DeployedModel {deployed_id}, which is undeployed.")
        if is_last and set(split) <= {deployed_id}:
            split = {}
        elif not split:
            if endpoint.traffic_split.get(deployed_id, 0):
                precondition(f"DeployedModel {deployed_id} has traffic: give it to others before it is undeployed.")
            return
        self._endpoints.check_new_split(endpoint, split)
        endpoint.traffic_split.clear()
        endpoint.traffic_split.update(split)
        self._endpoints.changed(endpoint, self._state.clock())


def _can_explain(deployed: Message, version: Message) -> bool:
    """Whether a deployed model explains: by its own specification or its model's (types/endpoint.py: explanation_spec)."""
    specified = deployed.HasField("explanation_spec") or version.HasField("explanation_spec")
    return specified and not deployed.disable_explanations


def _describe_stage(metadata: Message, progress: float) -> None:
    if progress < 0:
        stage = DeploymentStage.FAILED_TO_DEPLOY
    elif progress >= 1:
        stage = DeploymentStage.SUCCESSFULLY_DEPLOYED
    else:
        stage = _STAGES[int(progress * len(_STAGES))]
    metadata.deployment_stage = stage.value


def _mutated(deployed: Message, request: Any) -> Message:
    """Return the deployed model as the request's mask makes it."""
    paths = list(request.update_mask.paths)
    if not paths:
        invalid("update_mask is required.")
    wanted = copy_of(deployed)
    kind = deployed.WhichOneof("prediction_resources")
    for path in paths:
        if path == "disable_container_logging":
            wanted.disable_container_logging = request.deployed_model.disable_container_logging
            continue
        head, _, field = path.partition(".")
        if head != kind or field not in _MUTABLE[head]:
            invalid(f"Field {path!r} of a DeployedModel with {kind} cannot be mutated: deploy it anew.")
        replace_field(getattr(wanted, head), getattr(request.deployed_model, head), field)
    return wanted
