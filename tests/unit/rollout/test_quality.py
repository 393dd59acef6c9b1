"""Reported values in buckets: nothing is lost, and what a check asks of a limit is exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events.quality import Reported
from shared.policy.rollout import Labels
from shared.rollout.histogram import count_below, count_from, merge_histograms
from shared.rollout.quality import as_histogram, edges_of, of_share, of_values, outcome_of
from tests.functional.functions.policies import policy

CHECK = {"metric": "tokens", "range": [64, 400], "share_above": {350: "5%"}, "share_below": {80: "5%"}}
EDGES = edges_of(policy(rollout={"checks": [CHECK]}), "tokens")


@given(st.lists(st.integers(0, 600), min_size=1, max_size=60))
def test_whole_numbers_are_counted_exactly_at_every_limit(values: list[int]) -> None:
    found = of_values([float(value) for value in values], EDGES)
    assert found.total == len(values)
    for limit in (64, 80, 350, 400):
        assert count_below(found, limit) == sum(value < limit for value in values)
        assert count_from(found, limit, itself=False) == sum(value > limit for value in values)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12, unique=True).map(sorted),
    st.data(),
)
def test_a_histogram_of_other_edges_loses_no_value(edges: list[float], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 50), min_size=len(edges) + 1, max_size=len(edges) + 1))
    reported = Reported("histogram", edges=tuple(edges), counts=tuple(counts), mean=1.0, deviation=2.0)
    assert as_histogram(reported, EDGES).total == sum(counts)


def test_a_histogram_with_the_limits_among_its_edges_is_exact_there() -> None:
    reported = Reported("histogram", edges=(64, 80, 351, 401), counts=(1, 2, 30, 4, 3), mean=200, deviation=9)
    found = as_histogram(reported, EDGES)
    assert (count_below(found, 64), count_below(found, 80)) == (1, 3)
    assert (count_from(found, 350, itself=False), count_from(found, 400, itself=False)) == (7, 3)


def test_a_share_is_zeros_and_ones_and_adds_to_values_of_the_same_kind() -> None:
    found = merge_histograms([of_share(3, 7), of_values([0.0, 1.0], EDGES)])
    assert (found.total, found.mean) == (12, 8 / 12)
    assert count_from(found, 0.5) == 8


@pytest.mark.parametrize(
    ("outcome", "predicted", "truth", "worth"),
    [
        ("agrees", "fraud", "fraud", 1.0),
        ("agrees", 1, "1", 1.0),
        ("agrees", True, "true", 1.0),
        ("agrees", "fraud", "fine", 0.0),
        ("absolute_error", 2.5, 4, 1.5),
        ("absolute_error", "2.5", 4, None),
    ],
)
def test_what_a_prediction_was_worth(
    outcome: str, predicted: str | float | bool, truth: str | float | bool, worth: float | None
) -> None:
    labels = Labels.model_validate({"ripe_after": "1h", "outcome": outcome})
    assert outcome_of(labels, predicted, truth) == worth
