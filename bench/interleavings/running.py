"""Runs the state machine a number of steps, and says what it did."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from bench.crashes.work import player
from bench.interleavings.machine import Interleavings

PER_EXAMPLE = 100
"""Steps, after which everything has to come to its end."""


@dataclass(frozen=True)
class Ran:
    """What was played, and what did not hold, with the steps that led to it."""

    steps: Counter[str]
    ends: Counter[str]
    seeds: int
    """Each has a few examples of its own, from different starts."""
    seconds: float
    broken: str = ""


def run(
    steps: int, seed_: int, *, shrink: bool = True, go_on: bool = False, tell: Callable[[Ran], None] = lambda ran: None
) -> Ran:
    """At least so many steps; ends at the first that breaks an invariant, unless it is to ``go_on`` with the next seed.

    Equal seeds play equal steps.
    """
    began, seeds, broken = time.monotonic(), 0, ""
    Interleavings.steps, Interleavings.ends = Counter(), Counter()
    with player() as played:
        Interleavings.player = played
        while True:
            broken += _play(seed_ + seeds, shrink)
            seeds += 1
            counted = Interleavings.steps.copy(), Interleavings.ends.copy()
            ran = Ran(*counted, seeds, time.monotonic() - began, broken)
            tell(ran)
            if (broken and not go_on) or ran.steps.total() >= steps:
                return ran


def _play(seed_: int, shrink: bool) -> str:
    """The examples of one seed; what is broken, with the steps that break it."""
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    chosen = settings(
        max_examples=6,  # the first one is the simplest there is, and not counted
        stateful_step_count=PER_EXAMPLE,
        deadline=None,
        database=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(seed(seed_)(_machine()), settings=chosen)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is what was looked for
        return "\n".join([f"seed {seed_}: {type(exc).__name__}: {exc}", *getattr(exc, "__notes__", []), ""])
    return ""


def _machine() -> type[Interleavings]:
    """A class of its own: a seed is fixed to a class."""
    return type("Interleavings", (Interleavings,), {"simplest": True})
