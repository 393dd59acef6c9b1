"""False rollbacks of candidates that are equal (T1), and how soon a degradation is found (T2): one metric, two hours, 10 % canary."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from bench.decisions.judges import ENGINE, JUDGES, engine_bounds
from bench.decisions.worlds import TICKS, Cell, Kind, error_ticks
from bench.numbers import percentile
from shared.rollout.statistics.tables import Table

RATES = (1, 10, 100)
_NULL_KINDS: tuple[Kind, ...] = ("plain", "drift", "stage+rising")
_HARM_KINDS: tuple[Kind, ...] = ("plain", "drift", "late30")
NULLS = tuple(Cell(rps, p, p, kind) for rps in RATES for p in (0.001, 0.01, 0.05) for kind in _NULL_KINDS)
CHANGES = ((0.01, 0.015), (0.01, 0.02), (0.01, 0.05), (0.001, 0.005), (0.01, 0.3))
DEGRADATIONS = tuple(
    Cell(rps, stable, candidate, kind) for rps in RATES for stable, candidate in CHANGES for kind in _HARM_KINDS
)


class Ended(NamedTuple):
    """One run of one judge."""

    tick: int | None
    """When it took the candidate back, from 1; None for never."""
    requests: int
    """Of the candidate, from the onset of harm until then (or to the end)."""
    bad: int
    """How many of those were answered badly."""


@dataclass(frozen=True)
class Task:
    """Some runs of one cell, for one process."""

    world: Cell
    first: int
    runs: int
    seed: int


def run_task(task: Task) -> tuple[Task, dict[str, list[Ended]]]:
    """By judge, how each run ended; every judge sees the same ticks."""
    found: dict[str, list[Ended]] = {name: [] for name in (*ENGINE, *JUDGES)}
    onset = task.world.onset
    for run in range(task.first, task.first + task.runs):
        ticks = list(error_ticks(Random(f"{task.seed}/{task.world.name}/{run}"), task.world))
        requests = [0, *itertools.accumulate(table.candidate for table in ticks[onset:])]
        bad = [0, *itertools.accumulate(table.candidate_bad for table in ticks[onset:])]
        for name, tick in _decided(ticks).items():
            served = max((tick or TICKS) - onset, 0)
            found[name].append(Ended(tick, requests[served], bad[served]))
    return task, found


def _decided(ticks: Sequence[Table]) -> dict[str, int | None]:
    """By judge, when it takes the candidate back."""
    decided = dict(zip(ENGINE, engine_bounds(ticks, list(ENGINE.values())), strict=True))
    for name, make in JUDGES.items():
        judge = make()
        decided[name] = next((at for at, table in enumerate(ticks, 1) if judge.rolls_back([table])), None)
    return decided


@dataclass(frozen=True)
class Summary:
    """One judge in one cell."""

    runs: int
    rolled_back: float
    """Share of runs; in a cell without harm each is a false one, in others only those from the onset on count."""
    early: float
    """Share rolled back before any harm began."""
    median_ticks: float
    """From the onset; infinite where fewer than half were found."""
    p90_ticks: float
    median_requests: float
    """Of the candidate until then."""
    bad_served: float
    """Answers of the candidate that were bad, from the onset until it was taken back or to the end; mean."""


def summary(cell: Cell, ended: Sequence[Ended]) -> Summary:
    """What the tables show."""
    onset, runs = cell.onset, len(ended)
    found = [one for one in ended if one.tick is not None and one.tick > onset]
    early = sum(one.tick is not None and one.tick <= onset for one in ended)
    delays = sorted([one.tick - onset for one in found if one.tick is not None])
    delays_of_all: list[float] = [*delays, *([math.inf] * (runs - len(delays)))]
    requests: list[float] = [*sorted(one.requests for one in found), *([math.inf] * (runs - len(found)))]
    return Summary(
        runs,
        len(found) / runs,
        early / runs,
        percentile(delays_of_all, 50),
        percentile(delays_of_all, 90),
        percentile(requests, 50),
        sum(one.bad for one in ended) / runs,
    )


def as_json(cell: Cell, by_judge: Mapping[str, Summary]) -> dict[str, Any]:
    """One cell for programs; null is never."""
    return {
        "cell": cell.name,
        "judges": {
            name: {key: value if math.isfinite(value) else None for key, value in vars(one).items()}
            for name, one in by_judge.items()
        },
    }
