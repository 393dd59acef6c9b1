"""The only source of now in this package: wall time, or compressed time.

With ``CLOCK_ORIGIN`` (epoch seconds of the wall clock at which compressed time began) and ``CLOCK_RATE`` (compressed
seconds per wall second) set, an operation that Google finishes in ten minutes finishes in seconds here, and every process
that follows the same rule computes the same present. Latencies of requests are never compressed: they are measured with
``time.perf_counter``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""What is passed to everything that asks for the time; aware, in UTC."""


def rate() -> float:
    """Compressed seconds per wall second; 1 in real time."""
    return float(os.environ.get("CLOCK_RATE", "1"))


def now() -> datetime:
    """The present: wall time, or compressed time where the two variables are set."""
    return running()()


def running() -> Clock:
    """Return a clock that goes by the variables as they are at this moment: they are not read again for each look at it."""
    factor = rate()
    if factor == 1:
        return lambda: datetime.fromtimestamp(time.time(), UTC)
    origin = float(os.environ["CLOCK_ORIGIN"])

    def compressed() -> datetime:
        return datetime.fromtimestamp(origin + (time.time() - origin) * factor, UTC)

    return compressed


def wall_seconds(seconds: float) -> float:
    """How long ``seconds`` of compressed time last on the wall clock; what a thread sleeps."""
    return seconds / rate()
