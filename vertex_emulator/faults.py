"""Faults that a test or a demonstration injects: refused calls, lost answers, slow answers, failing operations."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass

import grpc

from vertex_emulator.errors import ApiError

QUOTA = "The following quotas are exceeded: CustomModelServingCPUs"
NEVER_HEALTHY = (
    "Model server never became ready. Please validate that your model file or container configuration are valid."
)


@dataclass
class _Planned:
    """One kind of fault and how often it still happens; ``None`` means until cleared."""

    times: int | None
    error: ApiError | None = None
    seconds: float = 0

    def use(self) -> bool:
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class Faults:
    """Planned faults per method, by its short name (``DeployModel``); the one planned first happens first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: dict[tuple[str, str], list[_Planned]] = defaultdict(list)

    def fail(
        self,
        method: str,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
        times: int | None = 1,
        message: str = "Injected fault.",
    ) -> None:
        """Refuse the next calls; nothing is changed by them."""
        self._plan("fail", method, _Planned(times, ApiError(code, message)))

    def lose_answer(
        self, method: str, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, times: int | None = 1
    ) -> None:
        """Carry the next calls out, and answer them with an error: the client cannot know."""
        self._plan("lose", method, _Planned(times, ApiError(code, "Injected fault: applied, but the answer is lost.")))

    def delay(self, method: str, seconds: float, times: int | None = None) -> None:
        """Answer the next calls later, by wall seconds."""
        self._plan("delay", method, _Planned(times, seconds=seconds))

    def fail_operation(
        self,
        method: str,
        code: grpc.StatusCode = grpc.StatusCode.RESOURCE_EXHAUSTED,
        message: str = QUOTA,
        times: int | None = 1,
    ) -> None:
        """Let the next operations that the method starts end with an error; for ``Create*Job``, the job."""
        self._plan("operation", method, _Planned(times, ApiError(code, message)))

    def never_healthy(self, times: int | None = 1) -> None:
        """Let the next deployments fail as for a container that never answers its health route."""
        self.fail_operation("DeployModel", grpc.StatusCode.FAILED_PRECONDITION, NEVER_HEALTHY, times)

    def set_duration(self, method: str, seconds: float, times: int | None = 1) -> None:
        """Let the next operations that the method starts take so many compressed seconds."""
        self._plan("duration", method, _Planned(times, seconds=seconds))

    def clear(self) -> None:
        """Forget everything that is planned."""
        with self._lock:
            self._plans.clear()

    def refusal(self, method: str) -> ApiError | None:
        """What a call that has just arrived is refused with."""
        planned = self._take("fail", method)
        return planned.error if planned else None

    def lost(self, method: str) -> ApiError | None:
        """What a call that was carried out is answered with instead of its answer."""
        planned = self._take("lose", method)
        return planned.error if planned else None

    def slowness(self, method: str) -> float:
        """By how many wall seconds a call's answer is late."""
        planned = self._take("delay", method)
        return planned.seconds if planned else 0

    def operation_error(self, method: str) -> ApiError | None:
        """How the operation that is being started will end, if not well."""
        planned = self._take("operation", method)
        return planned.error if planned else None

    def duration(self, method: str, default: float) -> float:
        """How many compressed seconds the operation that is being started takes."""
        planned = self._take("duration", method)
        return planned.seconds if planned else default

    def _plan(self, kind: str, method: str, planned: _Planned) -> None:
        with self._lock:
            self._plans[kind, method].append(planned)

    def _take(self, kind: str, method: str) -> _Planned | None:
        if not self._plans:
            return None
        with self._lock:
            plans = self._plans.get((kind, method), [])
            while plans:
                if plans[0].use():
                    return plans[0]
                plans.pop(0)
            return None
