"""Worlds to judge: seeded, with base rates that drift and traffic that moves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from random import Random

from shared.rollout.statistics.tables import OddsRatioTest, Table


def binomial(random: Random, n: int, p: float) -> int:
    """How many of n are bad: by the gaps between bad ones, so it takes about n·p steps."""
    if p > 0.5:
        return n - binomial(random, n, 1 - p)
    bad, at = -1, 0
    log_good = math.log1p(-p) if p > 0 else -math.inf
    while at <= n:
        bad += 1
        at += math.floor(math.log(1 - random.random()) / log_good) + 1 if p > 0 else n + 1
    return bad


def shifted(p: float, log_odds: float) -> float:
    """The share whose log odds are so much higher."""
    return 1 / (1 + (1 - p) / p * math.exp(-log_odds))


def ticks(
    random: Random, count: int, p: float, odds_ratio: float = 1.0, per_tick: int = 600, *, calm: bool = False
) -> Iterator[Table]:
    """Ticks of both arms: the common log odds drift and rise by 1.4 as the candidate's share goes from 10 to 50 %, unless ``calm``."""
    drift = 0.0
    for tick in range(count):
        drift = 0.8 * drift + random.gauss(0, 0.2)
        late = tick >= count // 2
        common = 0.0 if calm else drift + (1.4 * (tick / count) if late else 0.0)
        n_b = per_tick // 2 if late and not calm else per_tick // 10
        p_a = shifted(p, common)
        p_b = shifted(p_a, math.log(odds_ratio))
        yield Table(per_tick - n_b, binomial(random, per_tick - n_b, p_a), n_b, binomial(random, n_b, p_b))


@cache
def log_ratios(test: OddsRatioTest, table: Table) -> tuple[float, ...] | None:
    """``test.log_ratios``, remembered: thousands of short runs see the same tables again and again."""
    return test.log_ratios(table)


def bound(alpha: float, runs: int) -> float:
    """How many of ``runs`` may cross at the level alpha before chance no longer explains it (three standard errors)."""
    return runs * (alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs))
