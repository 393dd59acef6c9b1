"""One arm beside a limit: service levels, floors, and whether the traffic is split as it should be.

Where there is no control arm (all traffic, the first version) or none is wanted (an agreed level), bad requests of one arm are binomial.
Unlike the tables this does not see that a whole minute was bad for everybody: ``combine.both`` asks for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

from shared.rollout.statistics.process import CLIP, Process, Starts, begin
from shared.rollout.statistics.tables import HARM_RATIOS

BELOW_RATIOS = (0.8, 0.6, 0.4, 0.2, 0.05)
"""How far below the limit the truth may be."""
SPLIT_RATIOS = (0.5, 0.67, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 1.5, 2.0)
"""How far from the configured one a real split may be, as odds ratios."""
LEAST_LIMIT = 1e-6
"""Shares nearer to 0 (above it) or to 1 (below it) are tested as this one: one observation against them would be infinite evidence."""


@dataclass(frozen=True)
class ShareTest:
    """A null on the share of bad requests of one arm, and the alternatives that are bet on."""

    null: float
    alternatives: tuple[float, ...]
    starts: Starts
    clip: float | None

    def begin(self) -> Process:
        """The process of this test before its first tick."""
        return begin(len(self.alternatives), self.starts, self.clip)

    def log_ratios(self, requests: int, bad: int) -> tuple[float, ...] | None:
        """l of the tick for each alternative, for ``process.update``; None where nothing was served."""
        if not requests:
            return None
        _refuse_impossible(requests, bad)
        good = requests - bad
        return tuple([bad * of_bad + good * of_good for of_bad, of_good in self._weights])

    @cached_property
    def _weights(self) -> tuple[tuple[float, float], ...]:
        """What one bad request and one good one add to l, for each alternative."""
        return tuple(_weights(p, self.null) for p in self.alternatives)


@lru_cache(256)
def above(limit: float, odds_ratios: tuple[float, ...] = HARM_RATIOS) -> ShareTest:
    """The test for a rollback: null "the share of bad requests is at most ``limit`` in every tick"; alternatives by their odds.

    "P95 at most 100 ms" is: at most 5 % of requests beyond 100 ms (Howard & Ramdas 2022, arXiv 1906.09712). A limit of 0 is tested as
    ``LEAST_LIMIT``: a wider null, so the guarantee holds for 0. Above a limit of 1, or nearer to it than that, nothing is found: E
    stays 1.
    """
    null = max(limit, LEAST_LIMIT)
    if null > 1 - LEAST_LIMIT:
        return ShareTest(null, (null,), "all", CLIP)
    odds = null / (1 - null)
    return ShareTest(null, tuple(odds * r / (1 + odds * r) for r in odds_ratios), "all", CLIP)


@lru_cache(256)
def below(limit: float, ratios: tuple[float, ...] = BELOW_RATIOS) -> ShareTest:
    """The test for an advance: null "the share of bad requests is at least ``limit`` in every tick".

    Below a limit of 0, or nearer to it than ``LEAST_LIMIT``, nothing is certified: E stays 1. A limit of 1 is tested as
    1 - ``LEAST_LIMIT``: a wider null.
    """
    null = min(limit, 1 - LEAST_LIMIT)
    if null < LEAST_LIMIT:
        return ShareTest(null, (null,), "first", None)
    return ShareTest(null, tuple(null * ratio for ratio in ratios), "first", None)


@lru_cache(256)
def split(share: float, odds_ratios: tuple[float, ...] = SPLIT_RATIOS) -> ShareTest:
    """The guard of the split: null "each request goes to the candidate with probability ``share``"; both directions.

    Feed it (requests of both arms, requests of the candidate). At its bound (alpha = 0.001) a rollout is held, never taken back: a wrong split
    is nobody's regression, and the tables condition on the counts that were, so their evidence stays valid.
    """
    if not 0 < share < 1:
        raise ValueError(f"a share of {share:g} splits nothing: guard only stages strictly between 0 and 1")
    odds = share / (1 - share)
    return ShareTest(share, tuple(odds * r / (1 + odds * r) for r in odds_ratios), "all", CLIP)


def log_ratio(requests: int, bad: int, p: float, null: float) -> float:
    """l(p; p0) = x ln(p/p0) + (n - x) ln[(1-p)/(1-p0)], the likelihood ratio of two binomials; 0 where p = p0.

    Assumes that requests are bad independently of each other given the tick. E[exp l] = 1 at p0 and at most 1 on its side away from p.
    """
    _refuse_impossible(requests, bad)
    of_bad, of_good = _weights(p, null)
    return bad * of_bad + (requests - bad) * of_good


def _weights(p: float, null: float) -> tuple[float, float]:
    if p == null:
        return 0.0, 0.0
    if not (0 < p < 1 and 0 < null < 1):
        raise ValueError(f"the shares {p:g} and {null:g} must lie strictly between 0 and 1: see LEAST_LIMIT")
    return math.log(p / null), math.log1p(-p) - math.log1p(-null)


def _refuse_impossible(requests: int, bad: int) -> None:
    if not 0 <= bad <= requests:
        raise ValueError(f"{bad} bad of {requests} requests cannot be: drop the tick")
