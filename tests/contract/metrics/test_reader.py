"""What was served, read back from the local Cloud Monitoring through the real client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.api import distribution_pb2, metric_pb2, monitored_resource_pb2
from google.cloud.monitoring_v3.services.metric_service.client import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports.grpc import MetricServiceGrpcTransport
from google.cloud.monitoring_v3.types import common, metric, metric_service

from shared.channels import MONITORING_EMULATOR
from shared.errors import TransientError
from shared.metrics.reader import USER_METRICS, ProviderError, ServedMetrics
from shared.rollout.observed import ArmMinute, Histogram, Minute
from tests.contract.vertex.wire import Wire, serving
from vertex_emulator.metrics import Resource
from vertex_emulator.monitoring.server import Monitoring

PROJECT = "local-project"
BEGIN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ONLINE = "aiplatform.googleapis.com/prediction/online/"


def minute(number: int) -> datetime:
    return BEGIN + timedelta(minutes=number)


class Local:
    """A Cloud Monitoring whose clock the test moves."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.monitoring = Monitoring(delay=0.0, delays={"custom.": 0.0}, clock=lambda: self.now)
        self.address = self.monitoring.serve()

    def at(self, seconds: float) -> Local:
        self.now = BEGIN + timedelta(seconds=seconds)
        return self

    def serve(
        self, endpoint: str, arm: str, code: str, count: int, region: str = "us-central1", spot: str = "false"
    ) -> None:
        labels = {"deployed_model_id": arm, "response_code": code, "spot": spot}
        self.monitoring.sink.add(f"{ONLINE}response_count", labels, _endpoint(endpoint, region), count)

    def take(self, endpoint: str, arm: str, milliseconds: float, kind: str = "total") -> None:
        labels = {"deployed_model_id": arm, "latency_type": kind}
        self.monitoring.sink.observe(f"{ONLINE}prediction_latencies", labels, _endpoint(endpoint), milliseconds)

    def report(self, name: str, arm: str, value: common.TypedValue, location: str = "us-central1") -> None:
        """Write a metric of the user's own, as an application does."""
        kind = "DISTRIBUTION" if "distribution_value" in value else "DOUBLE" if "double_value" in value else "INT64"
        labels = {"project_id": PROJECT, "location": location, "namespace": "app", "job": "relevance", "task_id": arm}
        resource_type = "generic_task" if location else "global"
        series = metric.TimeSeries(
            metric=metric_pb2.Metric(type=USER_METRICS + name, labels={"endpoint_id": "one", "deployed_model_id": arm}),
            resource=monitored_resource_pb2.MonitoredResource(
                type=resource_type, labels=labels if location else {"project_id": PROJECT}
            ),
            metric_kind="GAUGE",
            value_type=kind,
            points=[metric.Point(interval=common.TimeInterval(end_time=self.now), value=value)],
        )
        with grpc.insecure_channel(self.address) as channel:
            client = MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
            client.create_time_series(name=f"projects/{PROJECT}", time_series=[series])

    def lists(self) -> int:
        """How many ListTimeSeries calls there were."""
        return self.monitoring.calls.counts()["MetricService/ListTimeSeries"]


def _endpoint(endpoint: str, region: str = "us-central1") -> Resource:
    return Resource(
        "aiplatform.googleapis.com/Endpoint",
        {"resource_container": "123456789012", "location": region, "endpoint_id": endpoint},
    )


def tokens(*counts: int) -> common.TypedValue:
    options = distribution_pb2.Distribution.BucketOptions
    return common.TypedValue(
        distribution_value=distribution_pb2.Distribution(
            count=sum(counts),
            mean=200,
            bucket_options=options(explicit_buckets=options.Explicit(bounds=[64, 200, 400])),
            bucket_counts=counts,
        )
    )


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    running = Local()
    monkeypatch.setenv(MONITORING_EMULATOR, running.address)
    yield running
    running.monitoring.stop()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    recorder = Wire()
    with serving(recorder) as address:
        monkeypatch.setenv(MONITORING_EMULATOR, address)
        yield recorder


def test_responses_are_counted_by_arm_and_minute(local: Local) -> None:
    local.at(10).serve("one", "stable", "2xx", 90)
    local.serve("one", "stable", "2xx", 5, spot="true")
    local.serve("one", "stable", "4xx", 3)
    local.serve("one", "stable", "5xx", 2)
    local.serve("one", "candidate", "2xx", 10)
    local.at(70).serve("one", "stable", "2xx", 80)
    local.serve("two", "other", "5xx", 1, region="europe-west4")
    local.at(200)

    served = ServedMetrics().minutes(PROJECT, minute(0), minute(3), {"error_rate"})

    assert served == {
        ("us-central1", "one"): [
            Minute(minute(1), {"stable": ArmMinute(100, 2), "candidate": ArmMinute(10, 0)}),
            Minute(minute(2), {"stable": ArmMinute(80, 0)}),
        ],
        ("europe-west4", "two"): [Minute(minute(2), {"other": ArmMinute(1, 1)})],
    }


def test_one_endpoint_is_asked_for_alone_and_of_several_the_others_are_read_past(local: Local) -> None:
    for endpoint, region in (("one", "us-central1"), ("two", "us-central1"), ("one", "europe-west4")):
        local.at(10).serve(endpoint, "stable", "2xx", 9, region=region)
    local.at(200)
    keys = ("us-central1", "one"), ("europe-west4", "one")
    for only in ((keys[0],), keys):
        served = ServedMetrics().minutes(PROJECT, minute(0), minute(3), {"error_rate"}, only)
        assert served == {key: [Minute(minute(1), {"stable": ArmMinute(9, 0)})] for key in only}


def test_the_interval_begins_after_start_and_holds_end(local: Local) -> None:
    for number in range(3):
        local.at(number * 60 + 30).serve("one", "stable", "2xx", number + 1)
    local.at(300)
    read = ServedMetrics().minutes(PROJECT, minute(1), minute(2), {"error_rate"})
    assert [(m.at, m.arms["stable"].requests) for m in read["us-central1", "one"]] == [(minute(2), 2)]


def test_latencies_are_the_total_ones(local: Local) -> None:
    local.at(10).serve("one", "stable", "2xx", 3)
    for value in (20.0, 30.0, 40.0):
        local.take("one", "stable", value)
        local.take("one", "stable", value / 10, kind="overhead")
    local.at(120)

    (read,) = ServedMetrics().minutes(PROJECT, minute(0), minute(2), {"latency_ms"})["us-central1", "one"]

    latency = read.arms["stable"].values["latency_ms"]
    assert latency.total == 3
    assert latency.mean == pytest.approx(30)
    assert latency.deviation == pytest.approx(200)
    assert latency.edges[0] <= 20
    assert latency.edges[-1] >= 40
    assert len(latency.counts) == len(latency.edges) + 1


def test_an_arm_whose_responses_are_not_visible_yet_has_no_requests(local: Local) -> None:
    local.at(10).take("one", "stable", 20.0)
    local.at(120)
    (read,) = ServedMetrics().minutes(PROJECT, minute(0), minute(1), {"latency_ms"})["us-central1", "one"]
    assert read.arms["stable"].requests == 0
    assert read.arms["stable"].values["latency_ms"].total == 1


def test_a_metric_of_the_users_own_is_found_by_its_labels(local: Local) -> None:
    local.at(30).report("tokens_per_image", "candidate", tokens(0, 6, 4, 0))
    local.at(90).report("tokens_per_image", "candidate", tokens(0, 1, 0, 0))
    local.at(150)

    read = ServedMetrics().minutes(PROJECT, minute(0), minute(2), {"tokens_per_image"})

    assert read == {
        ("us-central1", "one"): [
            Minute(
                minute(1),
                {"candidate": ArmMinute(values={"tokens_per_image": Histogram((64, 200, 400), (0, 6, 4, 0), 200)})},
            ),
            Minute(
                minute(2), {"candidate": ArmMinute(values={"tokens_per_image": Histogram((64, 200), (0, 1, 0), 200)})}
            ),
        ]
    }


@pytest.mark.parametrize("value", [common.TypedValue(double_value=7.0), common.TypedValue(int64_value=7)])
def test_a_plain_number_is_one_value(local: Local, value: common.TypedValue) -> None:
    local.at(30).report("compression", "candidate", value)
    local.at(120)
    (read,) = ServedMetrics().minutes(PROJECT, minute(0), minute(1), {"compression"})["us-central1", "one"]
    assert read.arms["candidate"].values["compression"] == Histogram((), (1,), 7.0, 0.0)


def test_what_was_written_without_a_location_belongs_to_no_arm(local: Local) -> None:
    local.at(30).report("tokens_per_image", "candidate", tokens(0, 6, 4, 0), location="")
    local.at(120)
    assert ServedMetrics().minutes(PROJECT, minute(0), minute(1), {"tokens_per_image"}) == {}


def test_nothing_served_is_absent_and_an_unknown_metric_is_no_error(local: Local) -> None:
    local.at(120)
    assert ServedMetrics().minutes(PROJECT, minute(0), minute(2), {"latency_ms", "never_written"}) == {}


def test_the_number_of_calls_depends_on_metrics_and_not_on_endpoints(local: Local) -> None:
    for number in range(40):
        local.at(10).serve(f"endpoint-{number}", "stable", "2xx", 1)
        local.take(f"endpoint-{number}", "stable", 5.0)
    local.report("tokens_per_image", "stable", tokens(0, 1, 0, 0))
    local.at(120)
    metrics = {"error_rate", "latency_ms", "tokens_per_image"}
    assert len(ServedMetrics().minutes(PROJECT, minute(0), minute(1), metrics)) == 41
    assert local.lists() == 3


def test_every_page_is_read(wire: Wire) -> None:
    def page(arm: str, token: str) -> metric_service.ListTimeSeriesResponse:
        series = metric.TimeSeries(
            metric=metric_pb2.Metric(labels={"deployed_model_id": arm, "response_code": "2xx"}),
            resource=monitored_resource_pb2.MonitoredResource(labels={"location": "r", "endpoint_id": "one"}),
            points=[
                metric.Point(
                    interval=common.TimeInterval(start_time=minute(0), end_time=minute(1)),
                    value=common.TypedValue(double_value=5.0),
                )
            ],
        )
        return metric_service.ListTimeSeriesResponse(time_series=[series], next_page_token=token)

    wire.answer("ListTimeSeries", page("stable", "more"), page("candidate", ""))
    read = ServedMetrics().minutes(PROJECT, minute(0), minute(1), set())
    assert read == {
        ("r", "one"): [Minute(minute(1), {"stable": ArmMinute(5), "candidate": ArmMinute(5)})],
    }
    assert len(wire.calls) == 2
    assert wire.calls[0].routing == f"name=projects/{PROJECT}"


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT]
)
def test_a_provider_that_fails_is_named_and_is_transient(
    local: Local, code: grpc.StatusCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOCK_RATE", "200")
    local.monitoring.calls.fail("MetricService/ListTimeSeries", code, times=50)
    with pytest.raises(ProviderError, match="response_count of project local-project") as caught:
        ServedMetrics().minutes(PROJECT, minute(0), minute(1), set())
    assert isinstance(caught.value, TransientError)


def test_only_whole_minutes_can_be_asked_for(local: Local) -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        ServedMetrics().minutes(PROJECT, minute(0), minute(1) + timedelta(seconds=1), set())
    assert local.lists() == 0
