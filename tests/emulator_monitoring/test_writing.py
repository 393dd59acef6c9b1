"""CreateTimeSeries and metric descriptors through the real client."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.api.metric_pb2 import MetricDescriptor
from google.api_core import exceptions

from tests.emulator_monitoring.conftest import PROJECT, Local

QUALITY = "custom.googleapis.com/vertex_rollouts/tokens_per_image"


def series(local: Local, value: Any = 180.0, age: float = 0, **changes: Any) -> dict[str, Any]:
    field = {bool: "bool_value", int: "int64_value", float: "double_value", str: "string_value"}[type(value)]
    return {
        "metric": {"type": QUALITY, "labels": {"deployed_model_id": "1111111111"}},
        "resource": {"type": "global"},
        "points": [{"interval": {"end_time": local.clock() - timedelta(seconds=age)}, "value": {field: value}}],
        **changes,
    }


def write(local: Local, *written: dict[str, Any]) -> None:
    local.metrics.create_time_series(name=PROJECT, time_series=list(written))


def read(local: Local, metric: str = QUALITY, **more: Any) -> list[Any]:
    request = {"name": PROJECT, "filter": f'metric.type = "{metric}"', "interval": local.interval(26 * 3600), **more}
    return list(local.metrics.list_time_series(request))


def test_a_written_point_is_read_back_seconds_later(local: Local) -> None:
    write(local, series(local))
    assert read(local) == []
    local.clock.forward(5)
    (found,) = read(local)
    assert found.points[0].value.double_value == 180.0
    assert found.metric_kind == MetricDescriptor.MetricKind.GAUGE
    assert found.resource.labels["project_id"] == "local-project"


def test_the_first_write_creates_the_descriptor_and_later_ones_add_labels(local: Local) -> None:
    write(local, series(local))
    local.clock.forward(60)
    write(local, series(local, metric={"type": QUALITY, "labels": {"arm": "a"}}))
    descriptor = local.metrics.get_metric_descriptor(name=f"{PROJECT}/metricDescriptors/{QUALITY}")
    assert descriptor.metric_kind == MetricDescriptor.MetricKind.GAUGE
    assert descriptor.value_type == MetricDescriptor.ValueType.DOUBLE
    assert [label.key for label in descriptor.labels] == ["deployed_model_id", "arm"]
    custom = local.metrics.list_metric_descriptors(
        {"name": PROJECT, "filter": 'metric.type = starts_with("custom.googleapis.com/")'}
    )
    assert [d.type for d in custom] == [QUALITY]


def test_points_of_a_series_closer_than_five_seconds_are_refused_in_googles_words(local: Local) -> None:
    write(local, series(local))
    local.clock.forward(4)
    with pytest.raises(exceptions.InvalidArgument) as refused:
        write(local, series(local))
    assert refused.value.message == (
        "One or more TimeSeries could not be written: One or more points were written more frequently than the maximum "
        "sampling period configured for the metric.: timeSeries[0]"
    )
    local.clock.forward(1)
    write(local, series(local))


def test_a_point_older_than_the_last_is_refused_and_the_others_are_written(local: Local) -> None:
    write(local, series(local))
    other = {"type": QUALITY, "labels": {"deployed_model_id": "2222222222"}}
    with pytest.raises(exceptions.InvalidArgument, match=r"Points must be written in order.*timeSeries\[0\]"):
        write(local, series(local, age=60), series(local, metric=other))
    local.clock.forward(60)
    assert {s.metric.labels["deployed_model_id"] for s in read(local)} == {"1111111111", "2222222222"}


def test_one_request_holds_each_series_once(local: Local) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="Duplicate TimeSeries encountered"):
        write(local, series(local), series(local))


def test_two_hundred_series_are_the_limit(local: Local) -> None:
    many = [series(local, metric={"type": QUALITY, "labels": {"n": str(n)}}) for n in range(201)]
    with pytest.raises(exceptions.InvalidArgument, match="At most 200"):
        write(local, *many)
    write(local, *many[:200])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"age": 25 * 3600 + 1}, "25h in the past"),
        ({"age": -301}, "5m in the future"),
        ({"points": []}, "Exactly one point"),
        ({"metric": {"type": "aiplatform.googleapis.com/prediction/online/error_count"}}, "user-defined"),
        ({"resource": {"type": "aiplatform.googleapis.com/Endpoint"}}, "resource type cannot be written"),
        ({"resource": {"type": "generic_task", "labels": {"location": "x"}}}, "incomplete, missing"),
        ({"resource": {"type": "global", "labels": {"zone": "x"}}}, "unrecognized label zone"),
        ({"metric_kind": "DELTA"}, "GAUGE or CUMULATIVE"),
        ({"metric": {"type": QUALITY, "labels": {f"l{n}": "x" for n in range(31)}}}, "At most 30 labels"),
    ],
)
def test_what_cloud_monitoring_refuses_is_refused(local: Local, change: dict[str, Any], why: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=why):
        write(local, series(local, **change))


def test_points_25_hours_old_and_five_minutes_ahead_are_taken(local: Local) -> None:
    write(local, series(local, age=25 * 3600), series(local, age=-300, metric={"type": QUALITY}))
    local.clock.forward(10)
    assert len(read(local)) == 1


def test_a_metric_keeps_its_kind_and_value_type(local: Local) -> None:
    write(local, series(local))
    local.clock.forward(60)
    with pytest.raises(exceptions.InvalidArgument, match="must be DOUBLE, but is INT64"):
        write(local, series(local, 180))
    since = local.clock() - timedelta(hours=1)
    points = [{"interval": {"start_time": since, "end_time": local.clock()}, "value": {"double_value": 1.0}}]
    with pytest.raises(exceptions.InvalidArgument, match="must be GAUGE, but is CUMULATIVE"):
        write(local, series(local, metric_kind="CUMULATIVE", points=points))


def test_a_cumulative_counter_is_read_as_its_steps_across_a_reset(local: Local) -> None:
    start = local.clock()
    for total, since in ((10, start), (25, start), (4, start + timedelta(seconds=130))):
        local.clock.forward(60)
        points = [{"interval": {"start_time": since, "end_time": local.clock()}, "value": {"int64_value": total}}]
        write(local, series(local, metric_kind="CUMULATIVE", points=points))
    end = local.clock()
    local.clock.forward(60)
    (found,) = read(
        local,
        interval={"start_time": start, "end_time": end},
        aggregation={"alignment_period": {"seconds": 60}, "per_series_aligner": "ALIGN_DELTA"},
    )
    assert [point.value.int64_value for point in found.points] == [4, 15, 10]
    with pytest.raises(exceptions.InvalidArgument, match="kind CUMULATIVE and value type INT64"):
        read(local, aggregation={"alignment_period": {"seconds": 60}, "per_series_aligner": "ALIGN_SUM"})


@pytest.mark.parametrize(
    "options",
    [
        {"linear_buckets": {"num_finite_buckets": 10, "width": 10.0, "offset": 0.0}},
        {"exponential_buckets": {"num_finite_buckets": 8, "growth_factor": 2.0, "scale": 1.0}},
        {"explicit_buckets": {"bounds": [0.0, 40.0, 60.0, 100.0]}},
    ],
)
def test_a_written_distribution_keeps_its_bucket_layout(local: Local, options: dict[str, Any]) -> None:
    finite = next(iter(options.values()))
    size = finite.get("num_finite_buckets", len(finite.get("bounds", ())) - 1)
    value = {"distribution_value": {"count": 4, "mean": 50.0, "bucket_options": options, "bucket_counts": [0, 0, 4]}}
    write(local, series(local, points=[{"interval": {"end_time": local.clock()}, "value": value}]))
    local.clock.forward(10)
    (found,) = read(local)
    kept = found.points[0].value.distribution_value
    assert list(kept.bucket_counts) == [0, 0, 4]
    field = next(iter(options))
    layout = getattr(kept.bucket_options, field)
    assert getattr(layout, "num_finite_buckets", len(getattr(layout, "bounds", ())) - 1) == size


def test_a_user_metric_is_created_described_and_deleted_with_its_points(local: Local) -> None:
    descriptor = {
        "type": QUALITY,
        "metric_kind": "GAUGE",
        "value_type": "DOUBLE",
        "unit": "{token}",
        "display_name": "T",
    }
    created = local.metrics.create_metric_descriptor(name=PROJECT, metric_descriptor=descriptor)
    assert created.name == f"{PROJECT}/metricDescriptors/{QUALITY}"
    write(local, series(local))
    local.clock.forward(10)
    assert read(local)[0].unit == "{token}"
    local.metrics.delete_metric_descriptor(name=created.name)
    with pytest.raises(exceptions.NotFound):
        read(local)


def test_built_in_metrics_are_described_and_cannot_be_changed(local: Local) -> None:
    built_in = "aiplatform.googleapis.com/prediction/online/prediction_latencies"
    descriptor = local.metrics.get_metric_descriptor(name=f"{PROJECT}/metricDescriptors/{built_in}")
    assert descriptor.unit == "ms"
    assert "latency_type" in {label.key for label in descriptor.labels}
    with pytest.raises(exceptions.InvalidArgument, match="user-defined"):
        local.metrics.delete_metric_descriptor(name=descriptor.name)
    with pytest.raises(exceptions.InvalidArgument, match="user-defined"):
        local.metrics.create_metric_descriptor(name=PROJECT, metric_descriptor=descriptor)
