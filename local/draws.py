"""What the arms of a trial serve in a minute, drawn at random: how many requests, which fail, how long they take, what they spend.

The same draws make the minutes of the tests of the pure core and the traffic of the soak, so that their rates can be compared.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

LATENCY_EDGES = tuple(10 * 1.1**k for k in range(60))
"""Milliseconds."""
TOKEN_EDGES = (64.0, 80.0, 120.0, 160.0, 200.0, 240.0, 280.0, 320.0, 350.0, 400.0, 401.0)

_LATENCY, _SPREAD = 80.0, 0.6
"""Median in milliseconds, and the standard deviation of its logarithm."""
_KINDERMAN_MONAHAN = 4 * math.exp(-0.5) / math.sqrt(2.0)
_TOKENS, _TOKENS_SPREAD = 200.0, 60.0
_FEWEST, _MOST = 64.0, 400.0


@dataclass(frozen=True)
class Behaviour:
    """One arm: the share of its requests that fail, how slow it is, how many tokens it spends."""

    errors: float = 0.01
    slow: float = 1.0
    """Factor on every latency."""
    tokens: float = 1.0
    """Factor on the mean of the tokens."""


ORDINARY = Behaviour()
"""How every stable behaves, and a candidate that is its equal."""


@dataclass(frozen=True)
class Served:
    """One minute of one arm, value by value."""

    latencies: list[float]
    tokens: list[float]
    errors: int

    @property
    def requests(self) -> int:
        return len(self.latencies)


def draw_requests(generator: random.Random, rps: float, share: float) -> tuple[int, int]:
    """How many requests of a minute each of two arms gets, at least one each; ``share`` is the second one's."""
    requests = max(2, round(generator.gauss(rps * 60, math.sqrt(rps * 60))))
    taken = min(max(sum([generator.random() < share for _ in range(requests)]), 1), requests - 1)
    return requests - taken, taken


def draw_served(generator: random.Random, requests: int, behaviour: Behaviour) -> Served:
    """What one arm makes of its requests."""
    latencies = _lognormal(generator, requests, math.log(_LATENCY * behaviour.slow))
    gauss, mean = generator.gauss, _TOKENS * behaviour.tokens
    drawn = [gauss(mean, _TOKENS_SPREAD) for _ in range(requests)]
    tokens = [_FEWEST if value < _FEWEST else _MOST if value > _MOST else value for value in drawn]
    return Served(latencies, tokens, sum([generator.random() < behaviour.errors for _ in range(requests)]))


def _lognormal(generator: random.Random, number: int, mean: float) -> list[float]:
    """What ``lognormvariate`` draws so many times (Kinderman and Monahan 1977), in a loop of its own: most of a trial's time is spent here."""
    uniform, exp, log, spread, times = generator.random, math.exp, math.log, _SPREAD, _KINDERMAN_MONAHAN
    found = []
    for _ in range(number):
        while True:
            first, second = uniform(), 1.0 - uniform()
            normal = times * (first - 0.5) / second
            if normal * normal / 4.0 <= -log(second):
                break
        found.append(exp(mean + normal * spread))
    return found
