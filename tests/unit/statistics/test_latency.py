"""Histograms as tables: which edges, what counts beyond them, and on which side a limit falls."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.rollout.observed import Histogram
from shared.rollout.statistics.binomial import above
from shared.rollout.statistics.latency import (
    Exceedance,
    begin_exceedance,
    e_average,
    e_every,
    exceedance_table,
    factor_edge,
    perhaps_beyond,
    shifted_table,
    slo_counts,
    stable_edges,
    surely_beyond,
    update_exceedance,
)
from shared.rollout.statistics.process import e_value, update
from shared.rollout.statistics.tables import Table, harm, no_harm

LAYOUTS = {
    "linear": tuple(10.0 * i for i in range(1, 80)),
    "exponential": tuple(5 * 1.1**i for i in range(60)),
    "explicit": (10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 1_000.0),
}
"""The three of Cloud Monitoring, as their edges."""


def filled(edges: tuple[float, ...], values: list[float], *, trimmed: bool = True) -> Histogram:
    """Values in buckets that hold their lower edge; without empty tails, as ticks are stored."""
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[sum(edge <= value for edge in edges)] += 1
    first, last = 0, len(counts)
    while trimmed and last > 1 and counts[last - 1] == counts[last - 2] == 0:
        last -= 1
    while trimmed and first < last - 1 and counts[first] == counts[first + 1] == 0:
        first += 1
    mean = sum(values) / len(values)
    deviation = sum((value - mean) ** 2 for value in values)
    return Histogram(edges[first : last - 1], tuple(counts[first:last]), mean, deviation)


def served(random: Random, count: int, factor: float = 1.0) -> list[float]:
    return [factor * 80 * math.exp(random.gauss(0, 0.6)) for _ in range(count)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_slower_candidate_is_found_in_each_layout_and_an_equal_one_may_advance(layout: str) -> None:
    edges, random = LAYOUTS[layout], Random(1)
    chosen = stable_edges(filled(edges, served(random, 5_000)))
    assert 4 <= len(chosen) <= 5
    assert set(chosen) <= set(edges)
    seek, clear = harm(), no_harm(1.5)
    slow, same = begin_exceedance(chosen, seek), begin_exceedance(chosen, seek)
    middle = begin_exceedance(stable_edges(filled(edges, served(random, 5_000)), (0.5,)), clear, kept=0)
    for _ in range(25):
        stable, equal = filled(edges, served(random, 540)), filled(edges, served(random, 60))
        slow = update_exceedance(slow, seek, stable, filled(edges, served(random, 60, 1.3)))
        same = update_exceedance(same, seek, stable, equal)
        middle = update_exceedance(middle, clear, stable, equal)
    assert e_average(slow) >= 100
    assert e_average(same) < 5
    assert e_every(middle) >= 20
    assert TypeAdapter(Exceedance).validate_json(TypeAdapter(Exceedance).dump_json(slow)) == slow


@given(st.lists(st.floats(0, 5_000), min_size=1, max_size=40), st.sampled_from(sorted(LAYOUTS)), st.data())
def test_what_was_trimmed_counts_as_what_it_was(values: list[float], layout: str, data: st.DataObject) -> None:
    edges = LAYOUTS[layout]
    edge = data.draw(st.sampled_from(edges))
    for histogram in (filled(edges, values), filled(edges, values, trimmed=False)):
        assert surely_beyond(histogram, edge) == perhaps_beyond(histogram, edge) == sum(v >= edge for v in values)


@given(st.lists(st.floats(0, 2_000), min_size=1, max_size=40), st.floats(1, 2_000))
def test_between_two_edges_the_truth_lies_between_the_two_counts(values: list[float], limit: float) -> None:
    histogram = filled(LAYOUTS["explicit"], values)
    truth = sum(value >= limit for value in values)
    assert surely_beyond(histogram, limit) <= truth <= perhaps_beyond(histogram, limit)


def test_edges_that_were_computed_in_two_ways_are_the_same_edge() -> None:
    histogram = Histogram((0.1 + 0.2, 1.0), (1, 2, 4))
    assert surely_beyond(histogram, 0.3) == perhaps_beyond(histogram, 0.3) == 6


def test_a_factor_moves_to_the_edge_that_makes_the_claim_harder() -> None:
    edges = (10.0, 20.0, 40.0, 80.0)
    assert factor_edge(edges, 20.0, 1.5) == 40.0
    assert factor_edge(edges, 20.0, 1.5, to_advance=True) == 20.0
    assert factor_edge(edges, 20.0, 2.0) == factor_edge(edges, 20.0, 2.0, to_advance=True) == 40.0
    assert factor_edge(edges, 80.0, 1.5) is None
    assert factor_edge((40.0,), 10.0, 1.5, to_advance=True) is None
    stable, candidate = Histogram(edges, (0, 50, 30, 20, 0)), Histogram(edges, (0, 1, 3, 4, 2))
    assert shifted_table(stable, candidate, 20.0, 40.0) == Table(100, 50, 10, 6)


def test_a_limit_on_a_quantile_counts_what_is_surely_or_perhaps_beyond_it() -> None:
    values = Histogram((50.0, 100.0, 200.0), (10, 60, 20, 10))
    assert slo_counts(values, 100.0) == slo_counts(values, 100.0, to_advance=True) == (100, 30)
    assert slo_counts(values, 120.0) == (100, 10)
    assert slo_counts(values, 120.0, to_advance=True) == (100, 30)
    test = above(0.05)
    state = test.begin()
    for _ in range(5):
        state = update(state, test.log_ratios(*(slo_counts(values, 120.0) or (0, 0))))
    assert e_value(state) > 10


def test_a_mean_without_buckets_is_not_counted_in() -> None:
    bare, full = Histogram((), (9,), 80.0, 10.0), Histogram((50.0, 100.0), (5, 4, 3))
    assert stable_edges(bare) == stable_edges(Histogram()) == ()
    assert slo_counts(bare, 100.0) is None
    assert exceedance_table(bare, full, 50.0) is exceedance_table(full, bare, 50.0) is None
    state = begin_exceedance((50.0, 100.0), harm())
    assert update_exceedance(state, harm(), full, bare) == state
    with pytest.raises(ValueError, match="judge its mean"):
        begin_exceedance((), harm())
