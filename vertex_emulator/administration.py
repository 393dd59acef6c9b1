"""What only an emulator can do: plan faults, save its state, inject metrics, say what was asked of it.

One table of calls, JSON in and JSON out, over REST under ``/emulator/v1/`` and over gRPC as a service of its own on the same port:
``vertex_emulator.v1.Administration/METHOD``, whose messages are ``google.protobuf.StringValue`` with the JSON text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import wrappers_pb2

from vertex_emulator import methods
from vertex_emulator.errors import ApiError, invalid, missing, precondition
from vertex_emulator.faults import as_document, fault_from, known_names
from vertex_emulator.snapshots import FORMAT

if TYPE_CHECKING:
    from vertex_emulator.monitoring.server import Monitoring
    from vertex_emulator.server import Emulator

SERVICE = "vertex_emulator.v1.Administration"
PATH = "/emulator/v1/"
LARGEST_MESSAGE = 512 * 2**20
"""Bytes; a saved state is one message."""
Document = Mapping[str, Any]
_ROUTES = (
    ("POST", r"faults", "PlanFault"),
    ("GET", r"faults", "ListFaults"),
    ("DELETE", r"faults(?:/(?P<id>\d+))?", "ClearFaults"),
    ("POST", r"state:save", "SaveState"),
    ("POST", r"state:load", "LoadState"),
    ("POST", r"state:reset", "ResetState"),
    ("POST", r"metrics", "InjectMetrics"),
    ("POST", r"metrics:delay", "SetMetricsDelay"),
    ("GET", r"permissions", "ListPermissions"),
    ("DELETE", r"permissions", "ClearPermissions"),
    ("GET", r"requests", "ListRequests"),
)


class Administration:
    """The calls by which the emulator itself is handled; ``monitoring`` is there where it is served too."""

    def __init__(self, emulator: Emulator, monitoring: Monitoring | None = None) -> None:
        self._emulator = emulator
        self._monitoring = monitoring
        self._known: frozenset[str] = frozenset()
        self._calls: dict[str, Callable[[Document], Document]] = {
            "PlanFault": self._plan_fault,
            "ListFaults": self._list_faults,
            "ClearFaults": self._clear_faults,
            "SaveState": self._save,
            "LoadState": self._load,
            "ResetState": self._reset,
            "InjectMetrics": self._inject,
            "SetMetricsDelay": self._delay,
            "ListPermissions": self._list_permissions,
            "ClearPermissions": self._clear_permissions,
            "ListRequests": self._list_requests,
        }

    def call(self, name: str, request: Document) -> Document:
        """Carry out one call; raises ``ApiError`` for a request that cannot be understood."""
        try:
            return self._calls[name](request)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return invalid(f"{name}: {error}")

    def calls(self) -> list[str]:
        """Return the names of all calls."""
        return list(self._calls)

    def over_http(self, verb: str, path: str, body: bytes) -> Document:
        """Carry out what an HTTP request means."""
        for allowed, pattern, name in _ROUTES:
            match = re.fullmatch(pattern, path.removeprefix(PATH))
            if match and verb == allowed:
                found = {key: value for key, value in match.groupdict().items() if value}
                return self.call(name, {**_read(body), **found})
        return missing(f"The requested URL {path} for {verb}")

    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """Return the gRPC service."""

        def serve(name: str) -> grpc.RpcMethodHandler[Any, Any]:
            def behave(request: Any, context: grpc.ServicerContext) -> Any:
                try:
                    answer = self.call(name, _read(request.value.encode()))
                except ApiError as error:
                    context.abort(error.code, error.message)
                return wrappers_pb2.StringValue(value=json.dumps(answer))

            return grpc.unary_unary_rpc_method_handler(
                behave,
                request_deserializer=wrappers_pb2.StringValue.FromString,
                response_serializer=wrappers_pb2.StringValue.SerializeToString,
            )

        return grpc.method_handlers_generic_handler(SERVICE, {name: serve(name) for name in self._calls})

    def _plan_fault(self, request: Document) -> Document:
        if not self._known:
            vertex = [f"{service}/{name}" for service, names in methods.all_services().items() for name in names]
            self._known = known_names([*vertex, *(self._monitoring.methods() if self._monitoring else ())])
        fault = fault_from(request, self._known)
        return as_document(self._emulator.faults.plan(fault), fault, 0)

    def _list_faults(self, _: Document) -> Document:
        return {"faults": [as_document(*planned) for planned in self._emulator.faults.listed()]}

    def _clear_faults(self, request: Document) -> Document:
        id_ = str(request.get("id", ""))
        if not self._emulator.faults.clear(id_) and id_:
            missing(f"The fault {id_}")
        return {}

    def _save(self, request: Document) -> Document:
        state = self._emulator.save()
        if "file" not in request:
            return {"state": state}
        write_state(Path(request["file"]), state)
        return {"file": request["file"]}

    def _load(self, request: Document) -> Document:
        if "file" not in request and "state" not in request:
            invalid("LoadState needs a state, as SaveState answers it, or the file that it is in.")
        self._emulator.load(read_state(Path(request["file"])) if "file" in request else request["state"])
        return {}

    def _reset(self, _: Document) -> Document:
        self._emulator.reset()
        return {}

    def _inject(self, request: Document) -> Document:
        return {"points": self._served_monitoring().inject(request["series"])}

    def _delay(self, request: Document) -> Document:
        by_metric = {metric: float(seconds) for metric, seconds in request.get("by_metric", {}).items()}
        default = request.get("default")
        self._served_monitoring().sink.set_delays(None if default is None else float(default), by_metric)
        return {}

    def _list_permissions(self, _: Document) -> Document:
        return {"permissions": [asdict(used) for used in self._emulator.permissions_used]}

    def _clear_permissions(self, _: Document) -> Document:
        self._emulator.permissions.clear()
        return {}

    def _list_requests(self, _: Document) -> Document:
        return {"requests": self._emulator.logged_requests()}

    def _served_monitoring(self) -> Monitoring:
        if self._monitoring is None:
            precondition("Cloud Monitoring is not served here.")
        return self._monitoring


def read_state(path: Path) -> dict[str, Any]:
    """Return a saved state from a file; ``ApiError`` says why there is none."""
    try:
        state = json.loads(path.read_text())
    except OSError as error:
        missing(f"The state file {path} ({error.strerror})")
    except ValueError as error:
        invalid(f"The state file {path} is not JSON: {error}.")
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        invalid(f"The file {path} is not a saved state of this version ({FORMAT}).")
    return state


def write_state(path: Path, state: Document) -> None:
    """Write a state to a file, whole or not at all."""
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_text(json.dumps(state))
        beside.replace(path)
    except OSError as error:
        precondition(f"The state file {path} cannot be written: {error.strerror}.")


def _read(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body) if body.strip() else {}
    except ValueError as error:
        invalid(f"The request is not JSON: {error}.")
    if not isinstance(document, dict):
        invalid("The request must be a JSON object.")
    return document
