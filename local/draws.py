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
    taken = min(max(sum(generator.random() < share for _ in range(requests)), 1), requests - 1)
    return requests - taken, taken


def draw_served(generator: random.Random, requests: int, behaviour: Behaviour) -> Served:
    """What one arm makes of its requests."""
    latencies = [generator.lognormvariate(math.log(_LATENCY * behaviour.slow), _SPREAD) for _ in range(requests)]
    tokens = [
        min(_MOST, max(_FEWEST, generator.gauss(_TOKENS * behaviour.tokens, _TOKENS_SPREAD))) for _ in range(requests)
    ]
    return Served(latencies, tokens, sum(generator.random() < behaviour.errors for _ in range(requests)))
