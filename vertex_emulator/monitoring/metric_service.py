"""``google.monitoring.v3.MetricService``: read and write time series, and keep the metric descriptors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.descriptors import Descriptor, Descriptors
from vertex_emulator.monitoring.filter import Expression, parse
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.query import known_descriptor, prepare
from vertex_emulator.monitoring.rpc import (
    Method,
    decode_token,
    encode_token,
    invalid_field,
    not_found,
    page,
    project_of,
)
from vertex_emulator.monitoring.series import Point, Series, SeriesStore, is_user_metric
from vertex_emulator.monitoring.wire import kind_of, seconds, to_series, type_of
from vertex_emulator.monitoring.writes import Writer

MAX_PAGE = 100_000
"""``ListTimeSeriesRequest.page_size``: points per page, or series in the HEADERS view."""
HEADERS = 1


class MetricService:
    """The methods of the service over one store."""

    name = "google.monitoring.v3.MetricService"

    def __init__(self, store: SeriesStore, descriptors: Descriptors) -> None:
        self._store = store
        self._descriptors = descriptors
        self._writer = Writer(store, descriptors)

    def methods(self) -> Mapping[str, Method]:
        """The method table."""
        return {
            "ListTimeSeries": Method(
                protos.ListTimeSeriesRequest, protos.ListTimeSeriesResponse, self.list_time_series
            ),
            "CreateTimeSeries": Method(protos.CreateTimeSeriesRequest, protos.Empty, self.create_time_series),
            "CreateMetricDescriptor": Method(
                protos.CreateMetricDescriptorRequest, protos.MetricDescriptor, self.create_descriptor
            ),
            "GetMetricDescriptor": Method(
                protos.GetMetricDescriptorRequest, protos.MetricDescriptor, self.get_descriptor
            ),
            "ListMetricDescriptors": Method(
                protos.ListMetricDescriptorsRequest, protos.ListMetricDescriptorsResponse, self.list_descriptors
            ),
            "DeleteMetricDescriptor": Method(
                protos.DeleteMetricDescriptorRequest, protos.Empty, self.delete_descriptor
            ),
        }

    def create_time_series(self, request: Message) -> Message:
        """Write at most one point to each of at most 200 series."""
        self._writer.write(project_of(request.name), request.time_series)
        return protos.Empty()

    def list_time_series(self, request: Message) -> Message:
        """Read series over ``(start, end]``; every page of one listing sees what was visible when it began."""
        project_of(request.name)
        start, end = _interval(request.interval)
        if request.order_by:
            raise invalid_field("orderBy", request.order_by, "This field must be left blank.")
        steps = [request.aggregation] if request.HasField("aggregation") else []
        if request.HasField("secondary_aggregation"):
            if not steps:
                why = "May only be specified if aggregation is specified."
                raise invalid_field("secondaryAggregation", "", why)
            steps.append(request.secondary_aggregation)
        query = prepare(request.filter, steps, self._descriptors, self._store)
        as_of, offset = str(self._store.now()), 0
        if request.page_token:
            as_of, at = decode_token(request.page_token, 2)
            offset = int(at)
        series = query.read(self._store, start, end, float(as_of))
        unit = query.descriptor.unit
        size = min(request.page_size or MAX_PAGE, MAX_PAGE)
        if request.view == HEADERS:
            chosen: list[tuple[Series, Sequence[Point]]] = [(s, ()) for s in series[offset : offset + size]]
            more = offset + size < len(series)
        else:
            chosen, more = _points_page(series, offset, size)
        return protos.ListTimeSeriesResponse(
            time_series=[to_series(one, points, unit) for one, points in chosen],
            next_page_token=encode_token(as_of, offset + size) if more else "",
            unit=unit,
        )

    def create_descriptor(self, request: Message) -> Message:
        """Create a user metric, or replace its description."""
        project, given = project_of(request.name), request.metric_descriptor
        if not is_user_metric(given.type):
            raise invalid_field("metricDescriptor.type", given.type, "Only user-defined metrics can be created.")
        kind, type_ = kind_of(given.metric_kind), type_of(given.value_type)
        if kind is None or type_ is None:
            raise invalid_field("metricDescriptor", given.type, "metricKind and valueType must be specified.")
        known = self._descriptors.get(given.type)
        if known and (known.kind, known.value_type) != (kind, type_):
            why = f"The metric exists with kind {known.kind} and value type {known.value_type}; delete it first."
            raise invalid_field("metricDescriptor", given.type, why)
        labels = tuple(label.key for label in given.labels)
        descriptor = Descriptor(
            given.type, kind, type_, labels, given.unit or "1", given.display_name, given.description
        )
        self._descriptors.put(descriptor)
        return descriptor.to_proto(project)

    def get_descriptor(self, request: Message) -> Message:
        """One descriptor by its name."""
        project, type_ = _descriptor_name(request.name)
        return known_descriptor(type_, self._descriptors, self._store).to_proto(project)

    def list_descriptors(self, request: Message) -> Message:
        """The descriptors that match a filter on ``metric.type``."""
        project = project_of(request.name)
        for metric in self._store.metrics():
            known_descriptor(metric, self._descriptors, self._store)
        expression = parse(request.filter) if request.filter else None
        found = [d for d in self._descriptors.all() if expression is None or _selects(expression, d)]
        items, token = page(found, request.page_size, request.page_token)
        return protos.ListMetricDescriptorsResponse(
            metric_descriptors=[d.to_proto(project) for d in items], next_page_token=token
        )

    def delete_descriptor(self, request: Message) -> Message:
        """Delete a user metric with all its points."""
        _, type_ = _descriptor_name(request.name)
        if not is_user_metric(type_):
            raise invalid_field("name", request.name, "Only user-defined metrics can be deleted.")
        if not self._descriptors.delete(type_):
            raise not_found(f"Could not find descriptor for metric '{type_}'.")
        self._store.delete(type_)
        return protos.Empty()


def _interval(interval: Message) -> tuple[float, float]:
    if not interval.HasField("end_time"):
        raise invalid_field("interval.endTime", "", "The end time must be specified.")
    if not interval.HasField("start_time"):
        raise invalid_field("interval.startTime", "", "The start time must be specified.")
    start, end = seconds(interval.start_time), seconds(interval.end_time)
    if start >= end:
        why = f"The start time must be earlier than the end time, {interval.end_time.ToJsonString()}."
        raise invalid_field("interval.startTime", interval.start_time.ToJsonString(), why)
    return start, end


def _points_page(series: Sequence[Series], offset: int, size: int) -> tuple[list[tuple[Series, Sequence[Point]]], bool]:
    """``size`` points from ``offset`` on, newest first in each series; a series may continue on the next page."""
    chosen: list[tuple[Series, Sequence[Point]]] = []
    skip, room = offset, size
    for one in series:
        points = list(reversed(one.points))
        if skip >= len(points):
            skip -= len(points)
            continue
        part = points[skip : skip + room]
        if part:
            chosen.append((one, part))
        if skip + len(part) < len(points) or not part:
            return chosen, True
        skip, room = 0, room - len(part)
    return chosen, False


def _descriptor_name(name: str) -> tuple[str, str]:
    project = project_of(name)
    collection, _, type_ = name.removeprefix(f"projects/{project}/").partition("/")
    if collection != "metricDescriptors" or not type_:
        raise invalid_field("name", name, "Expected projects/[PROJECT_ID]/metricDescriptors/[METRIC_TYPE].")
    return project, type_


def _selects(expression: Expression, descriptor: Descriptor) -> bool:
    return expression.matches(lambda selector: descriptor.type if selector == "metric.type" else "")
