"""Reports the quality of what was answered, as a user's app would: custom metrics in Cloud Monitoring.

Vertex AI measures latency and errors; whether the answers are any good only the caller knows. Per deployed model and metric
one series gets one point per interval, the distribution of the values since the last one.

Custom metrics cannot be written against the ``aiplatform.googleapis.com/Endpoint`` resource, so the series live under
``generic_task`` and carry the endpoint and the deployed model as metric labels.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import grpc
from google.api import distribution_pb2, metric_pb2, monitored_resource_pb2
from google.api_core import exceptions

from local.tally import Result
from shared import clock
from shared.gapic import lean

PREFIX = "custom.googleapis.com/vertex_rollouts/"
NAMESPACE = "vertex-rollouts"
MIN_INTERVAL = timedelta(seconds=5)
"""Cloud Monitoring refuses points of one series that are closer (CreateTimeSeries quotas)."""
MAX_SERIES = 200
"""``CreateTimeSeriesRequest.time_series``: series per request."""


@dataclass(frozen=True, slots=True)
class QualityMetric:
    """A field of the predictions, the metric that it becomes, and the edges of its buckets."""

    field: str
    name: str
    edges: tuple[float, ...]
    """Bucket i holds ``edges[i-1] <= value < edges[i]``; the first and the last are open."""


ARR_COC_METRICS = (
    QualityMetric("tokens", "tokens_per_image", (64, 80, 120, 160, 200, 240, 280, 320, 350, 400, 500, 600)),
    QualityMetric("compression", "compression", (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25)),
    QualityMetric("relevance", "relevance", tuple(edge / 20 for edge in range(1, 20))),
)


class MetricWriter(Protocol):
    """What is used of ``MetricServiceClient``."""

    def create_time_series(self, *, name: str, time_series: Sequence[Any], timeout: float) -> None: ...


def connect(address: str) -> MetricWriter:
    """The real client on a plaintext channel, without credentials."""
    lean.import_leanly(lean.MONITORING)
    from google.cloud.monitoring_v3.services.metric_service.client import MetricServiceClient
    from google.cloud.monitoring_v3.services.metric_service.transports.grpc import MetricServiceGrpcTransport

    client: MetricWriter = MetricServiceClient(
        transport=MetricServiceGrpcTransport(channel=grpc.insecure_channel(address))
    )
    return client


@dataclass(slots=True)
class _Values:
    """The distribution of the values of one series since its last point."""

    edges: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of squared deviations from the mean (Welford)."""

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.edges) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect.bisect_right(self.edges, value)] += 1
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self.squares += delta * (value - self.mean)

    def merge(self, other: _Values) -> None:
        total = self.count + other.count
        delta = other.mean - self.mean
        self.squares += other.squares + delta * delta * self.count * other.count / total
        self.mean += delta * other.count / total
        self.count = total
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]

    def to_proto(self) -> distribution_pb2.Distribution:
        explicit = distribution_pb2.Distribution.BucketOptions.Explicit(bounds=self.edges)
        return distribution_pb2.Distribution(
            count=self.count,
            mean=self.mean,
            sum_of_squared_deviation=self.squares,
            bucket_options=distribution_pb2.Distribution.BucketOptions(explicit_buckets=explicit),
            bucket_counts=self.counts,
        )


@dataclass(frozen=True, slots=True)
class _Key:
    """What one series is about."""

    metric: str
    model: str
    deployed_model_id: str


class QualityReporter:
    """Collects the values of results and writes them every ``interval`` of our (possibly compressed) time."""

    def __init__(
        self,
        client: MetricWriter,
        endpoint_name: str,
        metrics: Iterable[QualityMetric] = ARR_COC_METRICS,
        *,
        interval: timedelta = timedelta(seconds=60),
        now: clock.Clock = clock.now,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        if interval < MIN_INTERVAL:
            raise ValueError(f"interval is {interval}: Cloud Monitoring takes one point per series and {MIN_INTERVAL}")
        self._client = client
        self._project, self._location, self._endpoint_id = _parts(endpoint_name)
        self._metrics = {metric.field: metric for metric in metrics}
        self._interval = interval
        self._now = now
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._values: dict[_Key, _Values] = {}
        self._last_write: datetime | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.points_written = 0
        self.failed_writes = 0

    def observe(self, result: Result) -> None:
        """Take the values of one result; failures have none. Made to be ``Traffic``'s ``on_result``."""
        if not result.deployed_model_id:
            return
        with self._lock:
            for prediction in result.predictions:
                for name, value in prediction.items():
                    metric = self._metrics.get(name)
                    if metric is not None:
                        key = _Key(metric.name, result.model, result.deployed_model_id)
                        if key not in self._values:
                            self._values[key] = _Values(metric.edges)
                        self._values[key].add(value)

    def write(self) -> int:
        """Write one point per series with values since the last; how many. Too soon after the last, none: values are kept."""
        with self._writing:
            now = self._now()
            if self._last_write is not None and now - self._last_write < MIN_INTERVAL:
                return 0
            with self._lock:
                values, self._values = self._values, {}
            if not values:
                return 0
            self._last_write = now
            entries = list(values.items())
            return sum(
                self._write_chunk(entries[start : start + MAX_SERIES], now)
                for start in range(0, len(entries), MAX_SERIES)
            )

    def start(self) -> QualityReporter:
        """Write from a thread of its own until ``stop``."""
        self._thread = threading.Thread(target=self._run, name="quality-reporter", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Write what is left, unless the last point is too fresh, and end the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self.write()

    def _run(self) -> None:
        while not self._stopping.wait(clock.wall_seconds(self._interval.total_seconds())):
            self.write()

    def _write_chunk(self, entries: Sequence[tuple[_Key, _Values]], now: datetime) -> int:
        series = [self._series(key, values, now) for key, values in entries]
        try:
            self._client.create_time_series(name=f"projects/{self._project}", time_series=series, timeout=12.0)
        except exceptions.ServiceUnavailable as error:
            self._keep(entries)  # nothing was written: the values go into the next point
            self._failed(error)
            return 0
        except Exception as error:  # noqa: BLE001 - reporting never ends the app; a partial write must not be repeated
            self._failed(error)
            return 0
        self.points_written += len(series)
        return len(series)

    def _failed(self, error: Exception) -> None:
        self.failed_writes += 1
        if self._on_failure is not None:
            self._on_failure(f"quality metrics were not written: {type(error).__name__}: {error}")

    def _keep(self, entries: Sequence[tuple[_Key, _Values]]) -> None:
        with self._lock:
            for key, values in entries:
                later = self._values.get(key)
                if later is not None:
                    values.merge(later)
                self._values[key] = values

    def _series(self, key: _Key, values: _Values, now: datetime) -> Any:
        from google.api.metric_pb2 import MetricDescriptor
        from google.cloud.monitoring_v3.types import common
        from google.cloud.monitoring_v3.types import metric as types

        labels = {"endpoint_id": self._endpoint_id, "deployed_model_id": key.deployed_model_id}
        resource = {
            "project_id": self._project,
            "location": self._location,
            "namespace": NAMESPACE,
            "job": key.model,
            "task_id": key.deployed_model_id,
        }
        return types.TimeSeries(
            metric=metric_pb2.Metric(type=PREFIX + key.metric, labels=labels),
            resource=monitored_resource_pb2.MonitoredResource(type="generic_task", labels=resource),
            metric_kind=MetricDescriptor.MetricKind.GAUGE,
            value_type=MetricDescriptor.ValueType.DISTRIBUTION,
            points=[
                types.Point(
                    interval=common.TimeInterval(end_time=now),
                    value=common.TypedValue(distribution_value=values.to_proto()),
                )
            ],
        )


def _parts(endpoint_name: str) -> tuple[str, str, str]:
    """Project, location and endpoint id of ``projects/P/locations/L/endpoints/E``."""
    parts = endpoint_name.split("/")
    if len(parts) != 6 or parts[0::2] != ["projects", "locations", "endpoints"]:
        raise ValueError(f"{endpoint_name!r} is not of the form projects/P/locations/L/endpoints/E")
    return parts[1], parts[3], parts[5]
