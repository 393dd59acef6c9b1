"""Aggregation: align each series to periods, then reduce across series.

Periods are counted back from the end of the interval, and nothing outside the interval is read. A point belongs to the period in
which it ends; Google interpolates a DELTA point that straddles two periods, which cannot happen to intervals that end on
a full minute. A period without points yields no point. Which operation is allowed on which metric, and what comes out, is taken
from the comments of ``google.monitoring.v3.Aggregation``.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.distribution import Distribution
from vertex_emulator.monitoring.filter import field_of, owner_and_label
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.rpc import invalid_field, unsupported
from vertex_emulator.monitoring.series import Kind, Point, Series, SeriesId, Value, ValueType

MIN_ALIGNMENT_PERIOD = 60.0
"""Seconds; ``Aggregation.alignment_period``: "The value must be at least 60 seconds"."""

_NUMERIC = frozenset({ValueType.INT64, ValueType.DOUBLE})
_NUMERIC_OR_DISTRIBUTION = _NUMERIC | {ValueType.DISTRIBUTION}
_ANY = frozenset(ValueType)
_NOT_CUMULATIVE = frozenset({Kind.GAUGE, Kind.DELTA})


@dataclass(frozen=True)
class Rule:
    """What an aligner or a reducer accepts and makes; ``None`` means: the same as it was given."""

    kinds: frozenset[Kind]
    types: frozenset[ValueType]
    kind: Kind | None
    type: ValueType | None

    def outcome(self, kind: Kind, type_: ValueType) -> tuple[Kind, ValueType]:
        """Kind and value type of the result."""
        return self.kind or kind, self.type or type_


_MOVING = frozenset({Kind.DELTA, Kind.CUMULATIVE})
_GAUGE = frozenset({Kind.GAUGE})
_BOOL = frozenset({ValueType.BOOL})
_PERCENTILES = {"99": 99.0, "95": 95.0, "50": 50.0, "05": 5.0}

_ALIGNERS = {
    "ALIGN_NONE": Rule(frozenset(Kind), _ANY, None, None),
    "ALIGN_DELTA": Rule(_MOVING, _NUMERIC_OR_DISTRIBUTION, Kind.DELTA, None),
    "ALIGN_RATE": Rule(_MOVING, _NUMERIC, Kind.GAUGE, ValueType.DOUBLE),
    "ALIGN_NEXT_OLDER": Rule(_GAUGE, _ANY, None, None),
    "ALIGN_MIN": Rule(_NOT_CUMULATIVE, _NUMERIC, Kind.GAUGE, None),
    "ALIGN_MAX": Rule(_NOT_CUMULATIVE, _NUMERIC, Kind.GAUGE, None),
    "ALIGN_MEAN": Rule(_NOT_CUMULATIVE, _NUMERIC, Kind.GAUGE, ValueType.DOUBLE),
    "ALIGN_STDDEV": Rule(_NOT_CUMULATIVE, _NUMERIC, Kind.GAUGE, ValueType.DOUBLE),
    "ALIGN_COUNT": Rule(_NOT_CUMULATIVE, _NUMERIC | _BOOL, Kind.GAUGE, ValueType.INT64),
    "ALIGN_SUM": Rule(_NOT_CUMULATIVE, _NUMERIC_OR_DISTRIBUTION, None, None),
    "ALIGN_COUNT_TRUE": Rule(_GAUGE, _BOOL, None, ValueType.INT64),
    "ALIGN_COUNT_FALSE": Rule(_GAUGE, _BOOL, None, ValueType.INT64),
    "ALIGN_FRACTION_TRUE": Rule(_GAUGE, _BOOL, None, ValueType.DOUBLE),
} | {
    f"ALIGN_PERCENTILE_{p}": Rule(_NOT_CUMULATIVE, frozenset({ValueType.DISTRIBUTION}), Kind.GAUGE, ValueType.DOUBLE)
    for p in _PERCENTILES
}
_REDUCERS = {
    "REDUCE_NONE": Rule(frozenset(Kind), _ANY, None, None),
    "REDUCE_MEAN": Rule(_NOT_CUMULATIVE, _NUMERIC_OR_DISTRIBUTION, Kind.GAUGE, ValueType.DOUBLE),
    "REDUCE_STDDEV": Rule(_NOT_CUMULATIVE, _NUMERIC_OR_DISTRIBUTION, Kind.GAUGE, ValueType.DOUBLE),
    "REDUCE_MIN": Rule(_NOT_CUMULATIVE, _NUMERIC, None, None),
    "REDUCE_MAX": Rule(_NOT_CUMULATIVE, _NUMERIC, None, None),
    "REDUCE_SUM": Rule(_NOT_CUMULATIVE, _NUMERIC_OR_DISTRIBUTION, None, None),
    "REDUCE_COUNT": Rule(_NOT_CUMULATIVE, _ANY, Kind.GAUGE, ValueType.INT64),
} | {
    f"REDUCE_PERCENTILE_{p}": Rule(_NOT_CUMULATIVE, _NUMERIC_OR_DISTRIBUTION, Kind.GAUGE, ValueType.DOUBLE)
    for p in _PERCENTILES
}


@dataclass(frozen=True)
class Step:
    """One aggregation, checked: what will be done, and what kind of series comes out."""

    aligner: str
    period: float
    reducer: str
    group_by: tuple[str, ...]
    kind: Kind
    type: ValueType


def plan(aggregation: Message, kind: Kind, type_: ValueType, field: str = "aggregation") -> Step:
    """Check one ``Aggregation`` against the metric it is applied to; refused as Cloud Monitoring refuses it."""
    aligner = protos.Aggregation.Aligner.Name(aggregation.per_series_aligner)
    reducer = protos.Aggregation.Reducer.Name(aggregation.cross_series_reducer)
    period = aggregation.alignment_period.seconds + aggregation.alignment_period.nanos / 1e9
    if aligner == "ALIGN_NONE":
        if reducer != "REDUCE_NONE":
            why = "A per-series aligner must be specified when a cross-series reducer is."
            raise invalid_field(f"{field}.perSeriesAligner", aligner, why)
    elif period < MIN_ALIGNMENT_PERIOD:
        why = "The alignment period must be at least 60 seconds."
        raise invalid_field(f"{field}.alignmentPeriod", f"{period:g}s", why)
    for name, rules, part in (
        (aligner, _ALIGNERS, "perSeriesAligner"),
        (reducer, _REDUCERS, "crossSeriesReducer"),
    ):
        rule = rules.get(name)
        if rule is None:
            raise unsupported(f"{name} is not supported by this local server; choose another in {field}.")
        if kind not in rule.kinds or type_ not in rule.types:
            what = "aligner" if rules is _ALIGNERS else "reducer"
            why = f"The {what} cannot be applied to metrics with kind {kind} and value type {type_}."
            raise invalid_field(f"{field}.{part}", name, why)
        kind, type_ = rule.outcome(kind, type_)
    return Step(aligner, period, reducer, tuple(aggregation.group_by_fields), kind, type_)


def aggregate(series: Sequence[Series], step: Step, start: float, end: float) -> list[Series]:
    """Apply one checked aggregation to series whose points lie in ``(start, end]``."""
    if step.aligner == "ALIGN_NONE":
        return list(series)
    aligned = [s for s in (_align(one, step, end) for one in series) if s.points]
    return aligned if step.reducer == "REDUCE_NONE" else _reduce(aligned, step)


def _align(series: Series, step: Step, end: float) -> Series:
    periods: dict[float, list[Value]] = defaultdict(list)
    points = _as_deltas(series.points) if series.kind is Kind.CUMULATIVE else series.points
    for point in points:
        periods[end - math.floor((end - point.end) / step.period) * step.period].append(point.value)
    if step.aligner == "ALIGN_NEXT_OLDER" and periods:
        _carry_forward(periods, step.period, end)
    operation = _aligner(step)
    kind, type_ = _ALIGNERS[step.aligner].outcome(series.kind, series.value_type)
    width = 0.0 if kind is Kind.GAUGE else step.period
    return Series(series.id, kind, type_, [Point(at - width, at, operation(periods[at]), at) for at in sorted(periods)])


def _as_deltas(points: Sequence[Point]) -> list[Point]:
    """The steps of a CUMULATIVE series: between two points since the same start, or the whole after a reset."""
    deltas = []
    for before, point in zip([None, *points[:-1]], points, strict=True):
        value = point.value
        if before is not None and before.start == point.start:
            value = _difference(value, before.value)
        deltas.append(Point(point.start, point.end, value, point.visible))
    return deltas


def _difference(later: Value, earlier: Value) -> Value:
    if isinstance(later, Distribution) and isinstance(earlier, Distribution):
        return later.minus(earlier)
    return _number(later) - _number(earlier)


def _carry_forward(periods: dict[float, list[Value]], period: float, end: float) -> None:
    at = min(periods)
    while at < end:
        if at + period not in periods:
            periods[at + period] = periods[at][-1:]
        at += period


def _aligner(step: Step) -> Callable[[list[Value]], Value]:
    name = step.aligner.removeprefix("ALIGN_")
    if name.startswith("PERCENTILE_"):
        percent = _PERCENTILES[name.removeprefix("PERCENTILE_")]
        return lambda values: _merged(values).percentile(percent)
    if name == "RATE":
        return lambda values: float(_sum(values)) / step.period  # type: ignore[arg-type]  # numbers only: see _ALIGNERS
    return _OPERATIONS["SUM" if name == "DELTA" else name]


def _reduce(series: Sequence[Series], step: Step) -> list[Series]:
    groups: dict[SeriesId, dict[float, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for one in series:
        by_end = groups[_grouped(one.id, step.group_by)]
        for point in one.points:
            by_end[point.end].append(point)
    operation = _reducer(step.reducer)
    reduced = []
    for id_, by_end in groups.items():
        points = [
            Point(
                at if step.kind is Kind.GAUGE else by_end[at][0].start, at, operation([p.value for p in by_end[at]]), at
            )
            for at in sorted(by_end)
        ]
        reduced.append(Series(id_, step.kind, step.type, points))
    return reduced


def _grouped(id_: SeriesId, group_by: Sequence[str]) -> SeriesId:
    """The identity that a group's series share: only the labels that are grouped by."""
    kept: dict[str, list[tuple[str, str]]] = {"metric": [], "resource": []}
    for selector in group_by:
        owner, label = owner_and_label(selector)
        value = field_of(id_, selector)
        if owner in kept and label and value:
            kept[owner].append((label, value))
    return SeriesId(id_.metric, tuple(sorted(kept["metric"])), id_.resource, tuple(sorted(kept["resource"])))


def _reducer(name: str) -> Callable[[list[Value]], Value]:
    name = name.removeprefix("REDUCE_")
    if name.startswith("PERCENTILE_"):
        percent = _PERCENTILES[name.removeprefix("PERCENTILE_")]
        return lambda values: _percentile(values, percent)
    return _OPERATIONS[name]


def _number(value: Value) -> float:
    if isinstance(value, Distribution | str):
        raise TypeError(f"not a number: {value!r}")
    return value


def _merged(values: Sequence[Value]) -> Distribution:
    """All of them together. A single one is itself: what a reader gets nobody else changes."""
    distributions = [value for value in values if isinstance(value, Distribution)]
    if len(distributions) == 1:
        return distributions[0]
    total = distributions[0].copy()
    for one in distributions[1:]:
        total.merge(one)
    return total


def _sum(values: list[Value]) -> Value:
    return _merged(values) if isinstance(values[0], Distribution) else sum(map(_number, values))


def _mean(values: list[Value]) -> Value:
    return _merged(values).mean if isinstance(values[0], Distribution) else statistics.fmean(map(_number, values))


def _deviation(values: list[Value]) -> Value:
    if isinstance(values[0], Distribution):
        total = _merged(values)
        return math.sqrt(total.squared_deviation / total.count) if total.count else 0.0
    return statistics.pstdev(map(_number, values))


def _percentile(values: list[Value], percent: float) -> float:
    if isinstance(values[0], Distribution):
        return _merged(values).percentile(percent)
    ordered = sorted(map(_number, values))
    at = (len(ordered) - 1) * percent / 100
    low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))


_OPERATIONS: dict[str, Callable[[list[Value]], Value]] = {
    "SUM": _sum,
    "MEAN": _mean,
    "STDDEV": _deviation,
    "MIN": lambda values: min(map(_number, values)),
    "MAX": lambda values: max(map(_number, values)),
    "COUNT": len,
    "NEXT_OLDER": lambda values: values[-1],
    "COUNT_TRUE": lambda values: sum(value is True for value in values),
    "COUNT_FALSE": lambda values: sum(value is False for value in values),
    "FRACTION_TRUE": lambda values: sum(value is True for value in values) / len(values),
}
