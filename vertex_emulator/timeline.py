"""What will happen at a later moment of compressed time, in order."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    Action = Callable[[datetime], None]


class Timeline:
    """Actions by their moment; whoever holds the state's lock runs those that are due.

    Nothing sleeps here. Time may jump (in a test it does), and each action is told the moment for which it was planned.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Action]] = []
        self._sequence = itertools.count()

    def plan(self, moment: datetime, action: Action) -> None:
        """Run ``action(moment)`` once time has reached ``moment``."""
        heapq.heappush(self._heap, (moment, next(self._sequence), action))

    def clear(self) -> None:
        """Forget all that was planned."""
        self._heap.clear()

    def is_due(self, now: datetime) -> bool:
        """Whether something waits to be run."""
        return bool(self._heap) and self._heap[0][0] <= now

    def run(self, now: datetime) -> None:
        """Run everything that is due, earliest first, including what such actions plan meanwhile."""
        while self.is_due(now):
            moment, _, action = heapq.heappop(self._heap)
            action(moment)
