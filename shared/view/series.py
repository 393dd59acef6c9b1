"""What both arms served over time, one line per check: the trend behind a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.policy.rollout import ERROR_RATE
from shared.policy.schema import Check
from shared.rollout.histogram import count_below, count_from, quantile
from shared.rollout.observed import ArmMinute, Histogram, Minute


@dataclass(frozen=True)
class Point:
    """One value, and the end of the time that it is of."""

    at: datetime
    value: float


@dataclass(frozen=True)
class Measured:
    """One check's metric in both arms."""

    metric: str
    name: str
    """``latency_ms p95``: what of the metric is shown."""
    percent: bool
    limit: float | None
    """The absolute limit; None where only the stable is the measure."""
    above: bool
    """Whether more is worse."""
    candidate: tuple[Point, ...]
    stable: tuple[Point, ...]

    @property
    def is_empty(self) -> bool:
        return not self.candidate and not self.stable


@dataclass(frozen=True)
class _Shown:
    name: str
    limit: float | None
    percent: bool = False
    above: bool = True
    quantile: float | None = None
    above_edge: float | None = None
    below_edge: float | None = None
    outside: tuple[float, float] | None = None


def measured(check: Check, minutes: Sequence[Minute], candidate: str, stable: str) -> Measured:
    """The line of one check, of the first of its limits; a time in which an arm served nothing has no point."""
    what = _shown(check)
    lines = [
        tuple(
            Point(minute.at, value)
            for minute in minutes
            if id_ and id_ in minute.arms and (value := _value(check.metric, what, minute.arms[id_])) is not None
        )
        for id_ in (candidate, stable)
    ]
    return Measured(check.metric, what.name, what.percent, what.limit, what.above, lines[0], lines[1])


def _shown(check: Check) -> _Shown:
    metric = check.metric
    if metric == ERROR_RATE:
        return _Shown(metric, check.at_most, percent=True)
    for q, limit in ((0.95, check.p95_at_most), (0.99, check.p99_at_most), (0.5, check.p50_at_most)):
        if limit is not None:
            return _Shown(f"{metric} p{q * 100:g}", limit, quantile=q)
    for edge, share in sorted(check.share_above.items()):
        return _Shown(f"{metric} above {edge:g}", share, percent=True, above_edge=edge)
    for edge, share in sorted(check.share_below.items()):
        return _Shown(f"{metric} below {edge:g}", share, percent=True, below_edge=edge)
    if check.range is not None:
        low, high = check.range
        return _Shown(f"{metric} outside {low:g} to {high:g}", check.outside, percent=True, outside=check.range)
    if check.mean_at_least is not None:
        return _Shown(f"{metric} mean", check.mean_at_least, above=False)
    if check.mean_at_most is None and metric.endswith("_ms"):
        return _Shown(f"{metric} p95", None, quantile=0.95)
    return _Shown(f"{metric} mean", check.mean_at_most)


def _value(metric: str, what: _Shown, arm: ArmMinute) -> float | None:
    if metric == ERROR_RATE:
        return arm.errors / arm.requests if arm.requests else None
    values = arm.values.get(metric, Histogram())
    if not values.total:
        return None
    if what.quantile is not None:
        found = quantile(values, what.quantile)
        return found if math.isfinite(found) else None
    if what.above_edge is not None:
        return count_from(values, what.above_edge, itself=False) / values.total
    if what.below_edge is not None:
        return count_below(values, what.below_edge) / values.total
    if what.outside is not None:
        low, high = what.outside
        return (count_below(values, low) + count_from(values, high, itself=False)) / values.total
    return values.mean
