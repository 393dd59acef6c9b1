from __future__ import annotations

from typing import Any

import pytest
from google.api.distribution_pb2 import Distribution

from shared.metrics.distribution import histogram, single
from shared.rollout.observed import Histogram

Options = Distribution.BucketOptions


def distribution(options: Any, counts: list[int], mean: float = 0.0, deviation: float = 0.0) -> Any:
    return Distribution(
        count=sum(counts),
        mean=mean,
        sum_of_squared_deviation=deviation,
        bucket_options=options,
        bucket_counts=counts,
    )


LINEAR = Options(linear_buckets=Options.Linear(num_finite_buckets=3, width=10, offset=5))
EXPONENTIAL = Options(exponential_buckets=Options.Exponential(num_finite_buckets=3, growth_factor=2, scale=1))
EXPLICIT = Options(explicit_buckets=Options.Explicit(bounds=[64, 80, 120, 400]))


@pytest.mark.parametrize(
    ("options", "counts", "edges"),
    [
        (LINEAR, [1, 2, 3, 4, 5], (5, 15, 25, 35)),
        (EXPONENTIAL, [1, 2, 3, 4, 5], (1, 2, 4, 8)),
        (EXPLICIT, [1, 2, 3, 4, 5], (64, 80, 120, 400)),
    ],
)
def test_each_layout_has_its_edges(options: Any, counts: list[int], edges: tuple[float, ...]) -> None:
    assert histogram(distribution(options, counts, 7.5, 3.0)) == Histogram(edges, tuple(counts), 7.5, 3.0)


def test_counts_that_were_left_out_at_the_end_are_zero() -> None:
    assert histogram(distribution(EXPLICIT, [0, 2, 3])) == Histogram((64, 80, 120), (0, 2, 3, 0))


@pytest.mark.parametrize(
    ("counts", "trimmed"),
    [
        ([0, 0, 0, 7, 0], Histogram((120, 400), (0, 7, 0))),
        ([0, 7, 0, 0, 0], Histogram((64, 80), (0, 7, 0))),
        ([7, 0, 0, 0, 0], Histogram((64,), (7, 0))),
        ([0, 0, 0, 0, 7], Histogram((400,), (0, 7))),
        ([0, 3, 0, 4, 0], Histogram((64, 80, 120, 400), (0, 3, 0, 4, 0))),
    ],
)
def test_empty_tails_go_and_every_value_keeps_its_edges(counts: list[int], trimmed: Histogram) -> None:
    assert histogram(distribution(EXPLICIT, counts)) == trimmed


def test_edges_stay_finite_where_a_layout_runs_out_of_numbers() -> None:
    options = Options(exponential_buckets=Options.Exponential(num_finite_buckets=4, growth_factor=1e200, scale=1))
    assert histogram(distribution(options, [0, 1, 2, 3, 4, 5])) == Histogram((1, 1e200), (0, 1, 14))


def test_a_distribution_without_buckets_keeps_its_mean() -> None:
    assert histogram(Distribution(count=4, mean=12.5, sum_of_squared_deviation=2)) == Histogram((), (4,), 12.5, 2.0)


def test_a_distribution_without_values_is_nothing() -> None:
    assert histogram(distribution(LINEAR, [0, 0])) is None


def test_a_plain_number_is_one_value() -> None:
    assert single(3.5) == Histogram((), (1,), 3.5, 0.0)
