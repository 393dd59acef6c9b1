"""EndpointService, all but deployments: create, read, update, delete (types/endpoint.py, types/endpoint_service.py)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from google.protobuf import empty_pb2

from vertex_emulator.errors import exists, invalid, missing, precondition
from vertex_emulator.filters import compile_filter, order, page
from vertex_emulator.history import DeployedSnapshot, EndpointSnapshot
from vertex_emulator.messages import Message, copy_of, moment, raw, replace_field, timestamp
from vertex_emulator.names import check_endpoint_id, check_labels, last_segment, location_of
from vertex_emulator.operations import Decided, Work
from vertex_emulator.splits import check_split

if TYPE_CHECKING:
    from vertex_emulator.filters import Fields
    from vertex_emulator.fleet import Fleet
    from vertex_emulator.history import History
    from vertex_emulator.operations import Operations
    from vertex_emulator.request_log import RequestLog
    from vertex_emulator.state import State

_UPDATABLE = frozenset(
    {"display_name", "description", "labels", "traffic_split", "predict_request_response_logging_config"}
)
_LONG_RUNNING = ("client_connection_config", "predict_request_response_logging_config")
_UNROUTED = frozenset({"description", "labels"})
"""Fields that neither a prediction nor the history of traffic has to do with."""
_ORDER = ("display_name", "create_time", "update_time")
_OUTPUT_ONLY = ("deployed_models", "etag", "create_time", "update_time", "dedicated_endpoint_dns")


class Endpoints:
    """Serves EndpointService but for DeployModel, UndeployModel and MutateDeployedModel."""

    def __init__(
        self, state: State, operations: Operations, fleet: Fleet, history: History, request_log: RequestLog
    ) -> None:
        self._state = state
        self._operations = operations
        self._fleet = fleet
        self._history = history
        self._request_log = request_log
        self._being_created: set[str] = set()
        operations.make("CreateEndpoint", self._creating)
        operations.make("UpdateEndpointLongRunning", self._updating)
        operations.make("DeleteEndpoint", self._deleting)
        self.undeploying: set[tuple[str, str]] = set()
        """(endpoint, deployed model) of the undeployments that are under way."""

    def CreateEndpoint(self, request: Any) -> Any:
        """Begin to create an endpoint; it is invisible until the operation is done."""
        parent = self._state.projects.location(request.parent)
        if not request.endpoint.display_name:
            invalid("endpoint.display_name is required.")
        check_labels(request.endpoint.labels)
        check_split(request.endpoint.traffic_split, ())
        if request.endpoint_id:
            check_endpoint_id(request.endpoint_id)
        name = f"{parent}/endpoints/{request.endpoint_id or self._state.new_id()}"
        if name in self._state.endpoints or name in self._being_created:
            exists(f"The Endpoint {name}")
        return self._operations.begin(
            "CreateEndpoint",
            name,
            request,
            raw("CreateEndpointOperationMetadata")(),
            self._state.config.durations.create_endpoint,
        )

    def _creating(self, name: str, request: Message, _: Decided) -> Work:
        self._being_created.add(name)

        def finish(now: datetime) -> Message:
            self._being_created.discard(name)
            self._add(name, request.endpoint, now)
            return raw("Endpoint")(name=name)  # sparse: read the endpoint again before using its etag

        return Work(finish, abandon=lambda: self._being_created.discard(name))

    def GetEndpoint(self, request: Any) -> Any:
        """Return an endpoint with the deployed models whose deployment is complete."""
        return self._view(self.find(request.name))

    def ListEndpoints(self, request: Any) -> Any:
        """List the endpoints of a location."""
        parent = self._state.projects.location(request.parent)
        matches = compile_filter(request.filter, ("endpoint", "display_name", "labels", "base_model_name"))
        here = f"{parent}/endpoints/"
        found = [
            endpoint
            for name, endpoint in self._state.endpoints.items()
            if name.startswith(here) and (not request.filter or matches(_fields(endpoint)))
        ]
        found = order(found, request.order_by, _fields, _ORDER)
        shown, token = page(found, request.page_size, request.page_token)
        return raw("ListEndpointsResponse")(endpoints=[self._view(entry) for entry in shown], next_page_token=token)

    def UpdateEndpoint(self, request: Any) -> Any:
        """Update fields at once; maps are replaced whole, and an etag that was sent must be the present one."""
        endpoint = self.find(request.endpoint.name)
        paths = set(request.update_mask.paths)
        if not paths:
            invalid("update_mask is required.")
        if unknown := sorted(paths - _UPDATABLE):
            invalid(f"Field {unknown[0]!r} of an endpoint cannot be updated.")
        self._state.check_etag(request.endpoint.etag, endpoint.etag)
        if "display_name" in paths and not request.endpoint.display_name:
            invalid("endpoint.display_name must not be empty.")
        if "labels" in paths:
            check_labels(request.endpoint.labels)
        if "traffic_split" in paths:
            self.check_new_split(endpoint, request.endpoint.traffic_split)
        for path in paths:
            replace_field(endpoint, request.endpoint, path)
        now = self._state.clock()
        self._renew(endpoint, now)
        if not paths <= _UNROUTED:
            self.follow(endpoint, now)
        return self._view(endpoint)

    def UpdateEndpointLongRunning(self, request: Any) -> Any:
        """Begin to update what only this method may: the connection's configuration, and request-response logging.

        The protocol names ``client_connection_config`` alone; the documentation of dedicated endpoints sends the logging
        configuration too. Either is taken over where the request has it.
        """
        endpoint = self.find(request.endpoint.name)
        return self._operations.begin(
            "UpdateEndpointLongRunning",
            endpoint.name,
            request,
            raw("UpdateEndpointOperationMetadata")(),
            self._state.config.durations.mutate,
        )

    def _updating(self, name: str, request: Message, _: Decided) -> Work:
        def finish(now: datetime) -> Message:
            current = self.find(name)
            for field in _LONG_RUNNING:
                if request.endpoint.HasField(field):
                    replace_field(current, request.endpoint, field)
            self.changed(current, now)
            return self._view(current)

        return Work(finish)

    def DeleteEndpoint(self, request: Any) -> Any:
        """Begin to delete an endpoint; refused while models are deployed."""
        name = self.find(request.name).name
        self._check_empty(name)
        return self._operations.begin(
            "DeleteEndpoint",
            name,
            request,
            raw("DeleteOperationMetadata")(),
            self._state.config.durations.delete,
        )

    def _deleting(self, name: str, _: Message, __: Decided) -> Work:
        def finish(_: datetime) -> Message:
            self._check_empty(name)
            self._state.endpoints.pop(name, None)
            self._fleet.forget(name)
            return empty_pb2.Empty()

        return Work(finish)

    def _check_empty(self, name: str) -> None:
        endpoint = self._state.endpoints.get(name)
        if endpoint is not None and endpoint.deployed_models:
            ids = ", ".join(deployed.id for deployed in endpoint.deployed_models)
            precondition(f"{name} has deployed models ({ids}): undeploy them first.")

    def find(self, name: str) -> Message:
        """Return the stored endpoint of a name."""
        stored, _ = self._state.projects.resource(name, "endpoints")
        endpoint = self._state.endpoints.get(stored)
        if endpoint is None:
            missing(f"The Endpoint {name}")
        return endpoint

    def check_new_split(self, endpoint: Message, split: Any) -> None:
        """Refuse a split that breaks the rules, or gives traffic to a model that is being undeployed."""
        check_split(split, {deployed.id for deployed in endpoint.deployed_models})
        for deployed_id, share in split.items():
            if share and (endpoint.name, deployed_id) in self.undeploying:
                precondition(f"DeployedModel {deployed_id} is being undeployed and cannot get traffic.")

    def changed(self, endpoint: Message, now: datetime) -> None:
        """Complete a change: new etag, new route, one more entry of the history if traffic or models changed."""
        self._renew(endpoint, now)
        self.follow(endpoint, now)

    def _renew(self, endpoint: Message, now: datetime) -> None:
        endpoint.etag = self._state.new_etag()
        endpoint.update_time.CopyFrom(timestamp(now))

    def follow(self, endpoint: Message, now: datetime) -> None:
        """Let predictions and logs go by an endpoint as it is now, and note it in the history."""
        self._fleet.reroute(endpoint)
        self._request_log.follow(endpoint)
        deployed = tuple(
            DeployedSnapshot(
                entry.id,
                entry.model.partition("@")[0],
                entry.model_version_id,
                self._fleet.get(endpoint.name, entry.id).replicas.ready(now),
            )
            for entry in endpoint.deployed_models
        )
        snapshot = EndpointSnapshot(now, endpoint.name, dict(endpoint.traffic_split), deployed)
        self._history.record(snapshot)

    def _add(self, name: str, wanted: Message, now: datetime) -> None:
        endpoint = copy_of(wanted)
        for field in _OUTPUT_ONLY:
            endpoint.ClearField(field)
        endpoint.name = name
        endpoint.create_time.CopyFrom(timestamp(now))
        if endpoint.dedicated_endpoint_enabled:
            endpoint.dedicated_endpoint_dns = self._state.config.dedicated_dns.format(
                endpoint=last_segment(name),
                region=location_of(name),
                number=name.split("/")[1],
                address=self._state.address,
                rest=self._state.rest_address,
            )
        self._state.endpoints[name] = endpoint
        self.changed(endpoint, now)

    def _view(self, endpoint: Message) -> Message:
        now = self._state.clock()
        view = copy_of(endpoint)
        for deployed in view.deployed_models:
            deployed.status.available_replica_count = self._fleet.get(endpoint.name, deployed.id).replicas.ready(now)
            deployed.status.last_update_time.CopyFrom(timestamp(now))
        return view


def _fields(endpoint: Message) -> Fields:
    values = {
        "endpoint": last_segment(endpoint.name),
        "display_name": endpoint.display_name,
        "labels": dict(endpoint.labels),
        "base_model_name": "",
        "create_time": moment(endpoint.create_time),
        "update_time": moment(endpoint.update_time),
    }
    return values.get
