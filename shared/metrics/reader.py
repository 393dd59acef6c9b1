"""What was served, minute by minute, as Cloud Monitoring has it.

One query per metric covers every endpoint of a project, so the number of calls (pages aside) does not grow with endpoints or
rollouts. Each series is summed by deployed model, the only key that tells the arms of an endpoint apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from google.cloud.monitoring_v3.services.metric_service.client import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports.grpc import MetricServiceGrpcTransport
from google.cloud.monitoring_v3.types import common, metric_service
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from shared.channels import monitoring_client
from shared.errors import NotFoundError, RolloutsError, TransientError
from shared.gapic import patience
from shared.gapic.errors import translated
from shared.gapic.values import raw_pages
from shared.metrics.distribution import histogram, single
from shared.policy.rollout import ERROR_RATE
from shared.rollout.observed import ArmMinute, Histogram, Minute

LATENCY = "latency_ms"
BUILT_IN = frozenset({ERROR_RATE, LATENCY})
"""What Vertex AI measures; every other name is the user's."""
USER_METRICS = "custom.googleapis.com/vertex_rollouts/"

_SERVING = "aiplatform.googleapis.com/prediction/online/"
_ENDPOINT = 'resource.type = "aiplatform.googleapis.com/Endpoint"'
_SECONDS = 60

Key = tuple[str, str]
"""Region and endpoint id."""


class ProviderError(TransientError):
    """Cloud Monitoring did not answer; nothing is known, which is not the same as nothing happened."""


@dataclass(frozen=True)
class _Query:
    """One metric of all endpoints, summed by arm."""

    metric: str
    condition: str
    aligner: str
    """ALIGN_DELTA for what counts up (DELTA); ALIGN_SUM for what is written as single points (GAUGE)."""
    arm: tuple[str, str, str]
    """Where a series says its region, endpoint and deployed model."""
    also_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Span:
    """What time of which project."""

    project: str
    start: datetime
    end: datetime
    step: timedelta


def _limited(query: _Query, only: Collection[Key] | None) -> _Query:
    """The same of one endpoint, if it is only one."""
    if only is None or len(only) != 1:
        return query
    (key,) = only
    here = " AND ".join(f'{selector} = "{name}"' for selector, name in zip(query.arm[:2], key, strict=True))
    return replace(query, condition=f"{query.condition} AND {here}" if query.condition else here)


_BUILT_IN_ARM = ("resource.labels.location", "resource.labels.endpoint_id", "metric.labels.deployed_model_id")
# A user's metric cannot be written against a Vertex AI endpoint (only generic resources take custom metrics).
_USER_ARM = ("resource.labels.location", "metric.labels.endpoint_id", "metric.labels.deployed_model_id")

_RESPONSES = _Query(
    f"{_SERVING}response_count", _ENDPOINT, "ALIGN_DELTA", _BUILT_IN_ARM, ("metric.labels.response_code",)
)
_LATENCIES = _Query(
    f"{_SERVING}prediction_latencies",
    f'{_ENDPOINT} AND metric.labels.latency_type = "total"',
    "ALIGN_DELTA",
    _BUILT_IN_ARM,
)


def _user_query(name: str) -> _Query:
    return _Query(f"{USER_METRICS}{name}", "", "ALIGN_SUM", _USER_ARM)


@dataclass
class _Gathering:
    """One arm in one minute, while series are being read."""

    requests: int = 0
    errors: int = 0
    values: dict[str, Histogram] = field(default_factory=dict)


class ServedMetrics:
    """Reads Cloud Monitoring; one client, built on first use."""

    def __init__(self) -> None:
        self._client = monitoring_client(MetricServiceClient, MetricServiceGrpcTransport)

    def minutes(
        self,
        project: str,
        start: datetime,
        end: datetime,
        metrics: Collection[str],
        only: Collection[Key] | None = None,
        step: timedelta = timedelta(seconds=_SECONDS),
    ) -> dict[Key, list[Minute]]:
        """What each arm served in each minute of ``(start, end]``, by endpoint, in order.

        ``start`` and ``end`` are whole minutes. Responses are always read; latencies and the user's metrics where they are
        named. An error is a 5xx: a 4xx is the caller's mistake, whichever model answers it. What has no series is absent, never
        zero. Metrics become visible at different times, so an arm can have values and no requests yet: its ``requests`` are
        then 0, not the number of values.

        ``only`` names the endpoints that are wanted: of a single one the query asks alone, of several the rest is read past. ``step`` is a
        longer time than a minute (whole minutes) per part, counted back from ``end``: what a person looks at.
        """
        if start.timestamp() % _SECONDS or end.timestamp() % _SECONDS or start >= end:
            raise ValueError(f"start and end must be whole minutes in this order, not {start} and {end}")
        gathered: dict[Key, dict[datetime, dict[str, _Gathering]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(_Gathering))
        )
        span = _Span(project, start, end, step)
        for arm, code, at, value in self._read(span, _RESPONSES, only):
            served = gathered[arm[:2]][at][arm[2]]
            count = round(number_of(value))
            served.requests += count
            served.errors += count if code.startswith("5") else 0
        queries = {name: _user_query(name) for name in sorted(set(metrics) - BUILT_IN)}
        if LATENCY in metrics:
            queries[LATENCY] = _LATENCIES
        for name, query in queries.items():
            for arm, _, at, value in self._read(span, query, only):
                if (values := _values(value)) is not None:
                    gathered[arm[:2]][at][arm[2]].values[name] = values
        return {key: [_minute(at, arms) for at, arms in sorted(by_time.items())] for key, by_time in gathered.items()}

    def _read(
        self, span: _Span, query: _Query, only: Collection[Key] | None
    ) -> Iterator[tuple[tuple[str, str, str], str, datetime, Any]]:
        """Every point of one metric: its arm, what else it is told apart by, its minute's end, its value."""
        query = _limited(query, only)
        selectors = query.arm + query.also_by
        labels = [selector.partition(".labels.")[::2] for selector in selectors]
        request = metric_service.ListTimeSeriesRequest(
            name=f"projects/{span.project}",
            filter=" AND ".join(filter(None, (f'metric.type = "{query.metric}"', query.condition))),
            interval=common.TimeInterval(start_time=stamp(span.start), end_time=stamp(span.end)),
            aggregation=common.Aggregation(
                alignment_period=Duration(seconds=int(span.step.total_seconds())),
                per_series_aligner=query.aligner,
                cross_series_reducer="REDUCE_SUM",
                group_by_fields=selectors,
            ),
            view="FULL",
        )
        try:
            with translated(f"reading {query.metric} of project {span.project}"):
                for series in raw_pages(self._client().list_time_series(request, **patience.read()), "time_series"):
                    of = {"resource": series.resource.labels, "metric": series.metric.labels}
                    region, endpoint, deployed, *rest = [of[owner].get(label, "") for owner, label in labels]
                    if not (region and endpoint and deployed):
                        continue  # belongs to no arm: written without a label, or against a resource without a location
                    if only is not None and (region, endpoint) not in only:
                        continue
                    for point in series.points:
                        at = _moment(point.interval.end_time.seconds)
                        yield (region, endpoint, deployed), "".join(rest), at, point.value
        except NotFoundError:
            return  # a metric that was never written is not known: no series, as with one that nobody writes now
        except RolloutsError as error:
            raise ProviderError(str(error)) from error


def stamp(moment: datetime) -> Timestamp:
    """As Cloud Monitoring takes it."""
    return Timestamp(seconds=int(moment.timestamp()))


@lru_cache(maxsize=512)
def _moment(seconds: int) -> datetime:
    """The points of all series end at the same few moments."""
    return datetime.fromtimestamp(seconds, UTC)


def number_of(value: Any) -> float:
    """A point that is a number; a distribution is none."""
    kind = value.WhichOneof("value")
    return float(getattr(value, kind)) if kind in ("int64_value", "double_value") else 0.0


def _values(value: Any) -> Histogram | None:
    kind = value.WhichOneof("value")
    if kind == "distribution_value":
        return histogram(value.distribution_value)
    return single(number_of(value)) if kind in ("int64_value", "double_value") else None


def _minute(at: datetime, arms: dict[str, _Gathering]) -> Minute:
    return Minute(at, {arm: ArmMinute(got.requests, got.errors, got.values) for arm, got in arms.items()})
