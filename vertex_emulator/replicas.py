"""Replicas of one deployed model, and the documented autoscaler.

Every 15 s it computes ``ceil(current * utilisation / target)`` and follows the highest of the last 5 minutes, so it goes up
at once (a new replica is ready about 60 s later) and down only after at least 5 minutes of less load
(documentation: "Scale inference nodes by using autoscaling").
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from vertex_emulator.clock import Clock

INTERVAL = timedelta(seconds=15)
WINDOW = timedelta(minutes=5)
START_TIME = timedelta(seconds=60)


class ReplicaSet:
    """The replicas of one deployed model; pure but for its own memory, all times are passed in."""

    def __init__(self, minimum: int, maximum: int, target: float) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.target = target
        self._ready = minimum
        self._starting: list[datetime] = []
        self._wanted: deque[tuple[datetime, int]] = deque()
        self.goal = minimum
        """How many replicas the autoscaler aims at now."""

    def ready(self, now: datetime) -> int:
        """How many replicas serve at this moment; changes nothing, so predictions may ask without a lock."""
        return self._ready + sum(1 for moment in self._starting if moment <= now)

    def ready_by(self, clock: Clock) -> int:
        """How many replicas serve at present; the clock is only looked at while some are starting."""
        return self.ready(clock()) if self._starting else self._ready

    def set_limits(self, minimum: int, maximum: int, target: float, now: datetime) -> None:
        """Follow a mutated deployment: the number of replicas moves within its new limits at once or by starting."""
        self._advance(now)
        self.minimum, self.maximum, self.target = minimum, maximum, target
        self._aim(min(max(self.goal, minimum), maximum), now)

    def evaluate(self, utilisation: float, now: datetime) -> None:
        """Take one evaluation of the autoscaler, with the utilisation (fraction) since the one before."""
        self._advance(now)
        # A billionth is taken off so that 3 replicas at exactly the target stay 3 in floating point.
        wanted = math.ceil(self._ready * utilisation / self.target - 1e-9)
        self._wanted.append((now, wanted))
        while self._wanted[0][0] <= now - WINDOW:
            self._wanted.popleft()
        self._aim(min(max(self.minimum, *(count for _, count in self._wanted)), self.maximum), now)

    def dump(self) -> dict[str, Any]:
        """Return its memory as JSON has it."""
        starting = [moment.isoformat() for moment in self._starting]
        wanted = [[moment.isoformat(), count] for moment, count in self._wanted]
        return {"ready": self._ready, "goal": self.goal, "starting": starting, "wanted": wanted}

    def load(self, document: Mapping[str, Any], shift: timedelta) -> None:
        """Take over a memory that was dumped, its moments later by ``shift``."""
        self._ready, self.goal = document["ready"], document["goal"]
        self._starting = [datetime.fromisoformat(moment) + shift for moment in document["starting"]]
        self._wanted = deque((datetime.fromisoformat(moment) + shift, count) for moment, count in document["wanted"])

    def _aim(self, goal: int, now: datetime) -> None:
        self.goal = goal
        running = self._ready + len(self._starting)
        if goal > running:
            self._starting += [now + START_TIME] * (goal - running)
        elif goal < running:
            keep = max(goal - self._ready, 0)
            self._starting = self._starting[:keep]
            self._ready = min(self._ready, goal)

    def _advance(self, now: datetime) -> None:
        up = sum(1 for moment in self._starting if moment <= now)
        if up:
            self._starting = [moment for moment in self._starting if moment > now]
            self._ready += up
