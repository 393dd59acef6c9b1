"""Histograms, aligners and reducers, by themselves."""

from __future__ import annotations

import math
import random

import pytest

from vertex_emulator.errors import ApiError
from vertex_emulator.metrics import Resource
from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.align import aggregate, plan
from vertex_emulator.monitoring.distribution import LATENCY_BUCKETS, Buckets, Distribution
from vertex_emulator.monitoring.series import Kind, Point, Series, SeriesId, Value, ValueType


def series(
    values: dict[float, Value], type_: ValueType = ValueType.DOUBLE, kind: Kind = Kind.GAUGE, n: str = "1"
) -> Series:
    id_ = SeriesId.of("custom.googleapis.com/x", {"n": n}, Resource("global", {}))
    return Series(id_, kind, type_, [Point(end, end, value, end) for end, value in values.items()])


def run(
    given: list[Series], aligner: str, reducer: str = "REDUCE_NONE", start: float = 0, end: float = 240
) -> list[Series]:
    aggregation = protos.Aggregation(per_series_aligner=aligner, cross_series_reducer=reducer)
    aggregation.alignment_period.seconds = 120
    step = plan(aggregation, given[0].kind, given[0].value_type)
    found = aggregate(given, step, start, end)
    assert all((s.kind, s.value_type) == (step.kind, step.type) for s in found)
    return found


@pytest.mark.parametrize(
    ("aligner", "expected"),
    [
        ("ALIGN_MIN", [1.0, 3.0]),
        ("ALIGN_MAX", [2.0, 3.0]),
        ("ALIGN_MEAN", [1.5, 3.0]),
        ("ALIGN_SUM", [3.0, 3.0]),
        ("ALIGN_COUNT", [2, 1]),
        ("ALIGN_STDDEV", [0.5, 0.0]),
        ("ALIGN_NEXT_OLDER", [2.0, 3.0]),
    ],
)
def test_points_of_a_period_become_one(aligner: str, expected: list[float]) -> None:
    (found,) = run([series({60: 1.0, 120: 2.0, 180: 3.0})], aligner)
    assert [(p.end, p.value) for p in found.points] == list(zip([120, 240], expected, strict=True))


def test_the_older_value_is_carried_into_periods_without_any() -> None:
    (found,) = run([series({60: 7.0})], "ALIGN_NEXT_OLDER", end=480)
    assert [p.value for p in found.points] == [7.0, 7.0, 7.0, 7.0]


def test_booleans_are_counted() -> None:
    given = series({60: True, 120: False, 90: True, 240: False}, ValueType.BOOL)
    for aligner, expected in (("COUNT_TRUE", [2, 0]), ("COUNT_FALSE", [1, 1]), ("FRACTION_TRUE", [2 / 3, 0.0])):
        (found,) = run([given], f"ALIGN_{aligner}")
        assert [p.value for p in found.points] == expected


@pytest.mark.parametrize(
    ("reducer", "expected"),
    [
        ("REDUCE_SUM", 6.0),
        ("REDUCE_MEAN", 2.0),
        ("REDUCE_MIN", 1.0),
        ("REDUCE_MAX", 3.0),
        ("REDUCE_COUNT", 3),
        ("REDUCE_STDDEV", math.sqrt(2 / 3)),
        ("REDUCE_PERCENTILE_50", 2.0),
        ("REDUCE_PERCENTILE_05", 1.1),
        ("REDUCE_PERCENTILE_95", 2.9),
    ],
)
def test_series_of_a_group_become_one(reducer: str, expected: float) -> None:
    given = [series({120: float(n)}, n=str(n)) for n in (1, 2, 3)]
    (found,) = run(given, "ALIGN_MEAN", reducer)
    assert found.points[0].value == pytest.approx(expected)
    assert found.id.metric_labels == ()


@pytest.mark.parametrize("operation", ["ALIGN_INTERPOLATE", "ALIGN_PERCENT_CHANGE"])
def test_what_is_not_supported_says_so(operation: str) -> None:
    with pytest.raises(ApiError, match="not supported by this local server"):
        run([series({60: 1.0})], operation)


@pytest.mark.parametrize(
    "buckets",
    [LATENCY_BUCKETS, Buckets.linear(200, 5.0, 0.0), Buckets.explicit(tuple(float(b) for b in range(0, 1000, 7)))],
)
def test_a_percentile_is_off_by_less_than_its_bucket(buckets: Buckets) -> None:
    rng = random.Random(7)
    values = sorted(rng.lognormvariate(4.5, 0.4) for _ in range(5000))
    distribution = Distribution(buckets)
    for value in values:
        distribution.observe(value)
    for percent in (5, 50, 95, 99):
        exact = values[round(len(values) * percent / 100) - 1]
        assert distribution.percentile(percent) == pytest.approx(exact, rel=0.1)


def test_beyond_the_finite_buckets_the_bound_is_the_answer() -> None:
    distribution = Distribution(Buckets.explicit((10.0, 20.0)))
    distribution.observe(1.0)
    assert distribution.percentile(50) == 10.0
    for _ in range(100):
        distribution.observe(1e6)
    assert distribution.percentile(95) == 20.0
    assert math.isnan(Distribution(LATENCY_BUCKETS).percentile(50))


def test_merging_equals_observing_everything_at_once_and_can_be_undone() -> None:
    rng = random.Random(3)
    left, right, both = (Distribution(LATENCY_BUCKETS) for _ in range(3))
    for n in range(500):
        value = rng.uniform(1, 500)
        (left if n % 3 else right).observe(value)
        both.observe(value)
    merged = left.copy()
    merged.merge(right)
    assert merged.counts == both.counts
    assert merged.mean == pytest.approx(both.mean)
    assert merged.squared_deviation == pytest.approx(both.squared_deviation)
    undone = merged.minus(left)
    assert undone.counts == right.counts
    assert undone.mean == pytest.approx(right.mean)
    assert undone.squared_deviation == pytest.approx(right.squared_deviation)


def test_different_buckets_do_not_merge() -> None:
    with pytest.raises(ValueError, match="different bucket bounds"):
        Distribution(LATENCY_BUCKETS).merge(Distribution(Buckets.linear(3, 1.0, 0.0)))
    with pytest.raises(ValueError, match="strictly increasing"):
        Buckets.explicit((2.0, 1.0))
