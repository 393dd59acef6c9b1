"""What every deployed model of a project used, hour by hour, as Cloud Monitoring has it.

One query per metric covers every endpoint of a project, so the number of calls (pages aside) does not grow with the endpoints. Each is
aligned to hours by Cloud Monitoring, which keeps a month of a large project at a size that a function can hold.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import isnan, nan
from typing import Any

from google.cloud.monitoring_v3.services.metric_service.client import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports.grpc import MetricServiceGrpcTransport
from google.cloud.monitoring_v3.types import common, metric_service
from google.protobuf.duration_pb2 import Duration

from shared.channels import monitoring_client
from shared.costs.fleet import Measured
from shared.errors import NotFoundError, RolloutsError
from shared.gapic import patience
from shared.gapic.errors import translated
from shared.gapic.values import raw_pages
from shared.metrics.reader import ProviderError, number_of, stamp

HOUR = timedelta(hours=1)
LAG = timedelta(minutes=10)
"""Use of processors is visible six minutes late; an hour that is over for less is not read."""
GIB = 2.0**30

Key = tuple[str, str, str]
"""Region, endpoint id, deployed-model id."""

_ONLINE = "aiplatform.googleapis.com/prediction/online/"
_ENDPOINT = 'resource.type = "aiplatform.googleapis.com/Endpoint"'
_BY = ("resource.labels.location", "resource.labels.endpoint_id", "metric.labels.deployed_model_id")


@dataclass(frozen=True)
class _Query:
    """One series of ``Measured``."""

    name: str
    metric: str
    aligner: str
    reducer: str
    condition: str = ""
    unit: float = 1.0


_LATENCY = 'metric.labels.latency_type = "total"'
QUERIES = (
    _Query("replicas", "replicas", "ALIGN_MEAN", "REDUCE_SUM"),
    _Query("replicas_peak", "replicas", "ALIGN_MAX", "REDUCE_SUM"),
    _Query("predictions", "prediction_count", "ALIGN_DELTA", "REDUCE_SUM"),
    _Query("cpu", "cpu/utilization", "ALIGN_MEAN", "REDUCE_MEAN"),
    # Of the busiest replica, and of the idlest: the bounds have to hold for each.
    _Query("cpu_peak", "cpu/utilization", "ALIGN_MAX", "REDUCE_MAX"),
    _Query("cpu_low", "cpu/utilization", "ALIGN_MIN", "REDUCE_MIN"),
    _Query("gpu_peak", "accelerator/duty_cycle", "ALIGN_MAX", "REDUCE_MAX"),
    _Query("memory_gb", "memory/bytes_used", "ALIGN_MAX", "REDUCE_MAX", unit=GIB),
    _Query("p50_ms", "prediction_latencies", "ALIGN_PERCENTILE_50", "REDUCE_MAX", _LATENCY),
    _Query("p95_ms", "prediction_latencies", "ALIGN_PERCENTILE_95", "REDUCE_MAX", _LATENCY),
)


def last_whole_hour(now: datetime) -> datetime:
    """The end of the newest hour that is visible in whole."""
    return (now - LAG).replace(minute=0, second=0, microsecond=0)


class HourlyMetrics:
    """Reads Cloud Monitoring; one client, built on first use."""

    def __init__(self) -> None:
        self._client = monitoring_client(MetricServiceClient, MetricServiceGrpcTransport)

    def measured(self, project: str, start: datetime, end: datetime) -> dict[Key, Measured]:
        """Everything in ``(start, end]``, which are whole hours; NaN where nothing was measured."""
        steps = int((end - start) / HOUR)
        series: dict[Key, dict[str, list[float]]] = defaultdict(dict)
        for query in QUERIES:
            self._read(project, start, end, query, series, steps)
        return {key: _measured(found, steps) for key, found in series.items()}

    def _read(
        self,
        project: str,
        start: datetime,
        end: datetime,
        query: _Query,
        into: dict[Key, dict[str, list[float]]],
        steps: int,
    ) -> None:
        request = metric_service.ListTimeSeriesRequest(
            name=f"projects/{project}",
            filter=" AND ".join(filter(None, (f'metric.type = "{_ONLINE}{query.metric}"', _ENDPOINT, query.condition))),
            interval=common.TimeInterval(start_time=stamp(start), end_time=stamp(end)),
            aggregation=common.Aggregation(
                alignment_period=Duration(seconds=3600),
                per_series_aligner=query.aligner,
                cross_series_reducer=query.reducer,
                group_by_fields=_BY,
            ),
            view="FULL",
        )
        first = start.timestamp()
        try:
            with translated(f"reading {query.metric} of project {project}"):
                for found in raw_pages(self._client().list_time_series(request, **patience.read()), "time_series"):
                    key = _key(found)
                    if not all(key):
                        continue  # belongs to no deployed model
                    values = into[key].setdefault(query.name, [nan] * steps)
                    for point in found.points:
                        place = round((point.interval.end_time.seconds - first) / 3600) - 1
                        if 0 <= place < steps:
                            values[place] = number_of(point.value) / query.unit
        except NotFoundError:
            return  # nobody has ever written it
        except RolloutsError as error:
            raise ProviderError(str(error)) from error


def _key(series: Any) -> Key:
    resource, metric = series.resource.labels, series.metric.labels
    return resource.get("location", ""), resource.get("endpoint_id", ""), metric.get("deployed_model_id", "")


def _measured(found: dict[str, list[float]], steps: int) -> Measured:
    """No traffic has no series: where replicas ran and nothing was answered, it was none."""
    measured = Measured(**found)
    if measured.replicas is None:
        return measured
    answered = found.get("predictions", [nan] * steps)
    whole = [
        0.0 if isnan(count) and not isnan(running) else count
        for count, running in zip(answered, measured.replicas, strict=True)
    ]
    return replace(measured, predictions=whole)
