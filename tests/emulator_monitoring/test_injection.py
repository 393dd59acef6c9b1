"""Measurements that nobody made: late, revised, doubled, backwards; in all three layouts of a distribution."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator_monitoring.conftest import ENDPOINT, ONLINE, PROJECT, Local
from vertex_emulator.config import config_from
from vertex_emulator.errors import ApiError
from vertex_emulator.monitoring.distribution import Buckets
from vertex_emulator.monitoring.server import Monitoring

ERRORS, LATENCIES = f"{ONLINE}error_count", f"{ONLINE}prediction_latencies"
RESOURCE = {"type": ENDPOINT.type, "labels": dict(ENDPOINT.labels)}


def inject(local: Local, metric: str, *points: Any, **more: Any) -> int:
    series = {"metric": metric, "labels": {"deployed_model_id": "11"}, "resource": RESOURCE, "points": points, **more}
    return local.monitoring.inject([series])


def read(local: Local, metric: str = ERRORS, seconds: float = 3600) -> list[Any]:
    """The points of the metric's one series, oldest first."""
    request = {"name": PROJECT, "filter": f'metric.type = "{metric}"', "interval": local.interval(seconds)}
    found = list(local.metrics.list_time_series(request))
    assert len(found) <= 1
    return [point for series in found for point in reversed(series.points)]


def counts(local: Local, metric: str = ERRORS) -> list[int]:
    return [point.value.int64_value for point in read(local, metric)]


def test_a_count_at_a_time_in_the_past_is_read_there(local: Local) -> None:
    end = local.clock().timestamp() - 300
    assert inject(local, ERRORS, {"end": end, "value": 5}, {"ago": 240, "value": 6}) == 2
    assert [(p.interval.end_time.timestamp() - end, p.value.int64_value) for p in read(local)] == [(0, 5), (60, 6)]
    assert read(local)[0].interval.start_time.timestamp() == end - 60


def test_a_point_is_visible_after_the_usual_delay_or_as_late_as_is_said(local: Local) -> None:
    inject(local, ERRORS, {"ago": 30, "value": 1})
    inject(local, ERRORS, {"ago": 600, "value": 2, "late": 300})
    assert counts(local) == []
    local.clock.forward(31)
    assert counts(local) == [1]
    local.clock.forward(270)
    assert counts(local) == [2, 1]


def test_a_point_that_arrives_out_of_order_is_read_where_its_end_belongs(local: Local) -> None:
    for ago in (120, 240, 180):
        inject(local, ERRORS, {"ago": ago, "value": ago})
    assert counts(local) == [240, 180, 120]


def test_a_revision_takes_the_points_place_once_it_is_visible(local: Local) -> None:
    inject(local, ERRORS, {"ago": 300, "value": 5})
    inject(local, ERRORS, {"ago": 300, "value": 9, "late": 60}, mode="revise")
    assert counts(local) == [5]
    local.clock.forward(60)
    assert counts(local) == [9]


def test_a_doubled_point_is_read_twice(local: Local) -> None:
    inject(local, ERRORS, {"ago": 300, "value": 5})
    inject(local, ERRORS, {"ago": 300, "value": 5}, mode="double")
    assert counts(local) == [5, 5]


def test_what_is_added_joins_what_was_served_in_that_minute(local: Local) -> None:
    labels = {"deployed_model_id": "11"}
    local.monitoring.sink.add(ERRORS, labels, ENDPOINT, 2)
    local.minutes(3)
    (point,) = read(local)
    inject(local, ERRORS, {"end": point.interval.end_time.timestamp(), "value": 3})
    assert counts(local) == [5]


def test_what_is_served_after_an_injection_in_the_future_is_kept_apart(local: Local) -> None:
    inject(local, ERRORS, {"ago": -600, "value": 3})
    local.monitoring.sink.add(ERRORS, {"deployed_model_id": "11"}, ENDPOINT, 2)
    local.minutes(20)
    assert counts(local) == [2, 3]


def test_a_counter_can_run_backwards(local: Local) -> None:
    metric = "custom.googleapis.com/served"
    points = [{"ago": ago, "period": 600 - ago, "value": value} for ago, value in ((300, 10), (240, 20), (180, 4))]
    inject(local, metric, *points, kind="CUMULATIVE", value_type="INT64")
    assert counts(local, metric) == [10, 20, 4]


def test_gauges_and_distributions_are_injected_like_counts(local: Local) -> None:
    inject(local, f"{ONLINE}replicas", {"ago": 180, "value": 4})
    inject(local, LATENCIES, {"ago": 180, "values": [10, 20, 30]})
    inject(local, LATENCIES, {"ago": 180, "values": [40]})
    (gauge,) = read(local, f"{ONLINE}replicas")
    assert gauge.value.int64_value == 4
    assert gauge.interval.start_time == gauge.interval.end_time
    (point,) = read(local, LATENCIES)
    assert (point.value.distribution_value.count, point.value.distribution_value.mean) == (4, 25)


@pytest.mark.parametrize(
    ("layout", "kind"),
    [
        ({"explicit": {"bounds": [10, 100, 1000]}}, "explicit_buckets"),
        ({"linear": {"finite": 20, "width": 5, "offset": 0}}, "linear_buckets"),
        ({"exponential": {"finite": 30, "growth": 1.5, "scale": 1}}, "exponential_buckets"),
    ],
)
def test_each_layout_can_be_injected_and_configured(local: Local, layout: dict[str, Any], kind: str) -> None:
    inject(local, LATENCIES, {"ago": 180, "values": [7, 70]}, buckets=layout)
    (point,) = read(local, LATENCIES)
    assert point.value.distribution_value.bucket_options.WhichOneof("options") == kind
    config = config_from({"monitoring": {"delay": 5, "delays": {ONLINE: 7}, "buckets": {LATENCIES: layout}}})
    monitoring = Monitoring(**config.monitoring.as_arguments())
    assert monitoring.sink.buckets_of(LATENCIES) == Buckets.described(layout)
    assert monitoring.sink.visibility.delay(LATENCIES) == 7
    monitoring.stop()


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"round": {}}, "one key of explicit, linear, exponential, not round"),
        ({"linear": {"finite": 3}}, "the linear bucket layout"),
        ({"explicit": {"bounds": [3, 1]}}, "strictly increasing"),
    ],
)
def test_a_layout_that_is_none_is_refused(local: Local, layout: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        inject(local, LATENCIES, {"ago": 1, "values": [1]}, buckets=layout)
    with pytest.raises(ValueError, match=message):
        config_from({"monitoring": {"buckets": {LATENCIES: layout}}})


def test_the_delay_can_be_changed_while_it_runs(local: Local) -> None:
    local.monitoring.sink.set_delays(0, {f"{ONLINE}replicas": 500})
    inject(local, ERRORS, {"ago": 0, "value": 1})
    inject(local, f"{ONLINE}replicas", {"ago": 0, "value": 1})
    assert (counts(local), counts(local, f"{ONLINE}replicas")) == ([1], [])


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ({"metric": ERRORS, "points": [{"ago": 1}]}, "needs a value"),
        ({"metric": LATENCIES, "points": [{"ago": 1, "value": 3}]}, "needs values"),
        ({"metric": ERRORS, "points": [{"end": "noon", "value": 1}]}, "end must be an RFC 3339 time"),
        ({"metric": ERRORS, "points": [{"when": 1, "value": 1}]}, "unknown key 'when' in points"),
        ({"metric": ERRORS, "points": [{"value": 1}], "kind": "GAUGE"}, "is DELTA INT64, not GAUGE INT64"),
        ({"metric": ERRORS, "points": [{"value": 1}], "mode": "triple"}, "mode must be one of add, revise, double"),
        ({"metric": "custom.googleapis.com/new", "points": [{"value": 1}]}, "is not known: kind must be one of"),
        ({"metric": ERRORS}, "needs a metric and points"),
    ],
)
def test_what_cannot_be_injected_is_refused_and_nothing_is_taken(
    local: Local, series: dict[str, Any], message: str
) -> None:
    good = {"metric": ERRORS, "resource": RESOURCE, "points": [{"ago": 300, "value": 1}]}
    with pytest.raises(ApiError, match=message):
        local.monitoring.inject([good, series])
    assert counts(local) == []


def test_saved_series_are_put_back_whatever_was_measured_since(local: Local) -> None:
    end = local.clock().timestamp() - 300
    inject(local, ERRORS, {"end": end, "value": 5})
    saved = local.monitoring.sink.save()
    inject(local, ERRORS, {"end": end, "value": 7}, {"ago": 240, "value": 6})
    inject(local, LATENCIES, {"ago": 240, "values": [10.0]})
    assert len(counts(local)) == 2
    local.monitoring.sink.load(saved)
    assert counts(local) == [5]
    assert read(local, LATENCIES) == []
