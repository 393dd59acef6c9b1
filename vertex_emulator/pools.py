"""DeploymentResourcePoolService: machines that several deployed models share (types/deployment_resource_pool_service.py)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from google.protobuf import empty_pb2

from vertex_emulator.errors import exists, invalid, missing, precondition
from vertex_emulator.filters import page
from vertex_emulator.load import LoadMeter
from vertex_emulator.machines import Machines, read_machines
from vertex_emulator.messages import Document, Message, copy_of, dumped, loaded, raw, replace_field, timestamp
from vertex_emulator.names import check_pool_id
from vertex_emulator.operations import Decided, Work
from vertex_emulator.replicas import ReplicaSet

if TYPE_CHECKING:
    from vertex_emulator.operations import Operations
    from vertex_emulator.state import State

_UPDATABLE = frozenset({"min_replica_count", "max_replica_count", "autoscaling_metric_specs"})


@dataclass
class Pool:
    """One pool; the models on it share its replicas and its load."""

    message: Message
    machines: Machines
    replicas: ReplicaSet
    meter: LoadMeter = field(default_factory=LoadMeter)


class Pools:
    """Serves DeploymentResourcePoolService."""

    def __init__(self, state: State, operations: Operations) -> None:
        self._state = state
        self._operations = operations
        self._pools: dict[str, Pool] = {}
        self._being_created: set[str] = set()
        operations.make("CreateDeploymentResourcePool", self._creating)
        operations.make("UpdateDeploymentResourcePool", self._updating)
        operations.make("DeleteDeploymentResourcePool", self._deleting)

    def CreateDeploymentResourcePool(self, request: Any) -> Any:
        """Begin to create a pool; it is invisible until the operation is done."""
        parent = self._state.projects.location(request.parent)
        check_pool_id(request.deployment_resource_pool_id)
        name = f"{parent}/deploymentResourcePools/{request.deployment_resource_pool_id}"
        if name in self._pools or name in self._being_created:
            exists(f"The DeploymentResourcePool {name}")
        wanted = copy_of(request.deployment_resource_pool)
        self._machines(wanted)
        wanted.name = name
        return self._begin("Create", name, request, self._state.config.durations.create_endpoint, {"pool": wanted})

    def _creating(self, name: str, _: Message, decided: Decided) -> Work:
        wanted: Message = decided["pool"]
        self._being_created.add(name)

        def finish(now: datetime) -> Message:
            self._being_created.discard(name)
            wanted.create_time.CopyFrom(timestamp(now))
            machines = self._machines(wanted)
            replicas = ReplicaSet(machines.min_replicas, machines.max_replicas, machines.target)
            self._pools[name] = Pool(wanted, machines, replicas)
            return wanted

        return Work(finish, abandon=lambda: self._being_created.discard(name))

    def GetDeploymentResourcePool(self, request: Any) -> Any:
        """Return one pool."""
        return self.find(request.name).message

    def ListDeploymentResourcePools(self, request: Any) -> Any:
        """List the pools of a location."""
        prefix = f"{self._state.projects.location(request.parent)}/deploymentResourcePools/"
        found = [pool.message for name, pool in self._pools.items() if name.startswith(prefix)]
        shown, token = page(found, request.page_size, request.page_token)
        return raw("ListDeploymentResourcePoolsResponse")(deployment_resource_pools=shown, next_page_token=token)

    def UpdateDeploymentResourcePool(self, request: Any) -> Any:
        """Begin to change a pool's replica limits or autoscaling."""
        pool = self.find(request.deployment_resource_pool.name)
        wanted = copy_of(pool.message)
        paths = list(request.update_mask.paths)
        if not paths:
            invalid("update_mask is required.")
        for path in paths:
            head, _, name = path.partition(".")
            if head != "dedicated_resources" or name not in _UPDATABLE:
                invalid(f"Field {path!r} of a DeploymentResourcePool cannot be updated.")
            replace_field(wanted.dedicated_resources, request.deployment_resource_pool.dedicated_resources, name)
        self._machines(wanted)
        return self._begin("Update", wanted.name, request, self._state.config.durations.mutate, {"pool": wanted})

    def _updating(self, name: str, _: Message, decided: Decided) -> Work:
        wanted: Message = decided["pool"]

        def finish(now: datetime) -> Message:
            pool = self.find(name)
            pool.message.CopyFrom(wanted)
            pool.machines = machines = self._machines(pool.message)
            pool.replicas.set_limits(machines.min_replicas, machines.max_replicas, machines.target, now)
            return wanted

        return Work(finish)

    def DeleteDeploymentResourcePool(self, request: Any) -> Any:
        """Begin to delete a pool; refused while models are deployed on it."""
        name = self.find(request.name).message.name
        self._check_unused(name)
        return self._begin("Delete", name, request, self._state.config.durations.delete)

    def _deleting(self, name: str, _: Message, __: Decided) -> Work:
        def finish(_: datetime) -> Message:
            self._check_unused(name)
            self._pools.pop(name, None)
            return empty_pb2.Empty()

        return Work(finish)

    def _check_unused(self, name: str) -> None:
        if users := self._users(name):
            precondition(f"{name} is used by DeployedModel {users[0][1].id} of {users[0][0]}: undeploy it first.")

    def QueryDeployedModels(self, request: Any) -> Any:
        """List the deployed models on a pool."""
        name = self.find(request.deployment_resource_pool).message.name
        users = self._users(name)
        shown, token = page(users, request.page_size, request.page_token)
        response = raw("QueryDeployedModelsResponse")(
            next_page_token=token,
            total_deployed_model_count=len(users),
            total_endpoint_count=len({endpoint for endpoint, _ in users}),
        )
        for endpoint, deployed_model in shown:
            response.deployed_models.append(deployed_model)
            response.deployed_model_refs.add(endpoint=endpoint, deployed_model_id=deployed_model.id)
        return response

    def find(self, name: str) -> Pool:
        """Return a pool by its name."""
        stored, _ = self._state.projects.resource(name, "deploymentResourcePools")
        pool = self._pools.get(stored)
        if pool is None:
            missing(f"The DeploymentResourcePool {name}")
        return pool

    def _machines(self, message: Message) -> Machines:
        if not message.HasField("dedicated_resources"):
            invalid("deployment_resource_pool.dedicated_resources is required.")
        holder = raw("DeployedModel")(dedicated_resources=message.dedicated_resources)
        machines = read_machines(holder, self._state.config.machine_types)
        message.dedicated_resources.CopyFrom(holder.dedicated_resources)
        return machines

    def _users(self, pool: str) -> list[tuple[str, Message]]:
        return [
            (name, deployed_model)
            for name, endpoint in self._state.endpoints.items()
            for deployed_model in endpoint.deployed_models
            if deployed_model.shared_resources == pool
        ]

    def dump(self) -> list[Document]:
        """Return all pools as JSON has them."""
        return [{"pool": dumped(p.message), "replicas": p.replicas.dump()} for p in self._pools.values()]

    def load(self, documents: Iterable[Document], shift: timedelta) -> None:
        """Take over pools that were dumped."""
        for document in documents:
            message = loaded(document["pool"])
            machines = self._machines(message)
            replicas = ReplicaSet(machines.min_replicas, machines.max_replicas, machines.target)
            replicas.load(document["replicas"], shift)
            self._pools[message.name] = Pool(message, machines, replicas)

    def clear(self) -> None:
        """Forget all pools."""
        self._pools.clear()

    def _begin(
        self, verb: str, name: str, request: Any, duration: float, decided: Decided = MappingProxyType({})
    ) -> Any:
        kind = "DeleteOperationMetadata" if verb == "Delete" else f"{verb}DeploymentResourcePoolOperationMetadata"
        method = f"{verb}DeploymentResourcePool"
        return self._operations.begin(method, name, request, raw(kind)(), duration, decided)
