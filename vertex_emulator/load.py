"""How busy a deployed model is: for the autoscaler over its interval, for a simulated model at this moment."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass

_MEMORY = 1.0
"""Real seconds over which the present rate is averaged."""


@dataclass(frozen=True)
class Usage:
    """What happened since it was last asked."""

    requests: int
    busy_seconds: float


class LoadMeter:
    """Counts the requests of one deployed model; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = 0
        self._busy = 0.0
        self._rate = 0.0
        self._last = time.perf_counter()

    def arrive(self) -> float:
        """Count a request, and return the present rate in requests per real second, this one included."""
        now = time.perf_counter()
        with self._lock:
            self._rate = self._rate * math.exp((self._last - now) / _MEMORY) + 1 / _MEMORY
            self._last = now
            self._requests += 1
            return self._rate

    def leave(self, seconds: float) -> None:
        """Count the time that a model server worked on a request."""
        with self._lock:
            self._busy += seconds

    def take(self) -> Usage:
        """Return what was counted, and begin again."""
        with self._lock:
            usage = Usage(self._requests, self._busy)
            self._requests, self._busy = 0, 0.0
            return usage
