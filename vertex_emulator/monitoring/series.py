"""The time series: what was measured, one point per minute, and from when on it can be seen.

Times are epoch seconds of the clock given. DELTA metrics are collected into periods of 60 s, ``(start, end]``; a gauge keeps its
last value of each such period. A period in which nothing was measured has no point: missing data is not zero.
A point becomes visible some time after its end, as in Google's service, where a built-in metric takes minutes.
"""

from __future__ import annotations

import copy
import math
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from vertex_emulator.clock import Clock
from vertex_emulator.metrics import Resource, SeriesGroup
from vertex_emulator.monitoring.distribution import LATENCY_BUCKETS, Buckets, Distribution

PERIOD = 60.0
"""Seconds between two points of a metric that is reported through the sink; the sampling of Vertex AI's metrics."""

RETENTION = 26 * 3600.0
"""How long points are kept, in seconds: a client may write points 25 h old, and those must not vanish at once."""

_BATCH = 512
"""Recorded measurements that wait to be entered: in one go it costs a third, and is no part of a prediction's time."""

Value = int | float | bool | str | Distribution
Pairs = tuple[tuple[str, str], ...]


class Kind(StrEnum):
    """``google.api.MetricDescriptor.MetricKind``."""

    GAUGE = "GAUGE"
    DELTA = "DELTA"
    CUMULATIVE = "CUMULATIVE"


class ValueType(StrEnum):
    """``google.api.MetricDescriptor.ValueType``."""

    BOOL = "BOOL"
    INT64 = "INT64"
    DOUBLE = "DOUBLE"
    STRING = "STRING"
    DISTRIBUTION = "DISTRIBUTION"


@dataclass(frozen=True)
class SeriesId:
    """What tells one series from all others; labels sorted by key."""

    metric: str
    metric_labels: Pairs
    resource: str
    resource_labels: Pairs
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute the hash once: series are looked up by it for each measurement."""
        parts = (self.metric, self.metric_labels, self.resource, self.resource_labels)
        object.__setattr__(self, "_hash", hash(parts))

    def __hash__(self) -> int:
        """Of everything that tells series apart."""
        return self._hash

    @classmethod
    def of(cls, metric: str, labels: Mapping[str, str], resource: Resource) -> SeriesId:
        """The identity of a measurement."""
        return cls(metric, tuple(sorted(labels.items())), resource.type, tuple(sorted(resource.labels.items())))


@dataclass
class Point:
    """A value over ``(start, end]``; ``start == end`` for a gauge."""

    start: float
    end: float
    value: Value
    visible: float
    """From when on a reader sees it."""
    copy: int = 0
    """0, but for an injected double of the point with the same end."""


@dataclass
class Series:
    """One time series; points oldest first."""

    id: SeriesId
    kind: Kind
    value_type: ValueType
    points: list[Point] = field(default_factory=list)
    """Of two with the same end and the same ``copy`` the later one revises the earlier, once it is visible."""
    is_revised: bool = False


@dataclass(frozen=True)
class Visibility:
    """Seconds after its end at which a point can be read.

    Google documents up to 120 s for replica counts and 360 s for utilisation; nothing for counts and latencies of predictions.
    """

    default: float = 60.0
    """For metrics reported through the sink."""
    written: float = 5.0
    """For points written by clients, counted from the write."""
    by_metric: Mapping[str, float] = field(default_factory=dict)
    """Exceptions, by metric type or by a prefix of it; the longest match wins."""

    def delay(self, metric: str) -> float:
        """The delay of ``metric``."""
        matches = [prefix for prefix in self.by_metric if metric.startswith(prefix)]
        if matches:
            return self.by_metric[max(matches, key=len)]
        return self.written if is_user_metric(metric) else self.default


USER_DOMAINS = ("custom.googleapis.com/", "external.googleapis.com/", "workload.googleapis.com/")
"""Metric types that clients may create and write."""


def is_user_metric(metric: str) -> bool:
    """Whether clients write this metric, rather than a Google service."""
    return metric.startswith(USER_DOMAINS)


class SeriesStore:
    """All series; the ``MetricSink`` of whoever serves predictions, and the source of every query. Thread-safe."""

    def __init__(
        self,
        clock: Clock,
        visibility: Visibility | None = None,
        buckets: Mapping[str, Buckets] | None = None,
        value_type_of: Callable[[str], ValueType | None] = lambda metric: None,
        retention: float = RETENTION,
    ) -> None:
        self.visibility = visibility or Visibility()
        self._clock = clock
        self._buckets = dict(buckets or {})
        self._value_type_of = value_type_of
        self._retention = retention
        self._lock = threading.Lock()
        self._metrics: dict[str, dict[SeriesId, Series]] = {}
        self._delays: dict[str, float] = {}
        self._pending: deque[tuple[float, SeriesGroup, Sequence[float]]] = deque()
        self._open: dict[SeriesGroup, list[Point]] = {}
        """The points of the minute under way of each group that was measured in it."""
        self._open_end = 0.0

    def now(self) -> float:
        """The present in epoch seconds."""
        return self._clock().timestamp()

    def add(self, metric: str, labels: Mapping[str, str], resource: Resource, amount: int) -> None:
        """Add to a DELTA INT64 metric."""
        id_ = SeriesId.of(metric, labels, resource)
        with self._lock:
            point = self._collecting(id_, Kind.DELTA, ValueType.INT64, 0)
            assert isinstance(point.value, int)  # noqa: S101  one type per series, set where it is made
            point.value += amount

    def observe(self, metric: str, labels: Mapping[str, str], resource: Resource, value: float) -> None:
        """Add one observation to a DELTA DISTRIBUTION metric."""
        self.observe_all(metric, labels, resource, (value,))

    def record(self, group: SeriesGroup, values: Sequence[float]) -> None:
        """Take several measurements of this moment; they are entered together with others, at the latest when one reads."""
        self._pending.append((self.now(), group, values))
        if len(self._pending) >= _BATCH:
            with self._lock:
                self._enter()

    def _enter(self) -> None:
        """Enter what was recorded; called with the lock held, before anything is read or changed."""
        together: dict[tuple[float, SeriesGroup], list[Sequence[float]]] = {}
        while self._pending:
            now, group, values = self._pending.popleft()
            together.setdefault((math.ceil(now / PERIOD) * PERIOD, group), []).append(values)
        for (end, group), measured in together.items():
            # Whoever measures gives one value for each series, and may give some for further series that the group lacks.
            for point, column in zip(self._points(group, end), zip(*measured, strict=False), strict=False):
                if isinstance(point.value, Distribution):
                    point.value.observe_all(column)
                else:
                    point.value += int(sum(column))  # type: ignore[operator]

    def _points(self, group: SeriesGroup, end: float) -> list[Point]:
        """The points of a group's minute, looked up once for all that is measured in it."""
        if end != self._open_end:
            self._open.clear()
            self._open_end = end
        points = self._open.get(group)
        if points is None:
            points = self._open[group] = []
            for metric, labels, is_count in group.members:
                id_ = SeriesId.of(metric, labels, group.resource)
                type_, empty = (ValueType.INT64, 0) if is_count else (ValueType.DISTRIBUTION, None)
                points.append(self._collecting(id_, Kind.DELTA, type_, empty, end))
        return points

    def observe_all(self, metric: str, labels: Mapping[str, str], resource: Resource, values: Iterable[float]) -> None:
        """Add many observations at once, for whoever reports a whole minute."""
        id_ = SeriesId.of(metric, labels, resource)
        with self._lock:
            self._enter()
            point = self._collecting(id_, Kind.DELTA, ValueType.DISTRIBUTION, None)
            assert isinstance(point.value, Distribution)  # noqa: S101  one type per series, set where it is made
            point.value.observe_all(list(values))

    def set(self, metric: str, labels: Mapping[str, str], resource: Resource, value: float) -> None:
        """Set a GAUGE; the last value of a minute is the one that is kept."""
        type_ = self._value_type_of(metric) or ValueType.DOUBLE
        typed: Value = round(value) if type_ is ValueType.INT64 else float(value)
        id_ = SeriesId.of(metric, labels, resource)
        with self._lock:
            self._enter()
            self._collecting(id_, Kind.GAUGE, type_, typed).value = typed

    def _collecting(
        self, id_: SeriesId, kind: Kind, type_: ValueType, empty: Value | None, now: float | None = None
    ) -> Point:
        """The point of the minute that is now under way, made when it is the first measurement in it."""
        series = self._series(id_, kind, type_)
        now = self.now() if now is None else now
        end = math.ceil(now / PERIOD) * PERIOD
        points = series.points
        if points and points[-1].end == end and not series.is_revised:
            return points[-1]
        position = bisect_right(points, end, key=_end)
        if position and points[position - 1].end == end:
            return points[position - 1]
        if empty is None:
            empty = Distribution(self.buckets_of(id_.metric))
        delay = self._delays.get(id_.metric)
        if delay is None:
            delay = self._delays[id_.metric] = self.visibility.delay(id_.metric)
        start = end if kind is Kind.GAUGE else end - PERIOD
        made = Point(start, end, empty, visible=end + delay)
        points.insert(position, made)
        self._forget(series, now)
        return made

    def buckets_of(self, metric: str) -> Buckets:
        """The layout of a metric's distributions."""
        return self._buckets.get(metric, LATENCY_BUCKETS)

    def set_delays(self, default: float | None, by_metric: Mapping[str, float]) -> None:
        """Change how late measurements become visible, from the next points on; ``None`` keeps the default."""
        with self._lock:
            self._enter()
            self.visibility = Visibility(
                self.visibility.default if default is None else default,
                self.visibility.written,
                {**self.visibility.by_metric, **by_metric},
            )
            self._delays.clear()

    def inject(self, id_: SeriesId, kind: Kind, type_: ValueType, point: Point, mode: str) -> None:
        """Put a point where its end belongs; ``mode`` says what becomes of one that is there: add, revise or double."""
        with self._lock:
            self._enter()
            self._open.clear()
            series = self._series(id_, kind, type_)
            position = bisect_right(series.points, point.end, key=_end)
            there = series.points[position - 1] if position and series.points[position - 1].end == point.end else None
            if there is not None and mode == "add":
                there.value = _sum(there.value, point.value, kind)
                return
            if there is not None:
                series.is_revised = True
                point.copy = there.copy + (mode == "double")
            series.points.insert(position, point)

    def write(self, id_: SeriesId, kind: Kind, type_: ValueType, start: float, end: float, value: Value) -> None:
        """Append one point that a client wrote; the caller has checked that it is newer than the last."""
        with self._lock:
            self._enter()
            series = self._series(id_, kind, type_)
            now = self.now()
            series.points.append(Point(start, end, value, visible=max(now, end) + self.visibility.delay(id_.metric)))
            self._forget(series, now)

    def last_end(self, id_: SeriesId) -> float | None:
        """The end of the newest point of a series, visible or not."""
        with self._lock:
            self._enter()
            series = self._metrics.get(id_.metric, {}).get(id_)
            return series.points[-1].end if series and series.points else None

    def metrics(self) -> dict[str, tuple[Kind, ValueType, frozenset[str]]]:
        """Every metric type that has a series, with its kind, its value type and the metric labels seen."""
        with self._lock:
            self._enter()
            found = {}
            for metric, by_id in self._metrics.items():
                first = next(iter(by_id.values()))
                found[metric] = (first.kind, first.value_type, frozenset(k for i in by_id for k, _ in i.metric_labels))
            return found

    def delete(self, metric: str) -> None:
        """Drop all series of a metric."""
        with self._lock:
            self._enter()
            self._open.clear()
            self._metrics.pop(metric, None)

    def save(self) -> dict[str, dict[SeriesId, Series]]:
        """A copy of all series, which ``load`` puts back."""
        with self._lock:
            self._enter()
            return copy.deepcopy(self._metrics)

    def load(self, saved: Mapping[str, dict[SeriesId, Series]]) -> None:
        """Put what was saved in the place of the present series."""
        self.clear()
        with self._lock:
            self._metrics.update(copy.deepcopy(dict(saved)))

    def clear(self) -> None:
        """Drop all series of all metrics."""
        with self._lock:
            self._pending.clear()
            self._open.clear()
            self._metrics.clear()

    def read(
        self, metric: str, matches: Callable[[SeriesId], bool], start: float, end: float, as_of: float
    ) -> list[Series]:
        """The series of ``metric`` with their points that end in ``(start, end]`` and were visible at ``as_of``."""
        with self._lock:
            self._enter()
            found = []
            for id_, series in self._metrics.get(metric, {}).items():
                if not matches(id_):
                    continue
                first = bisect_right(series.points, start, key=lambda p: p.end)
                after = bisect_right(series.points, end, key=lambda p: p.end)
                points = [_frozen(p) for p in series.points[first:after] if p.visible <= as_of]
                if series.is_revised:
                    points = list({(p.end, p.copy): p for p in points}.values())
                if points:
                    found.append(Series(id_, series.kind, series.value_type, points))
        return sorted(found, key=lambda s: (s.id.resource_labels, s.id.metric_labels, s.id.resource))

    def _series(self, id_: SeriesId, kind: Kind, type_: ValueType) -> Series:
        by_id = self._metrics.setdefault(id_.metric, {})
        series = by_id.get(id_)
        if series is None:
            series = by_id[id_] = Series(id_, kind, type_)
        return series

    def _forget(self, series: Series, now: float) -> None:
        cutoff = now - self._retention
        if series.points[0].end < cutoff:
            del series.points[: bisect_right(series.points, cutoff, key=lambda p: p.end)]


def _end(point: Point) -> float:
    return point.end


def _sum(present: Value, more: Value, kind: Kind) -> Value:
    if kind is Kind.GAUGE:
        return more
    if isinstance(present, Distribution) and isinstance(more, Distribution):
        present.merge(more)
        return present
    if isinstance(present, int | float) and isinstance(more, int | float):
        return present + more
    return more


def _frozen(point: Point) -> Point:
    """A copy that measurements still under way cannot change."""
    value = point.value.copy() if isinstance(point.value, Distribution) else point.value
    return Point(point.start, point.end, value, point.visible, point.copy)
