"""v1beta1 over gRPC, for the methods that both versions have.

Their messages have the same fields with the same numbers (a test compares the two), so what v1's handlers read and write is
right for v1beta1 too; only the types that an operation names differ. Fields that v1beta1 alone has are not understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.longrunning import operations_pb2

from vertex_emulator.calls import Answered

V1 = "google.cloud.aiplatform.v1."
BETA = "google.cloud.aiplatform.v1beta1."
_POLLED = frozenset({"GetOperation", "WaitOperation"})


class BetaOperations:
    """Remembers which operations were started through v1beta1: whoever polls one expects that version's types."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        """The operations that were started through v1beta1."""

    def started(self, answered: Answered) -> Sequence[bytes]:
        """Return the answer of a v1beta1 method; an operation is remembered."""
        if answered.kind is not operations_pb2.Operation:
            return answered.parts
        operation = answered.messages()[0]
        self.names.add(operation.name)
        return [_translated(operation)]

    def polled(self, method: str, answered: Answered) -> Sequence[bytes]:
        """Return the answer of a method of Operations."""
        if method not in _POLLED or not self.names:
            return answered.parts
        operation = answered.messages()[0]
        return [_translated(operation)] if operation.name in self.names else answered.parts


def _translated(operation: Any) -> bytes:
    for part in ("metadata", "response"):
        if operation.HasField(part):
            packed = getattr(operation, part)
            packed.type_url = packed.type_url.replace(f"/{V1}", f"/{BETA}")
    data: bytes = operation.SerializeToString()
    return data
