"""Cloud Monitoring's distributions as histograms.

A distribution names its buckets in one of three ways (google.api.Distribution.BucketOptions), and which one Vertex AI uses for latencies
is not documented, so all are read. What follows needs the edges only.
"""

from __future__ import annotations

import math
from typing import Any

from shared.rollout.histogram import trimmed
from shared.rollout.observed import Histogram


def histogram(distribution: Any) -> Histogram | None:
    """A google.api.Distribution as a histogram; None where it holds no value."""
    if not distribution.count:
        return None
    edges = _edges(distribution.bucket_options)
    # Empty buckets at the end may be left out of the counts.
    counts = [*distribution.bucket_counts, *[0] * (len(edges) + 1 - len(distribution.bucket_counts))]
    if not any(counts):
        edges, counts = [], [distribution.count]  # no buckets at all: the mean is all that is known
    edges, counts = trimmed(*_finite(edges, counts))
    return Histogram(tuple(edges), tuple(counts), distribution.mean, distribution.sum_of_squared_deviation)


def single(value: float) -> Histogram:
    """One plain number, of a metric that was written without a distribution."""
    return Histogram((), (1,), value, 0.0)


def _edges(options: Any) -> list[float]:
    layout = options.WhichOneof("options")
    if layout == "linear_buckets":
        linear = options.linear_buckets
        return [linear.offset + linear.width * i for i in range(linear.num_finite_buckets + 1)]
    if layout == "exponential_buckets":
        exponential = options.exponential_buckets
        return [
            _power(exponential.scale, exponential.growth_factor, i) for i in range(exponential.num_finite_buckets + 1)
        ]
    if layout == "explicit_buckets":
        return list(options.explicit_buckets.bounds)
    return []


def _power(scale: float, growth: float, exponent: int) -> float:
    try:
        return float(scale * growth**exponent)
    except OverflowError:
        return math.inf


def _finite(edges: list[float], counts: list[int]) -> tuple[list[float], list[int]]:
    """Without edges at infinity: what lies beyond the last finite one is beyond it."""
    finite = sum(math.isfinite(edge) for edge in edges)
    return edges[:finite], [*counts[:finite], sum(counts[finite:])]
