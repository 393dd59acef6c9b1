"""What holds for all tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hypothesis import HealthCheck, settings

# Tests do not assert times: a busy machine is no failure. On CI the same examples are tried each time; elsewhere new ones.
settings.register_profile(
    "here", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("here")

_MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own there
_ENOUGH = 4 * 2**30
"""Bytes; a run writes a few hundred million."""
# Each story has a store of its own, and a disk takes milliseconds for every write, tens of them to make one and to close it.
_CAN = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH
if _CAN:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are processors: whole systems wait for their clocks a third of the time, and others can compute meanwhile."""
    return max(2, len(os.sched_getaffinity(0)) * 3 // 2) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
