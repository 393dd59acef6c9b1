"""How a server's process is told to end."""

from __future__ import annotations

import queue
import signal
from collections.abc import Callable, Iterable

ENDING = (signal.SIGINT, signal.SIGTERM)


def on_signal(numbers: Iterable[signal.Signals] = ENDING) -> Callable[[], object]:
    """Take these signals from now on; what is returned waits until the first of them has come.

    Not by an event: a handler runs in the middle of whatever the main thread does, also of ``Event.wait`` while that holds the event's lock,
    and ``Event.set`` would wait for it for ever. ``SimpleQueue.put`` may be called then (documentation of ``queue``).
    """
    told: queue.SimpleQueue[None] = queue.SimpleQueue()
    for number in numbers:
        signal.signal(number, lambda *_: told.put(None))
    return told.get
