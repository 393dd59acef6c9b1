"""The odds ratio as an interval that may be shown after every tick: a confidence sequence.

For people, not for decisions: it assumes one odds ratio for all ticks, where the e-processes of ``tables`` assume only its side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shared.rollout.statistics.hypergeometric import log_sum
from shared.rollout.statistics.process import threshold
from shared.rollout.statistics.tables import Table

_STEPS, _STEP = 80, 0.05
GRID = tuple(_STEP * i for i in range(-_STEPS, _STEPS + 1))
"""Log odds ratios from -4 to 4: from a fiftieth to fiftyfold."""


@dataclass(frozen=True)
class Bounds:
    """An interval of odds ratios; 0 and infinity where the grid ends before it does."""

    low: float
    high: float
    likeliest: float


@dataclass(frozen=True)
class Interval:
    """What was cumulated: the log likelihood at each point of the grid, relative to an odds ratio of 1. Three kilobytes of JSON."""

    log_likelihoods: tuple[float, ...] = (0.0,) * len(GRID)

    def updated(self, table: Table) -> Interval:
        """After one more tick; a tick with an empty arm or without a choice changes nothing. In order or not, each tick once."""
        if not table.informs or table.bad in (0, table.stable + table.candidate):
            return self
        at_one = log_sum(table.stable, table.candidate, table.bad, 1.0)
        return Interval(
            tuple(
                so_far
                + table.candidate_bad * g
                - (log_sum(table.stable, table.candidate, table.bad, math.exp(g)) - at_one)
                for so_far, g in zip(self.log_likelihoods, GRID, strict=True)
            )
        )

    def bounds(self, alpha: float = 0.05) -> Bounds:
        """{g: log mean_g' exp l(g') - l(g) < ln(1/alpha)}: with 1 - alpha it covers the odds ratio at all times together.

        The prior-posterior ratio at the true g is an e-process (Waudby-Smith & Ramdas 2020; 2021, arXiv 2010.09686). Assumes that the odds
        ratio is constant and on the grid; the base rate may drift. Neighbours of what is kept are at most 5 % away.
        """
        most = max(self.log_likelihoods)
        mean = most + math.log(math.fsum(math.exp(at - most) for at in self.log_likelihoods) / len(GRID))
        limit = math.log(threshold(alpha))
        kept = [i for i, at in enumerate(self.log_likelihoods) if mean - at < limit]
        return Bounds(
            0.0 if kept[0] == 0 else math.exp(GRID[kept[0]]),
            math.inf if kept[-1] == len(GRID) - 1 else math.exp(GRID[kept[-1]]),
            math.exp(GRID[self.log_likelihoods.index(most)]),
        )
