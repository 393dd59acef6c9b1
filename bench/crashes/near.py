"""A channel to servers of the same process: calls go from the client straight to the handler, without a socket and without a thread.

Everything but the transport is as it is over the network: Google's clients and their retries, serialised messages, metadata, status codes.
A call costs a tenth of one over a socket, and much less where the machine has other work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import grpc

from bench.crashes.faults import InjectedError

_UNARY = ("request_streaming", "response_streaming")


class RefusedError(InjectedError):
    """The status with which a handler ended a call."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(code, details)
        self.trailing: tuple[Any, ...] = ()

    def trailing_metadata(self) -> tuple[Any, ...]:
        return self.trailing


class _Context:
    """What a handler asks of its call."""

    def __init__(self, metadata: Iterable[tuple[str, Any]]) -> None:
        self._metadata = tuple(metadata)
        self.initial: tuple[Any, ...] = ()
        self.trailing: tuple[Any, ...] = ()

    def invocation_metadata(self) -> tuple[Any, ...]:
        return self._metadata

    def send_initial_metadata(self, metadata: Iterable[Any]) -> None:
        self.initial = tuple(metadata)

    def set_trailing_metadata(self, metadata: Iterable[Any]) -> None:
        self.trailing = tuple(metadata)

    def is_active(self) -> bool:
        return True

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        error = RefusedError(code, details)
        error.trailing = self.trailing
        raise error


class _Ended:
    """A call that went well."""

    def __init__(self, context: _Context) -> None:
        self._context = context

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK

    def details(self) -> str:
        return ""

    def initial_metadata(self) -> tuple[Any, ...]:
        return self._context.initial

    def trailing_metadata(self) -> tuple[Any, ...]:
        return self._context.trailing


class _Unary:
    """One method."""

    def __init__(self, handler: Any, method: str, serialize: Any, deserialize: Any) -> None:
        self._handler, self._method = handler, method
        self._serialize, self._deserialize = serialize, deserialize

    def __call__(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self.with_call(request, *args, **kwargs)[0]

    def with_call(self, request: Any, timeout: float | None = None, metadata: Any = None, **_: Any) -> tuple[Any, Any]:
        """The answer, and how the call ended; raises ``RefusedError``."""
        handler = self._handler
        if handler is None or any(getattr(handler, name) for name in _UNARY):
            raise RefusedError(grpc.StatusCode.UNIMPLEMENTED, f"{self._method} is not served to its own process")
        context = _Context(metadata or ())
        asked = handler.request_deserializer(self._serialize(request))
        answer = handler.unary_unary(asked, context)
        sent = handler.response_serializer(answer) if handler.response_serializer else answer
        return self._deserialize(sent), _Ended(context)


class _Details(grpc.HandlerCallDetails):
    """What a server tells to find the handler of a call."""

    def __init__(self, method: str) -> None:
        self.method, self.invocation_metadata = method, ()


class NearChannel(grpc.Channel):
    """A channel to handlers; unary methods only, which are all that the functions call."""

    def __init__(self, handlers: Sequence[grpc.GenericRpcHandler[Any, Any]]) -> None:
        self._handlers = handlers

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, _: Any = None
    ) -> Any:
        details = _Details(method)
        found = (handler.service(details) for handler in self._handlers)
        handler = next((one for one in found if one is not None), None)
        return _Unary(handler, method, request_serializer, response_deserializer)

    def unary_stream(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError

    stream_unary = stream_stream = unary_stream

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:
        """Always there."""

    def unsubscribe(self, callback: Any) -> None:
        """Nobody was told."""

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> NearChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
