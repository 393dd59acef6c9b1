"""What every model server offers to the prediction service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import grpc

from vertex_emulator.errors import ApiError

TIMEOUT = 504


def is_success(status: int) -> bool:
    """Whether an HTTP status means that a model answered with a prediction."""
    return 200 <= status < 300


@dataclass(frozen=True)
class Answer:
    """What a model server answered over HTTP."""

    status: int
    body: bytes
    content_type: str = "application/json"
    predictions: Sequence[Any] | None = None
    """The predictions themselves, of a server within this process that was asked without JSON."""

    @property
    def is_ok(self) -> bool:
        """Whether the model answered with a prediction."""
        return is_success(self.status)


class ModelServer(Protocol):
    """The server behind one deployed model."""

    @property
    def capacity_rps(self) -> float | None:
        """Requests per real second that one replica can carry; ``None`` where only its busy time is known."""

    def start(self) -> None:
        """Begin to start; returns at once."""

    def is_ready(self) -> bool:
        """Whether it is healthy; raises ``ApiError`` when it never will be."""

    def handle(self, body: bytes, content_type: str, utilisation: float) -> Answer:
        """Answer one request; ``utilisation`` is the present load as a fraction of the ready replicas' capacity."""

    def supervise(self) -> None:
        """Do what the platform does from time to time: start a crashed server again."""

    def stop(self) -> None:
        """Stop, and release everything."""


@runtime_checkable
class InProcess(Protocol):
    """A server that needs no JSON to be asked."""

    def predict(self, instances: Sequence[Any], utilisation: float) -> Answer:
        """Answer as ``handle`` does, with ``predictions`` and an empty body where it is well."""


def raise_for(answer: Answer, deployed_model: str) -> None:
    """Map a model server's error to the status with which Vertex AI answers the caller."""
    if answer.is_ok:
        return
    if answer.status == 429:
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
    elif answer.status < 500:
        code = grpc.StatusCode.INVALID_ARGUMENT
    elif answer.status == 503:
        code = grpc.StatusCode.UNAVAILABLE
    elif answer.status == TIMEOUT:
        code = grpc.StatusCode.DEADLINE_EXCEEDED
    else:
        code = grpc.StatusCode.INTERNAL
    detail = answer.body[:500].decode(errors="replace")
    raise ApiError(code, f"The model server answered {answer.status}: {detail}", deployed_model)
