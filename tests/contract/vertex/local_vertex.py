"""The local Vertex AI on a clock that the test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.rollout.observed import OperationState
from shared.vertex.endpoints import Endpoints
from shared.vertex.registry import Registry
from vertex_emulator.server import Emulator

PROJECT, REGION = "local-project", "us-central1"


class LocalVertex:
    """An emulator, and the adapters under test pointed at it (by the environment)."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        self.emulator = Emulator(clock=lambda: self.now)
        self.address = self.emulator.start(tick=False)
        self.endpoints = Endpoints()
        self.registry = Registry()

    def after(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self.emulator.tick()

    def finish(self, operation: str, seconds: float = 900) -> OperationState:
        """What became of an operation some time later."""
        self.after(seconds)
        return self.endpoints.operation(REGION, operation)

    def calls(self) -> list[str]:
        """The methods called so far, in order; begins again."""
        methods = [method for method, _ in self.emulator.calls]
        self.emulator.calls.clear()
        return methods
