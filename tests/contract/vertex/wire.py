"""A gRPC server that keeps what it was sent and answers what a test has prepared.

For what the local Vertex AI cannot show: the exact request on the wire, and answers that it never gives.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from vertex_emulator.ports import fresh_port


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    method: str
    body: bytes
    routing: str
    """The header x-goog-request-params: how Google's front end finds the resource's region."""
    seconds: float
    """What was left of the deadline."""

    def read(self, kind: Any) -> Any:
        """The request as the protocol-buffer message of ``kind`` (a proto-plus class)."""
        return kind.pb().FromString(self.body)


Reply = bytes | grpc.StatusCode | tuple[grpc.StatusCode, str]


class Wire(grpc.GenericRpcHandler):
    """Answers each method with its prepared replies in turn; the last one is repeated."""

    def __init__(self) -> None:
        self.address = ""
        self.calls: list[Call] = []
        self._replies: dict[str, list[Reply]] = defaultdict(list)
        self._lock = threading.Lock()

    def answer(self, method: str, *replies: Any) -> None:
        """Prepare replies: messages (proto-plus or protocol buffer), status codes, or (status code, text)."""
        self._replies[method] = [
            reply if isinstance(reply, grpc.StatusCode | tuple) else _serialised(reply) for reply in replies
        ]

    def methods(self) -> list[str]:
        """The methods called so far, in order."""
        return [call.method for call in self.calls]

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method.rpartition("/")[2]

        def serve(body: bytes, context: grpc.ServicerContext) -> bytes:
            headers = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
            with self._lock:
                call = Call(method, body, headers.get("x-goog-request-params", ""), context.time_remaining() or 0)
                self.calls.append(call)
                replies = self._replies[method]
                reply: Reply = grpc.StatusCode.UNIMPLEMENTED
                if replies:
                    reply = replies.pop(0) if len(replies) > 1 else replies[0]
            if isinstance(reply, bytes):
                return reply
            code, text = reply if isinstance(reply, tuple) else (reply, "as prepared by the test")
            context.abort(code, text)
            raise AssertionError("abort raises")

        return grpc.unary_unary_rpc_method_handler(serve)


def _serialised(message: Any) -> bytes:
    serialise: Callable[[Any], bytes] = getattr(type(message), "serialize", lambda m: m.SerializeToString())
    return serialise(message)


@contextmanager
def serving(*handlers: grpc.GenericRpcHandler) -> Iterator[str]:
    """A plaintext server on this machine for as long as the block lasts; its address."""
    with ThreadPoolExecutor(max_workers=4) as workers:
        server = grpc.server(workers)
        port = fresh_port(server.add_insecure_port)
        server.add_generic_rpc_handlers(handlers)
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(grace=None).wait()
