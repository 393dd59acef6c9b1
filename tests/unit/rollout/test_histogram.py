"""Distributions beside the values that they were made of."""

from __future__ import annotations

import math
from bisect import bisect_right
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rollout.histogram import count_below, count_from, merge_histograms, quantile
from shared.rollout.observed import Histogram
from tests.unit.rollout.worlds import latencies

EDGES = (10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
VALUES = st.lists(st.integers(0, 700).map(float), min_size=1, max_size=60)


def trimmed(values: list[float]) -> Histogram:
    """As the reader hands it over: without empty buckets at the ends, but for one open one at each."""
    whole = latencies(*values, edges=EDGES)
    filled = [i for i, count in enumerate(whole.counts) if count]
    first, last = max(filled[0] - 1, 0), min(filled[-1] + 2, len(whole.counts))
    return Histogram(EDGES[first : last - 1], whole.counts[first:last], whole.mean, whole.deviation)


@given(VALUES, st.sampled_from(EDGES))
def test_shares_are_exact_where_the_limit_is_an_edge(values: list[float], edge: float) -> None:
    histogram = latencies(*values, edges=EDGES)
    assert count_from(histogram, edge) == sum(v >= edge for v in values)
    assert count_below(histogram, edge) == sum(v < edge for v in values)
    above = EDGES[EDGES.index(edge) + 1] if edge != EDGES[-1] else math.inf
    assert count_from(histogram, edge, itself=False) == sum(v >= above for v in values)


@given(VALUES, st.floats(0.01, 1))
def test_a_quantile_is_in_the_bucket_of_the_value_it_stands_for(values: list[float], q: float) -> None:
    found = quantile(latencies(*values, edges=EDGES), q)
    true = sorted(values)[max(math.ceil(q * len(values) - 1e-9) - 1, 0)]
    at = bisect_right(EDGES, true)
    low = EDGES[at - 1] if at else EDGES[0]
    high = EDGES[at] if at < len(EDGES) else EDGES[-1]
    assert low <= found <= high


def test_within_a_bucket_values_are_taken_to_be_even() -> None:
    histogram = Histogram((0, 100, 200), (0, 100, 100, 0))
    assert quantile(histogram, 0.25) == 50
    assert quantile(histogram, 0.75) == 150
    assert count_from(histogram, 150) == 50
    assert count_from(histogram, 90, itself=False) == 110


def test_open_buckets_are_their_one_edge_and_are_not_divided() -> None:
    histogram = Histogram((10, 20), (4, 0, 6))
    assert quantile(histogram, 0.1) == 10
    assert quantile(histogram, 0.9) == 20
    assert count_from(histogram, 5) == 6
    assert count_from(histogram, 30) == 0


def test_without_values_nothing_is_known() -> None:
    assert math.isnan(quantile(Histogram(), 0.5))
    assert count_from(Histogram(), 1) == 0
    assert merge_histograms([]) == Histogram()
    assert quantile(Histogram((), (5,), 3.0), 0.95) == math.inf


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_merged_distributions_are_that_of_all_values(parts: list[list[float]]) -> None:
    merged = merge_histograms([trimmed(values) for values in parts])
    together = [value for values in parts for value in values]
    whole = latencies(*together, edges=EDGES)
    assert merged.total == len(together)
    assert merged.mean == pytest.approx(fmean(together))
    assert merged.deviation == pytest.approx(whole.deviation, abs=1e-6)
    for edge in EDGES:
        if edge in merged.edges:
            assert count_from(merged, edge) == count_from(whole, edge)


@given(VALUES, VALUES, VALUES)
def test_merging_is_associative_and_in_any_order(one: list[float], two: list[float], three: list[float]) -> None:
    a, b, c = trimmed(one), trimmed(two), trimmed(three)
    left = merge_histograms([merge_histograms([a, b]), c])
    right = merge_histograms([c, merge_histograms([b, a])])
    assert (left.edges, left.counts) == (right.edges, right.counts)
    assert left.mean == pytest.approx(right.mean)
    assert left.deviation == pytest.approx(right.deviation, abs=1e-6)


def test_an_empty_part_adds_nothing() -> None:
    some = latencies(15, 30)
    assert merge_histograms([some, Histogram(), latencies()]) == some


def test_layouts_that_share_no_or_some_edges_are_merged_bucket_by_bucket() -> None:
    one, other = Histogram((10, 20, 50), (0, 2, 3, 1), 30), Histogram((15, 20, 40), (1, 4, 0, 5), 30)
    assert merge_histograms([one, other]).edges == (10, 15, 20, 40, 50)
    assert merge_histograms([one, other]).counts == merge_histograms([other, one]).counts == (1, 2, 4, 3, 5, 1)
    far = Histogram((100, 200), (0, 7, 0), 150)
    assert merge_histograms([one, far]).edges == (10, 20, 50, 100, 200)
    assert merge_histograms([far, one]).counts == (0, 2, 3, 1, 7, 0)


@given(VALUES, VALUES)
def test_parts_of_one_layout_are_added_as_those_of_different_ones_are(one: list[float], other: list[float]) -> None:
    a, b = trimmed(one), trimmed(other)
    merged = merge_histograms([a, b])
    edges = sorted({*a.edges, *b.edges})
    assert list(merged.edges) == edges
    for low, count in zip((-math.inf, *edges), merged.counts, strict=True):
        assert count == sum(
            dict(zip((-math.inf, *part.edges), part.counts, strict=True)).get(low, 0) for part in (a, b)
        )
