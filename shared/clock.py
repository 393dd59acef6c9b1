"""The only source of now.

In the cloud it is the wall clock. On one machine a whole rollout is watched in a minute: with ``CLOCK_ORIGIN`` (epoch
seconds of the wall clock at which compressed time began) and ``CLOCK_RATE`` (compressed seconds per wall second), every process
computes the same present without talking to another. Request latencies are never compressed: they are measured with
``time.perf_counter``, which knows nothing of this module.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""What is passed to everything that asks for the time; aware, in UTC."""


def now() -> datetime:
    """The present: wall time, or compressed time where the two variables are set."""
    rate = float(os.environ.get("CLOCK_RATE", "1"))
    wall = time.time()
    if rate == 1:
        return datetime.fromtimestamp(wall, UTC)
    origin = float(os.environ["CLOCK_ORIGIN"])
    return datetime.fromtimestamp(origin + (wall - origin) * rate, UTC)


def wall_seconds(seconds: float) -> float:
    """How long ``seconds`` of our time last on the wall clock; what a local server sleeps."""
    return seconds / float(os.environ.get("CLOCK_RATE", "1"))
