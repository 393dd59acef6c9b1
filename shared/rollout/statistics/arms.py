"""The best of several arms: every ordered pair is an e-process, and weights may follow the evidence.

For each pair (i, j) one process gathers evidence that i is better, i.e. that j has the higher odds of a bad request. An arm has won when
it is better than each other one; it may be dropped as soon as some other one is surely better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.rollout.statistics.interval import Interval
from shared.rollout.statistics.process import Process, e_value, threshold, update
from shared.rollout.statistics.tables import OddsRatioTest, Table, harm

FINE_RATIOS = (1.05, 1.1, 1.2, 1.35, 1.6, 2.0, 3.0, 6.0)
"""Experiments look for smaller differences than canaries do."""
TIE = 1.1
"""Odds ratios from 1/1.1 to 1.1 make no difference that matters."""


@dataclass(frozen=True)
class Contest:
    """The state of all pairs: ``better[i][j]`` is the evidence that i is better than j."""

    better: dict[str, dict[str, Process]]


def contest_test() -> OddsRatioTest:
    """The test of each pair: null "j is not worse than i, in every tick"."""
    return harm(1.0, FINE_RATIOS)


def begin_contest(arms: Iterable[str]) -> Contest:
    """The state before the first tick."""
    names = list(dict.fromkeys(arms))
    if len(names) < 2:
        raise ValueError(f"a contest needs at least two different arms, not {names}")
    test = contest_test()
    return Contest({i: {j: test.begin() for j in names if j != i} for i in names})


def update_contest(state: Contest, served: Mapping[str, tuple[int, int]]) -> Contest:
    """The state after one more tick; ``served``: by arm (requests, bad). Pairs of which an arm served nothing stay as they are."""
    test = contest_test()

    def after(i: str, j: str, process: Process) -> Process:
        return update(process, test.log_ratios(Table(*served.get(i, (0, 0)), *served.get(j, (0, 0)))))

    return Contest({i: {j: after(i, j, process) for j, process in row.items()} for i, row in state.better.items()})


def e_values(state: Contest) -> dict[str, dict[str, float]]:
    """E_{i>j} of every pair."""
    return {i: {j: e_value(process) for j, process in row.items()} for i, row in state.better.items()}


def winner(pairs: Mapping[str, Mapping[str, float]], alpha: float = 0.05) -> str | None:
    """The arm i with min_j E_{i>j} >= (K-1)/alpha, if there is one.

    P(an arm that is not best is ever declared) <= alpha: each of the K - 1 others would have to beat the best one, whose null holds
    (Ville, union over K - 1). Assumes that the order of the arms is the same in every tick; base rates may drift.
    """
    bound = winning_bound(len(pairs), alpha)
    return next((i for i, row in pairs.items() if min(row.values()) >= bound), None)


def winning_bound(arms: int, alpha: float = 0.05) -> float:
    """(K-1)/alpha."""
    return (arms - 1) * threshold(alpha)


def dropped(pairs: Mapping[str, Mapping[str, float]], alpha: float = 0.05) -> frozenset[str]:
    """The arms j of which some E_{i>j} >= K(K-1)/alpha: worse than another arm. P(any false one, ever) <= alpha (union over all pairs)."""
    bound = len(pairs) * winning_bound(len(pairs), alpha)
    return frozenset(j for row in pairs.values() for j, e in row.items() if e >= bound)


def is_tie(intervals: Iterable[Interval], alpha: float = 0.05, within: float = TIE) -> bool:
    """Whether all pairs' odds ratios are surely within [1/``within``, ``within``].

    Intersection-union: if one pair is outside, its own confidence sequence covers that with 1 - alpha, so no correction is needed.
    """
    bounds = [interval.bounds(alpha) for interval in intervals]
    return bool(bounds) and all(1 / within <= bound.low and bound.high <= within for bound in bounds)
