"""``CreateTimeSeries``: what Cloud Monitoring demands of a point that a client writes.

The valid points of a request are written even when others are refused, as in the service; the error then names those others.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from vertex_emulator.metrics import Resource
from vertex_emulator.monitoring.descriptors import Descriptors
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.rpc import invalid_argument, invalid_field
from vertex_emulator.monitoring.series import Kind, SeriesId, SeriesStore, ValueType, is_user_metric
from vertex_emulator.monitoring.wire import kind_of, seconds, to_value, type_of

MAX_SERIES = 200
"""``CreateTimeSeriesRequest.time_series``: series per request."""
MIN_INTERVAL = 5.0
"""Seconds between two points of one series (https://cloud.google.com/monitoring/quotas)."""
MAX_AGE = 25 * 3600.0
MAX_FUTURE = 300.0
"""``TimeInterval``: at most 25 hours in the past, at most five minutes in the future."""
MAX_LABELS = 30

RESOURCE_LABELS: Mapping[str, frozenset[str] | None] = {
    "global": frozenset({"project_id"}),
    "generic_node": frozenset({"project_id", "location", "namespace", "node_id"}),
    "generic_task": frozenset({"project_id", "location", "namespace", "job", "task_id"}),
    "aws_ec2_instance": None,
    "dataflow_job": None,
    "gae_instance": None,
    "gce_instance": None,
    "gke_container": None,
    "k8s_cluster": None,
    "k8s_container": None,
    "k8s_node": None,
    "k8s_pod": None,
}
"""The resources that take user metrics, with their labels where we check them; a Vertex AI endpoint is not among them."""

_PREFIX = "One or more TimeSeries could not be written: "
_TOO_OFTEN = (
    "One or more points were written more frequently than the maximum sampling period configured for the metric."
)
_OUT_OF_ORDER = "Points must be written in order. One or more of the points specified had an older end time than the most recent point."


class Refused(Exception):
    """One series of a request cannot be written; the text is the reason."""


class Writer:
    """Checks and stores what clients write."""

    def __init__(self, store: SeriesStore, descriptors: Descriptors) -> None:
        self._store = store
        self._descriptors = descriptors
        self._one_at_a_time = threading.Lock()

    def write(self, project: str, series: Sequence[Message]) -> None:
        """Write one point per series; INVALID_ARGUMENT names each that was refused."""
        if not series:
            raise invalid_field("timeSeries", "", "At least one TimeSeries must be specified.")
        if len(series) > MAX_SERIES:
            why = f"At most {MAX_SERIES} TimeSeries can be written per request."
            raise invalid_field("timeSeries", f"{len(series)} TimeSeries", why)
        errors, seen = [], set[SeriesId]()
        for index, message in enumerate(series):
            where = f"timeSeries[{index}]"
            try:
                id_ = _identity(message, project, where)
                if id_ in seen:
                    raise Refused(
                        f"Field {where} had an invalid value: Duplicate TimeSeries encountered. "
                        "Only one point can be written per TimeSeries per request."
                    )
                seen.add(id_)
                with self._one_at_a_time:
                    self._write_one(id_, message, where)
            except Refused as refused:
                errors.append(f"{refused}: {where}")
        if errors:
            raise invalid_argument(_PREFIX + "; ".join(errors))

    def _write_one(self, id_: SeriesId, message: Message, where: str) -> None:
        if len(message.points) != 1:
            raise Refused(f"Field {where}.points had an invalid value: Exactly one point must be specified.")
        point = message.points[0]
        typed = to_value(point.value)
        if typed is None:
            raise Refused(f"Field {where}.points[0].value had an invalid value: A value must be specified.")
        value, found_type = typed
        kind = kind_of(message.metric_kind) or Kind.GAUGE
        type_ = type_of(message.value_type) or found_type
        if type_ is not found_type:
            raise Refused(f"Value type for metric {id_.metric} must be {type_}, but is {found_type}.")
        start, end = self._interval(point.interval, kind, where)
        self._check_descriptor(id_, kind, type_)
        last = self._store.last_end(id_)
        if last is not None and end <= last:
            raise Refused(_OUT_OF_ORDER)
        if last is not None and end - last < MIN_INTERVAL:
            raise Refused(_TOO_OFTEN)
        self._descriptors.learn(id_.metric, kind, type_, [key for key, _ in id_.metric_labels])
        self._store.write(id_, kind, type_, start, end, value)

    def _interval(self, interval: Message, kind: Kind, where: str) -> tuple[float, float]:
        field = f"Field {where}.points[0].interval"
        if not interval.HasField("end_time"):
            raise Refused(f"{field}.end_time had an invalid value: The end time must be specified.")
        end = seconds(interval.end_time)
        start = seconds(interval.start_time) if interval.HasField("start_time") else end
        now, shown = self._store.now(), interval.end_time.ToJsonString()
        if end < now - MAX_AGE:
            raise Refused(
                f'{field}.end_time had an invalid value of "{shown}": Data points cannot be written more than '
                "25h in the past."
            )
        if end > now + MAX_FUTURE:
            raise Refused(
                f'{field}.end_time had an invalid value of "{shown}": Data points cannot be written more than '
                "5m in the future."
            )
        if kind is Kind.GAUGE and start != end:
            raise Refused(f"{field} had an invalid value: The start time must be equal to the end time for the gauge.")
        if kind is Kind.CUMULATIVE and start >= end:
            raise Refused(f"{field} had an invalid value: The start time must be before the end time for CUMULATIVE.")
        return start, end

    def _check_descriptor(self, id_: SeriesId, kind: Kind, type_: ValueType) -> None:
        if kind is Kind.DELTA:
            raise Refused(f"Metric kind for metric {id_.metric} must be GAUGE or CUMULATIVE, but is DELTA.")
        known = self._descriptors.get(id_.metric)
        if known and known.kind is not kind:
            raise Refused(f"Metric kind for metric {id_.metric} must be {known.kind}, but is {kind}.")
        if known and known.value_type is not type_:
            raise Refused(f"Value type for metric {id_.metric} must be {known.value_type}, but is {type_}.")


def _identity(message: Message, project: str, where: str) -> SeriesId:
    """The identity of a written series; ``project_id`` is filled in from the request, as the service does."""
    metric, resource = message.metric.type, message.resource.type or "global"
    if not is_user_metric(metric):
        raise Refused(
            f'Field {where}.metric.type had an invalid value of "{metric}": The metric type must be a user-defined one, '
            "such as custom.googleapis.com/my_metric."
        )
    if len(message.metric.labels) > MAX_LABELS:
        raise Refused(f"Field {where}.metric.labels had an invalid value: At most {MAX_LABELS} labels are allowed.")
    if resource not in RESOURCE_LABELS:
        raise Refused(
            f'Field {where}.resource.type had an invalid value of "{resource}": The monitored resource type cannot be '
            "written with user-defined metrics; use for example global or generic_task."
        )
    labels = {"project_id": project, **message.resource.labels}
    expected = RESOURCE_LABELS[resource]
    if expected is not None and (unknown := sorted(set(labels) - expected)):
        raise Refused(f"Field {where}.resource.labels had an invalid value: unrecognized label {unknown[0]}.")
    if expected is not None and (missing := sorted(expected - set(labels))):
        raise Refused(
            f"Field {where}.resource.labels had an invalid value: The set of resource labels is incomplete, missing ({', '.join(missing)})."
        )
    return SeriesId.of(metric, dict(message.metric.labels), Resource(resource, labels))
