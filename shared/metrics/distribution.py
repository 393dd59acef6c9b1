"""Cloud Monitoring's distributions as histograms.

A distribution names its buckets in one of three ways (google.api.Distribution.BucketOptions), and which one Vertex AI uses for latencies
is not documented, so all are read. What follows needs the edges only.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from shared.rollout.histogram import trimmed
from shared.rollout.observed import Histogram


def histogram(distribution: Any) -> Histogram | None:
    """A google.api.Distribution as a histogram; None where it holds no value."""
    if not distribution.count:
        return None
    edges = _edges(distribution.bucket_options)
    # Empty buckets at the end may be left out of the counts, and what lies beyond the last finite edge is beyond it.
    given = list(distribution.bucket_counts)
    last = len(edges)
    counts = [*given[:last], *[0] * (last - len(given)), sum(given[last:])]
    if not any(counts):
        edges, counts = (), [distribution.count]  # no buckets at all: the mean is all that is known
    kept, within = trimmed(edges, counts)
    return Histogram(tuple(kept), tuple(within), distribution.mean, distribution.sum_of_squared_deviation)


def single(value: float) -> Histogram:
    """One plain number, of a metric that was written without a distribution."""
    return Histogram((), (1,), value, 0.0)


def _edges(options: Any) -> tuple[float, ...]:
    """All edges that are no infinity."""
    layout = options.WhichOneof("options")
    if layout == "linear_buckets":
        linear = options.linear_buckets
        return _linear(linear.offset, linear.width, linear.num_finite_buckets)
    if layout == "exponential_buckets":
        exponential = options.exponential_buckets
        return _exponential(exponential.scale, exponential.growth_factor, exponential.num_finite_buckets)
    if layout == "explicit_buckets":
        return tuple(filter(math.isfinite, options.explicit_buckets.bounds))
    return ()


@lru_cache(maxsize=64)
def _linear(offset: float, width: float, buckets: int) -> tuple[float, ...]:
    return tuple(filter(math.isfinite, (offset + width * i for i in range(buckets + 1))))


@lru_cache(maxsize=64)
def _exponential(scale: float, growth: float, buckets: int) -> tuple[float, ...]:
    """A metric has one layout, and a tick meets it ten thousand times."""
    return tuple(filter(math.isfinite, (_power(scale, growth, i) for i in range(buckets + 1))))


def _power(scale: float, growth: float, exponent: int) -> float:
    try:
        return float(scale * growth**exponent)
    except OverflowError:
        return math.inf
