"""What one process of the harness does: a cloud of its own, and the points of one flow in it.

Apart from ``__main__``, for a process that is started anew finds its work by import.
"""

from __future__ import annotations

import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.crashes.cases import Outcome, Player, second_deaths
from bench.crashes.flows import Flow, flow
from bench.crashes.plant import Plant
from bench.crashes.report import Played

MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of a random name is made in it)
"""Where Linux keeps files in memory: a commit waits for no disk."""


@contextmanager
def player() -> Iterator[Player]:
    """A player on a cloud of its own, in a folder of its own."""
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="crashes-", dir=where) as folder, Plant.running(Path(folder)) as plant:
        yield Player(plant)


def play_flow(played: Player, one: Flow, share: float, pairs: float, seed: int, out: float = 30.0) -> Played:
    """All singles of a flow, or a seeded share of them, and the same of the pairs.

    On standard error what did not converge, at once, and a line now and then.
    """
    began, told = time.monotonic(), time.monotonic()
    draw = random.Random(f"{seed}/{one.name}")
    points = played.undisturbed(one).points()
    chosen = [points[i] for i in sorted(draw.sample(range(len(points)), math.ceil(len(points) * share)))]
    found = Played(one.name, len(points))

    def note(outcome: Outcome, *, is_pair: bool) -> None:
        nonlocal told
        found.add(outcome, is_pair=is_pair)
        if outcome.wrong:
            print(f"crashes: {one.name}: {outcome}", file=sys.__stderr__, flush=True)
        if time.monotonic() - told > out:
            told = time.monotonic()
            print(f"crashes: {found.progress} ({told - began:.0f} s)", file=sys.__stderr__, flush=True)

    firsts = []
    for point in chosen:
        outcome = played.play(one, point)
        note(outcome, is_pair=False)
        if point.fault.kills:
            firsts.append(outcome)
    for pair in played.pairs(one, firsts, lambda: draw.random() < pairs):
        if isinstance(pair, int):
            found.same_state += pair
        else:
            note(pair, is_pair=True)
    found.not_played = sum(len(second_deaths(first)) for first in firsts) - found.pairs - found.same_state
    found.seconds = time.monotonic() - began
    return found


def work(name: str, share: float, pairs: float, seed: int) -> Played:
    """All that is wanted of one flow, in this process."""
    with player() as played:
        return play_flow(played, flow(name), share, pairs, seed)
