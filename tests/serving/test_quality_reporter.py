"""Quality metrics on their way to Cloud Monitoring, through the real client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import fmean, pvariance
from typing import Any

import grpc
import pytest

from local.quality_reporter import MAX_SERIES, QualityMetric, QualityReporter, connect
from local.tally import Result
from tests.serving.container import PATIENCE
from tests.serving.stub_vertex import stub_vertex

ENDPOINT = "projects/demo/locations/europe-west4/endpoints/arr-coc-serving"
TOKENS = QualityMetric("tokens", "tokens_per_image", (64, 80, 350))


class Monitoring:
    """What was written, and how the next write is answered."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.refusal: grpc.StatusCode | None = None

    def create_time_series(self, request: Any, context: grpc.ServicerContext) -> None:
        if self.refusal is not None:
            context.abort(self.refusal, "refused by the test")
        self.requests.append(request)


class SteppedClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.at = datetime(2027, 1, 5, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def step(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def monitoring() -> Monitoring:
    return Monitoring()


@pytest.fixture
def client(monitoring: Monitoring) -> Iterator[Any]:
    with stub_vertex(create_time_series=monitoring.create_time_series) as address:
        client: Any = connect(address)
        yield client
        client.transport.close()


@pytest.fixture
def now() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def reporter(client: Any, now: SteppedClock) -> QualityReporter:
    return QualityReporter(client, ENDPOINT, [TOKENS], now=now)


def answer(*tokens: float, deployed: str = "11") -> Result:
    predictions = tuple({"tokens": value, "other": 1.0} for value in tokens)
    return Result("OK", 10.0, deployed, "arr-coc", "3", predictions)


def test_a_point_is_the_distribution_of_the_values_since_the_last_one(
    reporter: QualityReporter, monitoring: Monitoring, now: SteppedClock
) -> None:
    values = [63, 64, 79.9, 80, 200, 349, 350, 400]
    for value in values:
        reporter.observe(answer(value))
    assert reporter.write() == 1
    (request,) = monitoring.requests
    (series,) = request.time_series
    assert request.name == "projects/demo"
    assert series.metric.type == "custom.googleapis.com/vertex_rollouts/tokens_per_image"
    assert dict(series.metric.labels) == {"endpoint_id": "arr-coc-serving", "deployed_model_id": "11"}
    assert series.resource.type == "generic_task"
    assert dict(series.resource.labels) == {
        "project_id": "demo",
        "location": "europe-west4",
        "namespace": "vertex-rollouts",
        "job": "arr-coc",
        "task_id": "11",
    }
    (point,) = series.points
    distribution = point.value.distribution_value
    assert (series.metric_kind, series.value_type) == (1, 5)  # GAUGE, DISTRIBUTION
    assert point.interval.end_time.ToDatetime(UTC) == now()
    assert list(distribution.bucket_options.explicit_buckets.bounds) == [64, 80, 350]
    assert list(distribution.bucket_counts) == [1, 2, 3, 2]
    assert distribution.count == len(values)
    assert distribution.mean == pytest.approx(fmean(values))
    assert distribution.sum_of_squared_deviation == pytest.approx(pvariance(values) * len(values))


def test_each_deployed_model_has_its_own_series_with_one_point(
    reporter: QualityReporter, monitoring: Monitoring
) -> None:
    for deployed in ("11", "22", "11", "22"):
        reporter.observe(answer(100, 200, deployed=deployed))
    reporter.observe(Result("UNAVAILABLE", 5.0))
    assert reporter.write() == 2
    (request,) = monitoring.requests
    assert sorted(series.metric.labels["deployed_model_id"] for series in request.time_series) == ["11", "22"]
    assert all(len(series.points) == 1 for series in request.time_series)


def test_points_closer_than_monitoring_accepts_wait_with_their_values(
    reporter: QualityReporter, monitoring: Monitoring, now: SteppedClock
) -> None:
    reporter.observe(answer(100))
    reporter.write()
    now.step(4.9)
    reporter.observe(answer(200))
    assert reporter.write() == 0
    now.step(0.1)
    reporter.observe(answer(300))
    assert reporter.write() == 1
    assert [r.time_series[0].points[0].value.distribution_value.count for r in monitoring.requests] == [1, 2]


def test_without_values_there_is_no_point(reporter: QualityReporter, monitoring: Monitoring) -> None:
    assert reporter.write() == 0
    assert monitoring.requests == []


def test_values_survive_a_service_that_is_unavailable(
    reporter: QualityReporter, monitoring: Monitoring, now: SteppedClock
) -> None:
    monitoring.refusal = grpc.StatusCode.UNAVAILABLE
    reporter.observe(answer(100, 110))
    assert reporter.write() == 0
    monitoring.refusal = None
    now.step(60)
    reporter.observe(answer(180))
    assert reporter.write() == 1
    distribution = monitoring.requests[0].time_series[0].points[0].value.distribution_value
    assert (distribution.count, distribution.mean) == (3, pytest.approx(130))
    assert distribution.sum_of_squared_deviation == pytest.approx(pvariance([100, 110, 180]) * 3)
    assert list(distribution.bucket_counts) == [0, 0, 3, 0]
    assert reporter.failed_writes == 1


def test_a_refused_write_is_reported_and_not_repeated(client: Any, monitoring: Monitoring, now: SteppedClock) -> None:
    said: list[str] = []
    reporter = QualityReporter(client, ENDPOINT, [TOKENS], now=now, on_failure=said.append)
    monitoring.refusal = grpc.StatusCode.INVALID_ARGUMENT
    reporter.observe(answer(100))
    reporter.write()
    monitoring.refusal = None
    now.step(60)
    assert reporter.write() == 0
    assert len(said) == 1
    assert said[0].startswith("quality metrics were not written: InvalidArgument")


def test_more_series_than_one_request_may_hold_are_split(reporter: QualityReporter, monitoring: Monitoring) -> None:
    for number in range(MAX_SERIES + 5):
        reporter.observe(answer(100, deployed=str(1000 + number)))
    assert reporter.write() == MAX_SERIES + 5
    assert [len(request.time_series) for request in monitoring.requests] == [MAX_SERIES, 5]


def test_the_thread_writes_on_compressed_time_and_the_rest_at_the_end(
    client: Any, monitoring: Monitoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOCK_ORIGIN", str(time.time()))
    monkeypatch.setenv("CLOCK_RATE", "1200")
    reporter = QualityReporter(client, ENDPOINT, [TOKENS]).start()
    reporter.observe(answer(100))
    deadline = time.monotonic() + PATIENCE
    while not monitoring.requests:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.02)
    reporter.observe(answer(200))
    reporter.stop()
    points = [request.time_series[0].points[0] for request in monitoring.requests]
    assert sum(point.value.distribution_value.count for point in points) == 2
    assert points[1].interval.end_time.ToDatetime() - points[0].interval.end_time.ToDatetime() >= timedelta(seconds=5)


def test_a_wrong_endpoint_name_or_interval_is_refused_at_once(client: Any) -> None:
    with pytest.raises(ValueError, match="is not of the form projects/P/locations/L/endpoints/E"):
        QualityReporter(client, "arr-coc-serving")
    with pytest.raises(ValueError, match="one point per series"):
        QualityReporter(client, ENDPOINT, interval=timedelta(seconds=1))
