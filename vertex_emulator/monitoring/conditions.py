"""Conditions over time: which series violate, and for how long already.

A condition is evaluated once for each full minute that its metrics have become visible for; the value of that minute is the aligned
value over the alignment period that ends in it. It is met for a series when it was violated without interruption for the
condition's duration, and no longer met at the first value that does not violate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.alerting import AUTO_CLOSE_LIMITS, comparison_name
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.query import Query
from vertex_emulator.monitoring.series import PERIOD, SeriesId, SeriesStore
from vertex_emulator.monitoring.wire import seconds

MAX_CATCH_UP = 6 * 60
"""Minutes that one evaluation makes up for at most, after the clock has jumped."""
FORGET_AFTER = 26 * 3600.0
"""Seconds without data after which a series that has no incident is forgotten."""


@dataclass
class Watch:
    """The state of one condition between evaluations."""

    fingerprint: bytes
    evaluated: float
    """The last minute that was evaluated."""
    violating_since: dict[SeriesId, float] = field(default_factory=dict)
    last_seen: dict[SeriesId, float] = field(default_factory=dict)
    values: dict[SeriesId, float] = field(default_factory=dict)
    met: dict[SeriesId, float | None] = field(default_factory=dict)
    """The series for which the condition is met, with the value last observed."""


def fingerprint(condition: Message) -> bytes:
    """What makes a condition the same one; any change starts its evaluation anew."""
    return bytes(condition.SerializeToString(deterministic=True))


def visible_minute(queries: list[Query], store: SeriesStore, now: float) -> float:
    """The latest full minute for which all points of the queries' metrics can be seen."""
    delay = max(store.visibility.delay(query.filter.metric) for query in queries)
    return math.floor((now - delay) / PERIOD) * PERIOD


def advance(watch: Watch, policy: Message, condition: Message, queries: list[Query], store: SeriesStore) -> None:
    """Evaluate every minute that became visible since the last time."""
    now = store.now()
    latest = visible_minute(queries, store, now)
    first = max(watch.evaluated + PERIOD, latest - MAX_CATCH_UP * PERIOD)
    for step in range(round((latest - first) / PERIOD) + 1):
        minute = first + step * PERIOD
        _evaluate(watch, policy, condition, _values(queries, store, minute, now), minute)
        watch.evaluated = minute


def _values(queries: list[Query], store: SeriesStore, minute: float, now: float) -> dict[SeriesId, float]:
    """The value of each series at ``minute``; of a ratio where both sides have one and the denominator is not zero."""
    sides = [_side(query, store, minute, now) for query in queries]
    if len(sides) == 1:
        return sides[0]
    below = {(id_.metric_labels, id_.resource_labels): value for id_, value in sides[1].items()}
    ratios = {}
    for id_, value in sides[0].items():
        divisor = below.get((id_.metric_labels, id_.resource_labels), 0.0)
        if divisor:
            ratios[id_] = value / divisor
    return ratios


def _side(query: Query, store: SeriesStore, minute: float, now: float) -> dict[SeriesId, float]:
    span = max([step.period for step in query.steps], default=0.0) or PERIOD
    found = {}
    for series in query.read(store, minute - span, minute, now):
        value = series.points[-1].value
        found[series.id] = (
            float(value) if isinstance(value, int | float) else 0.0
        )  # absence only asks whether there is one
    return found


def _evaluate(watch: Watch, policy: Message, condition: Message, values: dict[SeriesId, float], minute: float) -> None:
    watch.values.update(values)
    watch.last_seen.update(dict.fromkeys(values, minute))
    if condition.WhichOneof("condition") == "condition_absent":
        met = _absent(watch, condition.condition_absent, minute)
        trigger = condition.condition_absent.trigger
    else:
        met = _beyond(watch, condition.condition_threshold, values, minute)
        trigger = condition.condition_threshold.trigger
    auto_close = _auto_close(policy)
    for id_, seen in list(watch.last_seen.items()):
        if minute - seen >= (auto_close if id_ in met else FORGET_AFTER):
            met.pop(id_, None)
            _forget(watch, id_)
    watch.met = met if _triggered(trigger, len(met), len(watch.last_seen)) else {}


def _forget(watch: Watch, id_: SeriesId) -> None:
    """Drop a series without data: it counts again when it returns."""
    watch.last_seen.pop(id_, None)
    watch.violating_since.pop(id_, None)
    watch.values.pop(id_, None)


def _absent(watch: Watch, absence: Message, minute: float) -> dict[SeriesId, float | None]:
    """Only a series that was seen before can be absent."""
    limit = seconds(absence.duration)
    return {id_: None for id_, seen in watch.last_seen.items() if minute - seen >= limit}


def _beyond(
    watch: Watch, threshold: Message, values: dict[SeriesId, float], minute: float
) -> dict[SeriesId, float | None]:
    limit, above = threshold.threshold_value, comparison_name(threshold) == "COMPARISON_GT"
    since, duration = watch.violating_since, seconds(threshold.duration)
    missing = protos.Condition.EvaluationMissingData.Name(threshold.evaluation_missing_data)
    for id_ in list(watch.last_seen):
        value = values.get(id_)
        if value is not None:
            violates = value > limit if above else value < limit
        elif missing == "EVALUATION_MISSING_DATA_INACTIVE":
            violates = False
        elif missing == "EVALUATION_MISSING_DATA_ACTIVE":
            violates = True
        else:
            continue  # no operation: what is pending stays pending, what is open stays open
        if violates:
            since.setdefault(id_, minute)
        else:
            since.pop(id_, None)
    counts_without_data = missing == "EVALUATION_MISSING_DATA_ACTIVE"
    return {
        id_: watch.values.get(id_)
        for id_, began in since.items()
        if minute - began >= duration and (id_ in values or counts_without_data or id_ in watch.met)
    }


def _auto_close(policy: Message) -> float:
    strategy = policy.alert_strategy
    return seconds(strategy.auto_close) if strategy.HasField("auto_close") else AUTO_CLOSE_LIMITS[1]


def _triggered(trigger: Message, met: int, total: int) -> bool:
    if trigger.WhichOneof("type") == "percent":
        return met > 0 and met * 100 >= float(trigger.percent) * total
    return met >= max(int(trigger.count), 1)
