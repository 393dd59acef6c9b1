"""Arithmetic on distributions: merging, quantiles, shares beyond an edge.

A bucket holds its lower edge and not its upper one, as in Cloud Monitoring (google.api.Distribution). Within a bucket values are taken
to be even, so a share or a quantile is exact where the limit is an edge, and interpolated where it is not.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import add

from shared.rollout.observed import Histogram


def merge_histograms(parts: Sequence[Histogram]) -> Histogram:
    """The distribution of all values together; edges may differ by what was trimmed of empty tails.

    Where one part has no buckets, nothing but the mean is known of the whole.
    """
    parts = [part for part in parts if part.total]
    if len(parts) < 2:
        return parts[0] if parts else Histogram()
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...]
    if not all(part.edges for part in parts):
        counts = (sum(part.total for part in parts),)
    else:
        edges, counts = parts[0].edges, parts[0].counts
        for part in parts[1:]:
            edges, counts = _together(edges, counts, part.edges, part.counts)
    total = sum(part.total for part in parts)
    mean = sum(part.mean * part.total for part in parts) / total
    deviation = sum(part.deviation + part.total * (part.mean - mean) ** 2 for part in parts)
    return Histogram(edges, counts, mean, deviation)


def _together(
    edges: tuple[float, ...], counts: tuple[int, ...], more_edges: tuple[float, ...], more_counts: tuple[int, ...]
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Both in the edges of both. Parts of one layout overlap edge by edge; they are most of what is merged, and are added as they lie."""
    if more_edges[0] < edges[0]:
        edges, counts, more_edges, more_counts = more_edges, more_counts, edges, counts
    first = bisect_left(edges, more_edges[0])
    common = min(len(edges) - first, len(more_edges))
    if not common or edges[first : first + common] != more_edges[:common]:
        return _apart(edges, counts, more_edges, more_counts)
    added = [*counts, *[0] * (len(more_edges) - common)]
    added[0] += more_counts[0]
    inside = slice(first + 1, first + 1 + len(more_edges))
    added[inside] = map(add, added[inside], more_counts[1:])
    return edges + more_edges[common:], tuple(added)


def _apart(
    edges: tuple[float, ...], counts: tuple[int, ...], more_edges: tuple[float, ...], more_counts: tuple[int, ...]
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The same of different layouts."""
    both = tuple(sorted({*edges, *more_edges}))
    begins = dict.fromkeys((-math.inf, *both), 0)
    for low, count in chain(
        zip((-math.inf, *edges), counts, strict=True), zip((-math.inf, *more_edges), more_counts, strict=True)
    ):
        begins[low] += count
    return both, tuple(begins.values())


def _buckets(histogram: Histogram) -> Iterator[tuple[float, float, int]]:
    """(lower edge, upper edge, count) of each bucket that holds something."""
    bounds = (-math.inf, *histogram.edges, math.inf)
    for low, high, count in zip(bounds, bounds[1:], histogram.counts, strict=False):
        if count:
            yield low, high, count


def quantile(histogram: Histogram, q: float) -> float:
    """The value below which the share ``q`` lies; nan without values.

    The open buckets have no width: their one finite edge stands for them. Without any edge it is infinite: nothing is known.
    """
    wanted, seen = q * histogram.total, 0.0
    for low, high, count in _buckets(histogram):
        if seen + count >= wanted:
            if low == -math.inf:
                return high
            if high == math.inf:
                return low
            return low + (high - low) * (wanted - seen) / count
        seen += count
    return math.nan


def count_from(histogram: Histogram, edge: float, *, itself: bool = True) -> int:
    """How many values are at or beyond ``edge`` (``itself=False``: beyond the bucket that begins at it)."""
    counted = 0.0
    for low, high, count in _buckets(histogram):
        if low > edge or (low == edge and itself):
            counted += count
        elif low < edge < high:
            wide = high - low
            counted += count * (high - edge) / wide if math.isfinite(wide) else 0
    return round(counted)


def count_below(histogram: Histogram, edge: float) -> int:
    """How many values are below ``edge``."""
    return histogram.total - count_from(histogram, edge)


def trimmed(edges: Sequence[float], counts: Sequence[int]) -> tuple[Sequence[float], Sequence[int]]:
    """Without the empty buckets at both ends: what is kept is stored with each tick, and most layouts span six decades.

    One empty open bucket stays at each end, so that the outermost values keep both their edges.
    """
    last = len(counts)
    while last > 1 and counts[last - 1] == 0 and counts[last - 2] == 0:
        last -= 1
    first = 0
    while first < last - 1 and counts[first] == 0 and counts[first + 1] == 0:
        first += 1
    return edges[first : last - 1], counts[first:last]
