"""Between the values of this package and the messages of ``google.monitoring.v3``."""

from __future__ import annotations

from collections.abc import Sequence

from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.distribution import Distribution
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.series import Kind, Point, Series, Value, ValueType

_FIELDS = {
    ValueType.BOOL: "bool_value",
    ValueType.INT64: "int64_value",
    ValueType.DOUBLE: "double_value",
    ValueType.STRING: "string_value",
    ValueType.DISTRIBUTION: "distribution_value",
}
_TYPES = {field: type_ for type_, field in _FIELDS.items()}


def seconds(timestamp: Message) -> float:
    """A ``Timestamp`` or a ``Duration`` in seconds."""
    return float(timestamp.seconds + timestamp.nanos / 1e9)


def set_time(timestamp: Message, epoch: float) -> None:
    """Write epoch seconds into a ``Timestamp``, to the microsecond: a float holds no more."""
    micros = round(epoch * 1e6)
    timestamp.seconds, timestamp.nanos = micros // 1_000_000, micros % 1_000_000 * 1000


def to_value(message: Message) -> tuple[Value, ValueType] | None:
    """The value in a ``TypedValue`` and its type; ``None`` where it is empty."""
    field = message.WhichOneof("value")
    if field is None:
        return None
    value = getattr(message, field)
    return (Distribution.from_proto(value) if field == "distribution_value" else value), _TYPES[field]


def to_point(point: Point, type_: ValueType) -> Message:
    """A ``Point`` message."""
    value = point.value.to_proto() if isinstance(point.value, Distribution) else point.value
    message = protos.Point(value={_FIELDS[type_]: value})
    set_time(message.interval.start_time, point.start)
    set_time(message.interval.end_time, point.end)
    return message


def to_series(series: Series, points: Sequence[Point], unit: str) -> Message:
    """A ``TimeSeries`` message with ``points``, newest first, as the service orders them."""
    return protos.TimeSeries(
        metric=protos.Metric(type=series.id.metric, labels=dict(series.id.metric_labels)),
        resource=protos.MonitoredResource(type=series.id.resource, labels=dict(series.id.resource_labels)),
        metric_kind=str(series.kind),
        value_type=str(series.value_type),
        unit=unit,
        points=[to_point(point, series.value_type) for point in points],
    )


def kind_of(number: int) -> Kind | None:
    """The kind that a message names; ``None`` where it is left out."""
    return Kind(protos.MetricDescriptor.MetricKind.Name(number)) if number else None


def type_of(number: int) -> ValueType | None:
    """The value type that a message names; ``None`` where it is left out."""
    return ValueType(protos.MetricDescriptor.ValueType.Name(number)) if number else None
