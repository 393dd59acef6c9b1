"""Errors in the form of Google's APIs: an HTTP status, and a JSON object that names the gRPC status behind it."""

from __future__ import annotations

import json

import grpc

from vertex_emulator.errors import ApiError

_STATUS = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
}
"""google/rpc/code.proto: the HTTP mapping of each code."""


def http_error(error: ApiError) -> tuple[int, bytes]:
    """Return an error's HTTP status and body."""
    status = _STATUS[error.code]
    document = {"error": {"code": status, "message": error.message, "status": error.code.name}}
    return status, (json.dumps(document, indent=2) + "\n").encode()


def bad_payload(message: str) -> ApiError:
    """Refuse JSON, or a query, that the request's message cannot hold."""
    return ApiError(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid JSON payload received. {message}")
