"""A service as a table of functions: requests in, answers out, refusals as gRPC status."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc

from local.pubsub.errors import StatusError

Handler = Callable[[Any, grpc.ServicerContext], Any]


def unary(handler: Handler, request_type: Any) -> grpc.RpcMethodHandler[Any, Any]:
    """A method with one request, raw protobuf classes on both sides (proto-plus would double the cost of a call)."""

    def call(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return handler(request, context)
        except StatusError as error:
            context.abort(error.code, str(error))

    return grpc.unary_unary_rpc_method_handler(call, request_type.FromString, _serialize)


def streaming(
    handler: Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]], request_type: Any
) -> grpc.RpcMethodHandler[Any, Any]:
    """A method with a stream in each direction."""

    def call(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from handler(requests, context)
        except StatusError as error:
            context.abort(error.code, str(error))

    return grpc.stream_stream_rpc_method_handler(call, request_type.FromString, _serialize)


def service(name: str, methods: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> grpc.GenericRpcHandler[Any, Any]:
    """The methods under one service's name; the others answer UNIMPLEMENTED."""
    return grpc.method_handlers_generic_handler(name, dict(methods))


def page(items: list[Any], page_size: int, page_token: str) -> tuple[list[Any], str]:
    """One page of a list and the token of the next; a token is the place where the page begins."""
    begin = int(page_token) if page_token.isdigit() else 0
    end = begin + page_size if page_size > 0 else len(items)
    return items[begin:end], str(end) if end < len(items) else ""


def _serialize(message: Any) -> bytes:
    return bytes(message.SerializeToString())
