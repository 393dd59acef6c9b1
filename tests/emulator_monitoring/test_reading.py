"""ListTimeSeries through the real client: intervals, visibility, aggregation, pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.api.metric_pb2 import MetricDescriptor
from google.api_core import exceptions

from tests.emulator_monitoring.conftest import ENDPOINT, ONLINE, PROJECT, Local
from vertex_emulator.metrics import Resource

COUNTS = f'metric.type = "{ONLINE}prediction_count"'
LATENCIES = f'metric.type = "{ONLINE}prediction_latencies"'


def aggregation(
    aligner: str, period: int = 60, reducer: str = "REDUCE_NONE", by: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "alignment_period": {"seconds": period},
        "per_series_aligner": aligner,
        "cross_series_reducer": reducer,
        "group_by_fields": list(by),
    }


def listed(local: Local, filter_: str, seconds: float = 600, **more: Any) -> list[Any]:
    request = {"name": PROJECT, "filter": filter_, "interval": local.interval(seconds), "view": "FULL", **more}
    return list(local.metrics.list_time_series(request))


def values(series: Any, field: str = "int64_value") -> list[Any]:
    return [getattr(point.value, field) for point in series.points]


def count(local: Local, amount: int, model: str = "1111111111", endpoint: Resource = ENDPOINT) -> None:
    local.monitoring.sink.add(f"{ONLINE}prediction_count", {"deployed_model_id": model}, endpoint, amount)


def counted(local: Local, amounts: list[int], model: str = "1111111111") -> None:
    """``amounts`` in successive minutes, the first right after 10:00, then one more minute for the last to be seen."""
    for amount in amounts:
        local.clock.forward(1)
        if amount:
            count(local, amount, model)
        local.clock.forward(59)
    local.clock.forward(60)


def test_counts_come_one_point_per_minute_newest_first(local: Local) -> None:
    counted(local, [10, 20, 30])
    (series,) = listed(local, COUNTS)
    assert values(series) == [30, 20, 10]
    assert series.metric_kind == MetricDescriptor.MetricKind.DELTA
    assert series.value_type == MetricDescriptor.ValueType.INT64
    newest = series.points[0].interval
    assert newest.end_time - newest.start_time == timedelta(seconds=60)
    assert newest.end_time.minute == 3
    assert dict(series.metric.labels) == {"deployed_model_id": "1111111111"}
    assert series.resource.labels["endpoint_id"] == "4001"


def test_a_minute_becomes_visible_sixty_seconds_after_its_end(local: Local) -> None:
    local.clock.forward(1)
    count(local, 10)
    local.clock.forward(118)
    assert listed(local, COUNTS) == []
    local.clock.forward(1)
    assert len(listed(local, COUNTS)) == 1


def test_a_minute_without_traffic_has_no_point_rather_than_a_zero(local: Local) -> None:
    counted(local, [10, 0, 30])
    (series,) = listed(local, COUNTS, aggregation=aggregation("ALIGN_DELTA"))
    assert values(series) == [30, 10]


def test_the_interval_excludes_its_start_and_includes_its_end(local: Local) -> None:
    counted(local, [10, 20, 30])
    end = local.clock() - timedelta(seconds=60)
    interval = {"start_time": end - timedelta(seconds=60), "end_time": end}
    (series,) = listed(local, COUNTS, interval=interval)
    assert values(series) == [30]


def test_sums_over_a_longer_period(local: Local) -> None:
    counted(local, [1, 2, 4, 8])
    end = local.clock() - timedelta(seconds=60)
    interval = {"start_time": end - timedelta(seconds=240), "end_time": end}
    (series,) = listed(local, COUNTS, interval=interval, aggregation=aggregation("ALIGN_SUM", 120))
    assert values(series) == [12, 3]
    (series,) = listed(local, COUNTS, interval=interval, aggregation=aggregation("ALIGN_RATE", 120))
    assert values(series, "double_value") == [0.1, 0.025]
    (series,) = listed(local, COUNTS, interval=interval, aggregation=aggregation("ALIGN_MEAN", 120))
    assert values(series, "double_value") == [6.0, 1.5]


def test_reducing_keeps_only_the_labels_grouped_by(local: Local) -> None:
    other = Resource(ENDPOINT.type, {**ENDPOINT.labels, "endpoint_id": "4002"})
    local.clock.forward(1)
    count(local, 1)
    count(local, 2, "2222222222")
    count(local, 4, "3333333333", other)
    local.clock.forward(119)
    by = ("resource.labels.endpoint_id",)
    found = listed(local, COUNTS, aggregation=aggregation("ALIGN_SUM", 60, "REDUCE_SUM", by))
    assert {s.resource.labels["endpoint_id"]: values(s) for s in found} == {"4001": [3], "4002": [4]}
    assert all(not s.metric.labels and set(s.resource.labels) == {"endpoint_id"} for s in found)
    (total,) = listed(local, COUNTS, aggregation=aggregation("ALIGN_SUM", 60, "REDUCE_SUM"))
    assert values(total) == [7]
    (number,) = listed(local, COUNTS, aggregation=aggregation("ALIGN_SUM", 60, "REDUCE_COUNT"))
    assert values(number) == [3]


def test_a_second_aggregation_works_on_the_first(local: Local) -> None:
    counted(local, [1, 2, 4, 8])
    (series,) = listed(
        local,
        COUNTS,
        aggregation=aggregation("ALIGN_SUM", 60, "REDUCE_SUM"),
        secondary_aggregation=aggregation("ALIGN_MAX", 600),
    )
    assert values(series) == [8]


def test_latencies_are_read_as_percentiles_or_as_histograms(local: Local) -> None:
    local.clock.forward(1)
    for millis in range(1, 1001):
        labels = {"deployed_model_id": "1", "latency_type": "total"}
        local.monitoring.sink.observe(f"{ONLINE}prediction_latencies", labels, ENDPOINT, float(millis))
    local.clock.forward(119)
    for percent, expected in (("99", 990.0), ("95", 950.0), ("50", 500.0), ("05", 50.0)):
        (series,) = listed(local, LATENCIES, aggregation=aggregation(f"ALIGN_PERCENTILE_{percent}"))
        assert values(series, "double_value") == [pytest.approx(expected, rel=0.05)]
    (series,) = listed(local, LATENCIES, aggregation=aggregation("ALIGN_DELTA"))
    distribution = series.points[0].value.distribution_value
    assert distribution.count == sum(distribution.bucket_counts) == 1000
    assert distribution.mean == pytest.approx(500.5)
    assert distribution.sum_of_squared_deviation == pytest.approx(sum((i - 500.5) ** 2 for i in range(1, 1001)))
    assert distribution.bucket_options.exponential_buckets.growth_factor == pytest.approx(1.1)


def test_latencies_of_two_models_merge_into_one_percentile(local: Local) -> None:
    local.clock.forward(1)
    for model, millis in (("1", 10.0), ("2", 1000.0)):
        for _ in range(100):
            labels = {"deployed_model_id": model, "latency_type": "total"}
            local.monitoring.sink.observe(f"{ONLINE}prediction_latencies", labels, ENDPOINT, millis)
    local.clock.forward(119)
    (series,) = listed(local, LATENCIES, aggregation=aggregation("ALIGN_DELTA", 60, "REDUCE_PERCENTILE_95"))
    assert values(series, "double_value") == [pytest.approx(1000, rel=0.1)]
    (series,) = listed(local, LATENCIES, aggregation=aggregation("ALIGN_DELTA", 60, "REDUCE_MEAN"))
    assert values(series, "double_value") == [pytest.approx(505)]


def test_a_whole_minute_of_latencies_reported_at_once_is_the_same_as_one_by_one(local: Local) -> None:
    local.clock.forward(1)
    measured = [3.0, 80.0, 80.5, 2000.0]
    sink = local.monitoring.sink
    sink.observe_all(f"{ONLINE}prediction_latencies", {"deployed_model_id": "1"}, ENDPOINT, measured)
    for millis in measured:
        sink.observe(f"{ONLINE}prediction_latencies", {"deployed_model_id": "2"}, ENDPOINT, millis)
    local.clock.forward(119)
    one, other = listed(local, LATENCIES, aggregation=aggregation("ALIGN_DELTA"))
    assert one.points[0].value.distribution_value.count == 4
    assert one.points[0].value == other.points[0].value


def test_a_gauge_keeps_the_last_value_of_each_minute(local: Local) -> None:
    for replicas in (1, 2, 3):
        local.clock.forward(20)
        local.monitoring.sink.set(f"{ONLINE}replicas", {"deployed_model_id": "1"}, ENDPOINT, replicas)
    local.clock.forward(20)
    local.monitoring.sink.set(f"{ONLINE}replicas", {"deployed_model_id": "1"}, ENDPOINT, 5)
    local.clock.forward(100)
    (series,) = listed(local, f'metric.type = "{ONLINE}replicas"')
    assert values(series) == [5, 3]
    point = series.points[0].interval
    assert point.start_time == point.end_time


def test_headers_view_has_no_points(local: Local) -> None:
    counted(local, [10])
    (series,) = listed(local, COUNTS, view="HEADERS")
    assert list(series.points) == []
    assert series.metric.labels["deployed_model_id"] == "1111111111"


def test_pages_hold_so_many_points_and_together_everything(local: Local) -> None:
    for amount in range(1, 6):
        local.clock.forward(1)
        count(local, amount)
        count(local, amount * 10, "2222222222")
        local.clock.forward(59)
    local.clock.forward(60)
    request = {"name": PROJECT, "filter": COUNTS, "interval": local.interval(600), "view": "FULL", "page_size": 3}
    pages = list(local.metrics.list_time_series(request).pages)
    assert [sum(len(s.points) for s in page.time_series) for page in pages] == [3, 3, 3, 1]
    found: dict[str, list[int]] = {}
    for page in pages:
        for series in page.time_series:
            found.setdefault(series.metric.labels["deployed_model_id"], []).extend(values(series))
    assert found == {"1111111111": [5, 4, 3, 2, 1], "2222222222": [50, 40, 30, 20, 10]}
    assert local.monitoring.calls.counts()["MetricService/ListTimeSeries"] == 4


def test_later_pages_do_not_see_what_became_visible_meanwhile(local: Local) -> None:
    counted(local, [1, 2])
    count(local, 4)
    request = {
        "name": PROJECT,
        "filter": COUNTS,
        "interval": {"start_time": local.clock() - timedelta(hours=1), "end_time": local.clock() + timedelta(hours=1)},
        "page_size": 1,
    }
    first = next(local.metrics.list_time_series(request).pages)
    local.clock.forward(300)
    rest = listed(local, COUNTS, interval=request["interval"], page_size=10, page_token=first.next_page_token)
    assert values(first.time_series[0]) == [2]
    assert [values(series) for series in rest] == [[1]]


def test_old_points_are_forgotten_after_the_retention(local: Local) -> None:
    counted(local, [1])
    local.clock.forward(27 * 3600)
    counted(local, [2])
    (series,) = listed(local, COUNTS, seconds=48 * 3600)
    assert values(series) == [2]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"filter": 'resource.type = "x"'}, "exactly one metric type"),
        ({"filter": COUNTS + " OR " + LATENCIES}, "exactly one metric type"),
        ({"filter": COUNTS + " AND group.id = 5"}, "not supported"),
        ({"filter": COUNTS + " AND ("}, "Expected a term"),
        ({"aggregation": aggregation("ALIGN_SUM", 30)}, "at least 60 seconds"),
        ({"aggregation": aggregation("ALIGN_PERCENTILE_95")}, "kind DELTA and value type INT64"),
        ({"aggregation": aggregation("ALIGN_NONE", 60, "REDUCE_SUM")}, "aligner must be specified"),
        ({"filter": LATENCIES, "aggregation": aggregation("ALIGN_COUNT")}, "kind DELTA and value type DISTRIBUTION"),
        ({"secondary_aggregation": aggregation("ALIGN_SUM")}, "if aggregation is specified"),
        ({"order_by": "time"}, "must be left blank"),
        ({"page_token": "nonsense"}, "page token"),
    ],
)
def test_a_wrong_query_is_refused_with_the_reason(local: Local, change: dict[str, Any], why: str) -> None:
    counted(local, [10])
    with pytest.raises(exceptions.InvalidArgument, match=why):
        listed(local, **{"filter_": change.pop("filter", COUNTS), **change})


def test_an_interval_needs_a_start_before_its_end(local: Local) -> None:
    for interval in ({"end_time": local.clock()}, {"start_time": local.clock(), "end_time": local.clock()}):
        with pytest.raises(exceptions.InvalidArgument, match=r"interval\.startTime"):
            listed(local, COUNTS, interval=interval)


def test_a_metric_never_written_is_not_found_but_a_built_in_one_is_empty(local: Local) -> None:
    assert listed(local, COUNTS) == []
    with pytest.raises(exceptions.NotFound, match="Cannot find metric"):
        listed(local, 'metric.type = "custom.googleapis.com/nothing"')


def test_an_injected_fault_is_seen_once(local: Local) -> None:
    local.monitoring.calls.fail("MetricService/ListTimeSeries", grpc.StatusCode.INTERNAL)
    with pytest.raises(exceptions.InternalServerError):
        listed(local, COUNTS)
    assert listed(local, COUNTS) == []
