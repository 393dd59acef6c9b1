"""Reading series through a filter and aggregations: what ListTimeSeries and the alert conditions share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vertex_emulator.monitoring.align import Step, aggregate, plan
from vertex_emulator.monitoring.descriptors import Descriptor, Descriptors, unknown_metric
from vertex_emulator.monitoring.filter import SeriesFilter, series_filter
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.series import Series, SeriesStore


@dataclass(frozen=True)
class Query:
    """A filter with its aggregations, checked against the metric it names."""

    descriptor: Descriptor
    filter: SeriesFilter
    steps: tuple[Step, ...]

    def read(self, store: SeriesStore, start: float, end: float, as_of: float) -> list[Series]:
        """The series over ``(start, end]`` from points that were visible at ``as_of``, aggregated."""
        series = store.read(self.filter.metric, self.filter.matches, start, end, as_of)
        for step in self.steps:
            series = aggregate(series, step, start, end)
        return series


def known_descriptor(metric: str, descriptors: Descriptors, store: SeriesStore) -> Descriptor:
    """The descriptor of a metric; one that only came through the sink is described by what came."""
    found = descriptors.get(metric)
    if found is None:
        reported = store.metrics().get(metric)
        if reported is None:
            raise unknown_metric(metric)
        found = descriptors.learn(metric, *reported)
    return found


def prepare(
    text: str,
    aggregations: Sequence[Message],
    descriptors: Descriptors,
    store: SeriesStore,
    field: str = "filter",
    aggregation_field: str = "aggregation",
    *,
    resource_type: bool = False,
) -> Query:
    """Check a filter and its aggregations; everything that Cloud Monitoring would refuse is refused here."""
    selected = series_filter(text, field, resource_type=resource_type)
    descriptor = known_descriptor(selected.metric, descriptors, store)
    kind, type_ = descriptor.kind, descriptor.value_type
    steps = []
    for aggregation in aggregations:
        step = plan(aggregation, kind, type_, aggregation_field)
        kind, type_ = step.kind, step.type
        steps.append(step)
    return Query(descriptor, selected, tuple(steps))
