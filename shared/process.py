"""A function's process: what it imports never becomes garbage, and the collector would go through all of it several times.

That is a twentieth of a cold start, most of it while gRPC is imported for the first event. So the collector is told to leave alone what is
loaded already, and to begin later; what it does not touch also stays shared between the server and its worker, 8 MB of 85 (documentation
of ``gc.freeze``; measured with ``roll_back``).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 5_000
"""Objects made since the last look, from which the collector looks at the young ones again; CPython's own figure is 700. With ten times as many
nothing is faster, and the worker keeps more garbage."""


def put_garbage_off() -> None:
    """Freeze what is there, and collect more rarely; costs nothing, and may be called again."""
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)


@contextmanager
def without_collecting() -> Iterator[None]:
    """For work that makes millions of values and no cycles, in a process that does nothing else: the collector would look at all of them for
    nothing, a fifteenth of a tick over thousands of rollouts."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
