"""Reported quality as custom metrics of Cloud Monitoring, one distribution per deployed model, metric and minute.

A custom metric cannot be written against an endpoint of Vertex AI, so the series are those of a ``generic_task`` and carry the endpoint and
the deployed model as labels, where ``reader`` looks for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from google.api import distribution_pb2, metric_pb2, monitored_resource_pb2
from google.cloud.monitoring_v3.services.metric_service.client import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports.grpc import MetricServiceGrpcTransport
from google.cloud.monitoring_v3.types import common, metric

from shared.batches import batches
from shared.channels import monitoring_client
from shared.gapic import patience
from shared.gapic.errors import translated
from shared.metrics.reader import USER_METRICS, Key
from shared.rollout.observed import Histogram, Minute

NAMESPACE = "vertex-rollouts"
MOST = 200
"""Series in one call (CreateTimeSeriesRequest.time_series)."""


class QualityWriter:
    """Writes Cloud Monitoring; one client, built on first use."""

    def __init__(self) -> None:
        self._client = monitoring_client(MetricServiceClient, MetricServiceGrpcTransport)

    def write(self, project: str, end: datetime, places: Mapping[Key, Minute]) -> int:
        """One minute of a project; how many series."""
        series = [_series(project, place, end, *one) for place, minute in places.items() for one in _values(minute)]
        for some in batches(series, MOST):
            with translated(f"writing {len(some)} metrics of project {project}"):
                self._client().create_time_series(name=f"projects/{project}", time_series=some, **patience.write())
        return len(series)


def _values(minute: Minute) -> Iterator[tuple[str, str, Histogram]]:
    for deployed, arm in minute.arms.items():
        # The counts of ripe predictions are ours: no metric has such a name.
        yield from ((deployed, name, values) for name, values in arm.values.items() if "~" not in name)


def _series(project: str, place: Key, end: datetime, deployed: str, name: str, values: Histogram) -> Any:
    region, endpoint = place
    bounds = distribution_pb2.Distribution.BucketOptions.Explicit(bounds=values.edges)
    distribution = distribution_pb2.Distribution(
        count=values.total,
        mean=values.mean,
        sum_of_squared_deviation=values.deviation,
        bucket_options=distribution_pb2.Distribution.BucketOptions(explicit_buckets=bounds) if values.edges else None,
        bucket_counts=values.counts if values.edges else None,
    )
    resource = {"project_id": project, "location": region, "namespace": NAMESPACE, "job": endpoint, "task_id": deployed}
    return metric.TimeSeries(
        metric=metric_pb2.Metric(
            type=f"{USER_METRICS}{name}", labels={"endpoint_id": endpoint, "deployed_model_id": deployed}
        ),
        resource=monitored_resource_pb2.MonitoredResource(type="generic_task", labels=resource),
        metric_kind="GAUGE",
        value_type="DISTRIBUTION",
        points=[
            metric.Point(
                interval=common.TimeInterval(end_time=end),
                value=common.TypedValue(distribution_value=distribution),
            )
        ],
    )
