"""What stable and candidate serve, minute by minute: seeded, with base rates that drift and traffic that moves.

Requests are Poisson and routed at random, so good and bad ones of each arm are independent Poisson counts; drawing those four is the same
as drawing requests, their way and their fate one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from statistics import NormalDist
from typing import Literal, NamedTuple

from shared.rollout.observed import Histogram
from shared.rollout.statistics.tables import Table

Kind = Literal["plain", "drift", "stage+rising", "late30"]
TICKS = 120
ONSET = 30
"""Of ``late30``: so many calm ticks."""
CANARY = 0.1
RISE = 1.4
"""Of ``stage+rising``: log odds that both arms gain from tick 60 to the end, while the share goes to 50 %."""
_LARGE = 10.0
"""Means from which Poisson counts are drawn by rejection."""


@dataclass(frozen=True)
class Cell:
    """One world of errors."""

    rps: int
    stable: float
    candidate: float
    kind: Kind

    @property
    def name(self) -> str:
        change = f"{percent(self.stable)}" if self.is_null else f"{percent(self.stable)} → {percent(self.candidate)}"
        return f"{self.rps} rps, {change}, {self.kind}"

    @property
    def is_null(self) -> bool:
        return self.stable == self.candidate

    @property
    def onset(self) -> int:
        return ONSET if self.kind == "late30" else 0


def percent(share: float) -> str:
    """``0.1 %``."""
    return f"{share * 100:g} %"


def poisson(random: Random, mean: float) -> int:
    """A Poisson count: by multiplication for small means, else by Hörmann's transformed rejection (PTRS, 1993)."""
    if mean < _LARGE:
        limit, count, product = math.exp(-mean), -1, 1.0
        while product > limit:
            count, product = count + 1, product * random.random()
        return max(count, 0)
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse, v_r, log_mean = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2), math.log(mean)
    while True:
        u, v = random.random() - 0.5, random.random()
        us = 0.5 - abs(u)
        count = math.floor((2 * a / us + b) * u + mean + 0.43) if us else -1
        if us >= 0.07 and v <= v_r:
            return count
        if count < 0 or (us < 0.013 and v > us):
            continue
        if math.log(v * inverse / (a / (us * us) + b)) <= count * log_mean - mean - math.lgamma(count + 1):
            return count


def shifted(p: float, log_odds: float) -> float:
    """The share whose log odds are so much higher."""
    return 1 / (1 + (1 - p) / p * math.exp(-log_odds))


class Drift:
    """What both arms' log odds share: a first-order autoregression and a slow wave."""

    def __init__(self, random: Random) -> None:
        self._random, self._noise, self._phase = random, 0.0, random.uniform(0, 2 * math.pi)

    def at(self, tick: int) -> float:
        self._noise = 0.8 * self._noise + self._random.gauss(0, 0.2)
        return self._noise + 0.4 * math.sin(2 * math.pi * tick / TICKS + self._phase)


def error_ticks(random: Random, cell: Cell) -> Iterator[Table]:
    """The 120 ticks of one run."""
    drift = Drift(random)
    harm = math.log(cell.candidate / (1 - cell.candidate)) - math.log(cell.stable / (1 - cell.stable))
    for tick in range(TICKS):
        common, weight = 0.0, CANARY
        if cell.kind == "drift":
            common = drift.at(tick)
        elif cell.kind == "stage+rising" and tick >= TICKS // 2:
            common, weight = RISE * (tick - TICKS // 2) / (TICKS // 2), 0.5
        p_a = shifted(cell.stable, common)
        p_b = shifted(p_a, harm) if tick >= cell.onset else p_a
        yield _table(random, cell.rps * 60, weight, p_a, p_b)


def _table(random: Random, requests: float, weight: float, p_a: float, p_b: float) -> Table:
    n_a, n_b = requests * (1 - weight), requests * weight
    x_a, x_b = poisson(random, n_a * p_a), poisson(random, n_b * p_b)
    return Table(x_a + poisson(random, n_a * (1 - p_a)), x_a, x_b + poisson(random, n_b * (1 - p_b)), x_b)


@dataclass(frozen=True)
class Scenario:
    """One world of three metrics: errors, latency, answers that spend too many tokens."""

    name: str
    rps: int
    errors: tuple[float, float]
    """Of stable and candidate."""
    slower: float = 1.0
    """All latencies of the candidate, times this."""
    over: tuple[float, float] = (0.01, 0.01)

    @property
    def is_null(self) -> bool:
        return self.errors[0] == self.errors[1] and self.slower == 1 and self.over[0] == self.over[1]


class Minute(NamedTuple):
    """What three metrics say of one minute."""

    errors: Table
    latency: tuple[Histogram, Histogram]
    slow: Table
    """Beyond 500 ms: what "P99 at most 500 ms" counts."""
    slower: Table
    """Beyond the stable's P95."""
    over: Table


MEDIAN, SPREAD = 80.0, 0.6
"""Latency is log-normal: milliseconds, and σ of the logarithm."""
GRID = tuple(20.0 * 1.25**k for k in range(26))
"""Bucket edges, milliseconds; 500 is an edge of its own, as an SLO should be."""
_NORMAL = NormalDist()


def edge_near(q: float) -> float:
    """The bucket edge nearest to the stable's quantile."""
    value = MEDIAN * math.exp(SPREAD * _NORMAL.inv_cdf(q))
    return min(GRID, key=lambda edge: abs(edge - value))


QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99)
EDGES = tuple(edge_near(q) for q in QUANTILES)
SLO = 500.0
BUCKETS = tuple(sorted({*EDGES, SLO}))
"""Edges that nobody looks at need not be drawn."""


def minutes(random: Random, scenario: Scenario, ticks: int) -> Iterator[tuple[Minute, Minute]]:
    """By tick: the minute as it is at 10 % and at 50 %; both see the same drift."""
    drifts = [Drift(random) for _ in range(3)]
    harm = [math.log(b / (1 - b)) - math.log(a / (1 - a)) for a, b in (scenario.errors, scenario.over)]
    for tick in range(ticks):
        errors, latency, over = (drift.at(tick) for drift in drifts)
        p_errors, p_over = shifted(scenario.errors[0], errors), shifted(scenario.over[0], over)
        shares = ((p_errors, shifted(p_errors, harm[0])), (p_over, shifted(p_over, harm[1])))
        common = round(latency * 0.1, 2)
        at10, at50 = (_minute(random, scenario, weight, shares, common) for weight in (0.1, 0.5))
        yield at10, at50


def _minute(
    random: Random,
    scenario: Scenario,
    weight: float,
    shares: tuple[tuple[float, float], tuple[float, float]],
    common: float,
) -> Minute:
    arms = []
    for arm, part in enumerate((1 - weight, weight)):
        chances = _bucket_shares(common + (math.log(scenario.slower) if arm else 0.0))
        counts = tuple(poisson(random, scenario.rps * 60 * part * chance) for chance in chances)
        arms.append(Histogram(BUCKETS, counts))
    errors, over = (
        Table(arms[0].total, _of(random, arms[0].total, p_a), arms[1].total, _of(random, arms[1].total, p_b))
        for p_a, p_b in shares
    )
    slow, slower = (Table(arms[0].total, *_beyond(arms, edge)) for edge in (SLO, EDGES[3]))
    return Minute(errors, (arms[0], arms[1]), slow, slower, over)


def _beyond(arms: list[Histogram], edge: float) -> tuple[int, int, int]:
    at = BUCKETS.index(edge) + 1
    return sum(arms[0].counts[at:]), arms[1].total, sum(arms[1].counts[at:])


@cache
def _bucket_shares(shift: float) -> tuple[float, ...]:
    """How much of a log-normal latency, its logarithm shifted, falls into each bucket."""
    below = [_NORMAL.cdf((math.log(edge / MEDIAN) - shift) / SPREAD) for edge in BUCKETS]
    return tuple(high - low for low, high in zip([0.0, *below], [*below, 1.0], strict=True))


def _of(random: Random, n: int, p: float) -> int:
    """How many of n are bad: by the gaps between bad ones, so it takes about n·p steps."""
    bad, at, log_good = -1, 0, math.log1p(-p)
    while at <= n:
        bad, at = bad + 1, at + math.floor(math.log(1 - random.random()) / log_good) + 1
    return bad
