"""What only this server offers: counts to look at and faults to switch on, over the same port.

A gRPC service with JSON bodies, so that it works across processes without generated code.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import grpc

from local.pubsub.errors import StatusError
from local.pubsub.faults import Faults
from local.pubsub.state import Broker

_SERVICE = "local.pubsub.Control"
_TIMEOUT = 10.0


class Control:
    """The server's side."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """What a gRPC server registers."""
        methods = {"Counts": self._counts, "SetFaults": self._set_faults, "SetMaxInFlight": self._set_max_in_flight}
        return grpc.method_handlers_generic_handler(
            _SERVICE, {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
        )

    def _counts(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        return json.dumps(self._broker.counts()).encode()

    def _set_faults(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        wanted = json.loads(request)
        try:
            self._broker.set_faults(wanted["subscription"], Faults(**wanted["faults"]))
        except StatusError as error:
            context.abort(error.code, str(error))
        return b"{}"

    def _set_max_in_flight(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        wanted = json.loads(request)
        try:
            self._broker.set_max_in_flight(wanted["subscription"], wanted["limit"])
        except StatusError as error:
            context.abort(error.code, str(error))
        return b"{}"


def counts(address: str) -> dict[str, dict[str, int]]:
    """The counts of the server at ``address`` (host:port), by full name of topic and subscription."""
    answer: dict[str, dict[str, int]] = _call(address, "Counts", {})
    return answer


def set_faults(address: str, subscription: str, faults: Faults) -> None:
    """Switch faults on or off, for the messages published to a subscription from now on."""
    _call(address, "SetFaults", {"subscription": subscription, "faults": asdict(faults)})


def set_max_in_flight(address: str, subscription: str, limit: int) -> None:
    """How many posts of a subscription may be under way at once."""
    _call(address, "SetMaxInFlight", {"subscription": subscription, "limit": limit})


def _call(address: str, method: str, request: dict[str, Any]) -> Any:
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{_SERVICE}/{method}", request_serializer=None, response_deserializer=None)
        return json.loads(call(json.dumps(request).encode(), timeout=_TIMEOUT))
