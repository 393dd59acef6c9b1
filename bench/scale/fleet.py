"""So many rollouts in a store, the servers behind them, and the function in as many processes as one tick is divided into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.scale.machine import READ, STORE, WRITE, Asked, environment_of, fill, servers, store
from bench.scale.prototype import Prototype
from bench.trial import BenchError
from shared.actions.assess import MOST

LAG = 4
"""Minutes of the policy's lag: up to then a tick reads."""


class Fleet:
    """Made by ``fleet``; its time is that of the trial it is the likeness of, and goes on by ``minute``."""

    def __init__(self, google: Asked, functions: list[Asked], now: float) -> None:
        self._google, self._functions = google, functions
        self._now, self._begun = now, False

    @property
    def parts(self) -> int:
        """Processes that a tick is divided into."""
        return len(self._functions)

    def minute(self) -> None:
        """A minute goes by, and everybody has served in it; the first time in the one before too."""
        self._now += 60
        newest = self._now // 60 * 60 - 60 * (LAG - 1)
        self._google.ask(now=self._now, minutes=[newest] if self._begun else [newest, newest - 60])
        self._begun = True

    def divide(self) -> list[dict[str, Any]]:
        """The tick that the schedule asks for, where it does no more than ask for its parts; nothing where one does all."""
        return [self._ask(0, {})] if self.parts > 1 else []

    def at_once(self) -> list[dict[str, Any]]:
        """All parts at the same moment, each in its process."""
        for part, function in enumerate(self._functions):
            function.tell(now=self._now, tick={"shard": part, "shards": self.parts})
        return [_answered(function.hear()) for function in self._functions]

    def part(self, number: int) -> dict[str, Any]:
        """One part by itself."""
        return self._ask(number, {"shard": number, "shards": self.parts})

    def calls(self) -> Counter[str]:
        """Of the servers by method, since the start."""
        return Counter(self._google.ask()["calls"])

    def _ask(self, number: int, tick: dict[str, int]) -> dict[str, Any]:
        return _answered(self._functions[number].ask(now=self._now, tick=tick))


@contextmanager
def fleet(
    prototype: Prototype, kind: str, number: int, rps: float, folder: Path, *, is_far: bool = True
) -> Iterator[Fleet]:
    """So many trials on a store of that kind. ``is_far``: calls take as long as within a region; else no longer than they do."""
    with TemporaryDirectory(dir=folder) as own, ExitStack() as stack:
        place = stack.enter_context(store(kind, Path(own)))
        fill(place, prototype, number)
        google = stack.enter_context(servers(prototype, number, rps, Path(own), (READ, WRITE) if is_far else ()))
        environment = environment_of(google, place, Path(own) / "functions.log")
        delay = STORE if is_far and kind != "firestore" else 0.0
        functions = [
            stack.enter_context(Asked("bench.scale.ticker", str(delay), environment=environment))
            for _ in range(max(1, -(-number // MOST)))
        ]
        yield Fleet(google, functions, prototype.now.timestamp())


def _answered(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["status"] != 200:
        raise BenchError(f"a tick was answered with {answer['status']}")
    return answer
