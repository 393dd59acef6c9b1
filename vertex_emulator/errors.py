"""The one error that the emulator answers with: a gRPC status and a message, as Vertex AI sends them."""

from __future__ import annotations

from typing import NoReturn

import grpc

DEPLOYED_MODEL_HEADER = "x-vertex-ai-deployed-model-id"
"""What RawPredict's answers carry; here failures carry it too."""


class ApiError(Exception):
    """A request is refused, or an operation fails, with this status."""

    def __init__(self, code: grpc.StatusCode, message: str, deployed_model: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.deployed_model = deployed_model
        """Whose failure it is, where a model server failed; sent as trailing metadata, so that a caller can attribute it."""

    @property
    def number(self) -> int:
        """The status as ``google.rpc.Code`` counts it; what an operation's error carries."""
        return int(self.code.value[0])


def invalid(message: str) -> NoReturn:
    """Refuse a request that can never be right."""
    raise ApiError(grpc.StatusCode.INVALID_ARGUMENT, message)


def missing(what: str) -> NoReturn:
    """Refuse a request that names something which is not there (or not there yet)."""
    raise ApiError(grpc.StatusCode.NOT_FOUND, f"{what} is not found.")


def precondition(message: str) -> NoReturn:
    """Refuse a request that is well formed, but not possible in the present state."""
    raise ApiError(grpc.StatusCode.FAILED_PRECONDITION, message)


def exists(what: str) -> NoReturn:
    """Refuse to create what is already there."""
    raise ApiError(grpc.StatusCode.ALREADY_EXISTS, f"{what} already exists.")
