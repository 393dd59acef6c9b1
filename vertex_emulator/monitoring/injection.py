"""Measurements that nobody made: put into the store for experiments, at any time, late, revised, doubled, running backwards.

A real service is late, corrects itself and counts twice now and then; whoever reads metrics should be tried against that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from vertex_emulator.errors import invalid
from vertex_emulator.metrics import Resource
from vertex_emulator.monitoring.descriptors import Descriptor, Descriptors
from vertex_emulator.monitoring.distribution import LATENCY_BUCKETS, Buckets, Distribution
from vertex_emulator.monitoring.series import PERIOD, Kind, Point, SeriesId, SeriesStore, Value, ValueType


class Mode(StrEnum):
    """What becomes of a point that is there already, at the same end."""

    ADD = "add"
    """Counts and distributions grow by what is injected; a gauge takes its value."""
    REVISE = "revise"
    """The injected value is read in its place, from when it is visible on; before that the former one still is."""
    DOUBLE = "double"
    """Both are read, as two points of one series."""


@dataclass(frozen=True)
class _Wanted:
    id: SeriesId
    kind: Kind
    type: ValueType
    mode: Mode
    buckets: Buckets


class Injector:
    """Puts measurements into a store."""

    def __init__(self, store: SeriesStore, descriptors: Descriptors) -> None:
        self._store = store
        self._descriptors = descriptors

    def inject(self, series: Sequence[Mapping[str, Any]]) -> int:
        """Inject series as JSON describes them; returns the number of points. All are checked before any is taken."""
        checked = [(self._wanted(entry), entry.get("points", [])) for entry in series]
        points = [(wanted, self._point(wanted, point)) for wanted, given in checked for point in given]
        for wanted, point in points:
            labels = [key for key, _ in wanted.id.metric_labels]
            self._descriptors.learn(wanted.id.metric, wanted.kind, wanted.type, labels)
            self._store.inject(wanted.id, wanted.kind, wanted.type, point, wanted.mode)
        return len(points)

    def _wanted(self, entry: Mapping[str, Any]) -> _Wanted:
        _check_keys(
            entry, {"metric", "labels", "resource", "points", "kind", "value_type", "mode", "buckets"}, "series"
        )
        metric = entry.get("metric")
        if not metric or not entry.get("points"):
            invalid("each of series needs a metric and points.")
        known = self._descriptors.get(metric)
        kind, type_ = _kind(entry, known), _value_type(entry, known)
        if known is not None and (known.kind, known.value_type) != (kind, type_):
            invalid(f"{metric} is {known.kind} {known.value_type}, not {kind} {type_}.")
        resource = entry.get("resource", {"type": "global", "labels": {}})
        _check_keys(resource, {"type", "labels"}, "resource")
        id_ = SeriesId.of(metric, entry.get("labels", {}), Resource(resource["type"], resource.get("labels", {})))
        mode = entry.get("mode", "add")
        if mode not in list(Mode):
            invalid(f"mode must be one of {', '.join(Mode)}, not {mode!r}.")
        try:
            default = self._store.buckets_of(metric)
            buckets = Buckets.described(entry["buckets"]) if "buckets" in entry else default
        except ValueError as error:
            invalid(f"{metric}: {error}.")
        return _Wanted(id_, kind, type_, Mode(mode), buckets)

    def _point(self, wanted: _Wanted, given: Mapping[str, Any]) -> Point:
        _check_keys(given, {"end", "ago", "period", "value", "values", "late"}, "points")
        now = self._store.now()
        end = _moment(given["end"]) if "end" in given else now - float(given.get("ago", 0))
        start = end if wanted.kind is Kind.GAUGE else end - float(given.get("period", PERIOD))
        usual = end + self._store.visibility.delay(wanted.id.metric)
        visible = now + float(given["late"]) if "late" in given else usual
        return Point(start, end, _value(wanted, given), visible)


def _kind(entry: Mapping[str, Any], known: Descriptor | None) -> Kind:
    text = entry.get("kind") or (known.kind if known else None)
    if text not in list(Kind):
        invalid(f"{entry['metric']} is not known: kind must be one of {', '.join(Kind)}, not {text!r}.")
    return Kind(text)


def _value_type(entry: Mapping[str, Any], known: Descriptor | None) -> ValueType:
    text = entry.get("value_type") or (known.value_type if known else None)
    if text not in list(ValueType):
        invalid(f"{entry['metric']} is not known: value_type must be one of {', '.join(ValueType)}, not {text!r}.")
    return ValueType(text)


def _value(wanted: _Wanted, given: Mapping[str, Any]) -> Value:
    if wanted.type is ValueType.DISTRIBUTION:
        values = given.get("values")
        if not isinstance(values, list):
            invalid(f"A point of {wanted.id.metric} needs values: the observations of its distribution.")
        made = Distribution(wanted.buckets or LATENCY_BUCKETS)
        for value in values:
            made.observe(float(value))
        return made
    value = given.get("value")
    if value is None:
        invalid(f"A point of {wanted.id.metric} needs a value.")
    types: dict[ValueType, Any] = {ValueType.INT64: int, ValueType.DOUBLE: float, ValueType.BOOL: bool}
    typed: Value = types.get(wanted.type, str)(value)
    return typed


def _moment(given: object) -> float:
    if isinstance(given, int | float):
        return float(given)
    try:
        return datetime.fromisoformat(str(given).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return invalid(f"end must be an RFC 3339 time or epoch seconds, not {given!r}.")


def _check_keys(given: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(given) - known):
        invalid(f"unknown key {unknown[0]!r} in {where}; known are {', '.join(sorted(known))}.")
