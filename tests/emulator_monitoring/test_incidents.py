"""From served latencies to an open incident and back, through the real clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.emulator_monitoring.conftest import ENDPOINT, ONLINE, PROJECT, Local
from tests.emulator_monitoring.webhooks import Receiver, receiver
from vertex_emulator.monitoring.incidents import CANCELLED

LATENCY_FILTER = (
    f'metric.type = "{ONLINE}prediction_latencies" AND resource.type = "aiplatform.googleapis.com/Endpoint" '
    'AND resource.labels.endpoint_id = "4001" AND metric.labels.latency_type = "total"'
)
P95_PER_MODEL = {
    "alignment_period": {"seconds": 60},
    "per_series_aligner": "ALIGN_PERCENTILE_95",
    "cross_series_reducer": "REDUCE_MAX",
    "group_by_fields": ["resource.label.endpoint_id", "metric.label.deployed_model_id"],
}


def p95_policy(channels: list[str], **threshold: Any) -> dict[str, Any]:
    return {
        "display_name": "relevance latency",
        "combiner": "OR",
        "severity": "ERROR",
        "user_labels": {"rollout-policy": "relevance"},
        "notification_channels": channels,
        "conditions": [
            {
                "display_name": "p95 above 100 ms",
                "condition_threshold": {
                    "filter": LATENCY_FILTER,
                    "aggregations": [P95_PER_MODEL],
                    "comparison": "COMPARISON_GT",
                    "threshold_value": 100,
                    "duration": {"seconds": 120},
                    **threshold,
                },
            }
        ],
    }


def error_ratio_policy(channels: list[str], **threshold: Any) -> dict[str, Any]:
    base = f'resource.type="aiplatform.googleapis.com/Endpoint" metric.type="{ONLINE}response_count"'
    sums = {
        "alignment_period": {"seconds": 60},
        "per_series_aligner": "ALIGN_SUM",
        "cross_series_reducer": "REDUCE_SUM",
        "group_by_fields": ["metric.label.deployed_model_id"],
    }
    return {
        "display_name": "errors",
        "notification_channels": channels,
        "conditions": [
            {
                "display_name": "more than 5 % errors",
                "condition_threshold": {
                    "filter": base + ' metric.labels.response_code = starts_with("5")',
                    "aggregations": [sums],
                    "denominator_filter": base,
                    "denominator_aggregations": [sums],
                    "comparison": "COMPARISON_GT",
                    "threshold_value": 0.05,
                    "duration": {"seconds": 60},
                    **threshold,
                },
            }
        ],
    }


def serve(local: Local, latency: float, model: str = "1111111111", requests: int = 40) -> None:
    for _ in range(requests):
        local.monitoring.sink.observe(
            f"{ONLINE}prediction_latencies",
            {"deployed_model_id": model, "latency_type": "total"},
            ENDPOINT,
            latency,
        )


def respond(local: Local, ok: int, failed: int, model: str = "1111111111") -> None:
    for code, count in (("2xx", ok), ("5xx", failed)):
        if count:
            labels = {"deployed_model_id": model, "response_code": code}
            local.monitoring.sink.add(f"{ONLINE}response_count", labels, ENDPOINT, count)


def pubsub_channel(local: Local) -> str:
    channel = {"type_": "pubsub", "labels": {"topic": "projects/local-project/topics/alert-fired"}}
    return str(local.channels.create_notification_channel(name=PROJECT, notification_channel=channel).name)


def received(local: Local) -> list[dict[str, Any]]:
    return [json.loads(data)["incident"] for _, data in local.published]


def run_minutes(local: Local, latencies: dict[str, float], minutes: int) -> None:
    for _ in range(minutes):
        for model, latency in latencies.items():
            serve(local, latency, model)
        local.minutes()


def test_a_slow_candidate_opens_one_incident_on_every_channel_and_recovery_closes_the_same_one(local: Local) -> None:
    with receiver(Receiver()) as hook:
        webhook = local.channels.create_notification_channel(
            name=PROJECT,
            notification_channel={
                "type_": "webhook_tokenauth",
                "labels": {"url": f"{hook.url}/alert?auth_token=opensesame"},
            },
        )
        local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([pubsub_channel(local), webhook.name]))
        run_minutes(local, {"1111111111": 40.0, "2222222222": 45.0}, 5)
        assert local.published == []
        run_minutes(local, {"1111111111": 40.0, "2222222222": 300.0}, 6)
        assert len(local.published) == len(hook.requests) == 1

        topic, data = local.published[0]
        message = json.loads(data)
        incident = message["incident"]
        assert topic == "projects/local-project/topics/alert-fired"
        assert message["version"] == "1.2"
        assert incident["state"] == "open"
        assert incident["ended_at"] is None
        assert incident["metric"]["labels"] == {"deployed_model_id": "2222222222"}
        assert incident["resource"]["labels"] == {"endpoint_id": "4001"}
        assert incident["policy_user_labels"] == {"rollout-policy": "relevance"}
        assert incident["severity"] == "Error"
        assert incident["threshold_value"] == "100"
        assert float(incident["observed_value"]) == pytest.approx(300, rel=0.1)
        assert incident["condition"]["conditionThreshold"]["duration"] == "120s"
        assert incident["condition"]["conditionThreshold"]["thresholdValue"] == 100
        assert "is above the threshold of 100.000 with a value of" in incident["summary"]
        path, _, body = hook.requests[0]
        assert path == "/alert?auth_token=opensesame"
        assert json.loads(body)["incident"]["incident_id"] == incident["incident_id"]

        run_minutes(local, {"1111111111": 40.0, "2222222222": 50.0}, 3)
        assert len(local.published) == len(hook.requests) == 2
        closed = received(local)[1]
        assert closed["incident_id"] == incident["incident_id"]
        assert closed["state"] == "closed"
        assert closed["started_at"] == incident["started_at"] < closed["ended_at"]
        assert closed["documentation"]["subject"].startswith("[RESOLVED - Error]")
        assert "returned to normal with a value of" in closed["summary"]


def test_a_violation_shorter_than_the_duration_opens_nothing(local: Local) -> None:
    local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([pubsub_channel(local)]))
    run_minutes(local, {"1111111111": 300.0}, 2)
    run_minutes(local, {"1111111111": 40.0}, 6)
    assert local.monitoring.incidents() == []


def test_the_incident_opens_only_after_duration_and_visibility_delay(local: Local) -> None:
    """Violating from 10:01 on, for 120 s, visible 60 s later: 10:04 at the earliest."""
    local.clock.forward(1)
    local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([pubsub_channel(local)]))
    run_minutes(local, {"1111111111": 300.0}, 3)
    assert local.published == []
    run_minutes(local, {"1111111111": 300.0}, 1)
    assert len(local.published) == 1


def test_each_violating_model_gets_an_incident_of_its_own(local: Local) -> None:
    local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([pubsub_channel(local)]))
    run_minutes(local, {"1111111111": 300.0, "2222222222": 300.0, "3333333333": 20.0}, 6)
    found = received(local)
    assert {i["metric"]["labels"]["deployed_model_id"] for i in found} == {"1111111111", "2222222222"}
    assert len({i["incident_id"] for i in found}) == 2


def test_a_trigger_of_two_series_ignores_one(local: Local) -> None:
    local.policies.create_alert_policy(
        name=PROJECT, alert_policy=p95_policy([pubsub_channel(local)], trigger={"count": 2})
    )
    run_minutes(local, {"1111111111": 300.0, "2222222222": 20.0}, 6)
    assert local.published == []
    run_minutes(local, {"1111111111": 300.0, "2222222222": 300.0}, 6)
    assert len(local.published) == 2


def test_without_data_an_open_incident_stays_open_until_auto_close(local: Local) -> None:
    policy = p95_policy([pubsub_channel(local)])
    policy["alert_strategy"] = {"auto_close": {"seconds": 1800}}
    local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)
    run_minutes(local, {"1111111111": 300.0}, 6)
    local.minutes(25)
    assert [i["state"] for i in received(local)] == ["open"]
    local.minutes(10)
    assert [i["state"] for i in received(local)] == ["open", "closed"]


def test_missing_data_closes_an_incident_where_the_condition_says_inactive(local: Local) -> None:
    policy = p95_policy([pubsub_channel(local)], evaluation_missing_data="EVALUATION_MISSING_DATA_INACTIVE")
    local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)
    run_minutes(local, {"1111111111": 300.0}, 6)
    local.minutes(3)
    assert [i["state"] for i in received(local)] == ["open", "closed"]


def test_missing_data_is_a_violation_where_the_condition_says_active_until_auto_close(local: Local) -> None:
    policy = p95_policy([pubsub_channel(local)], evaluation_missing_data="EVALUATION_MISSING_DATA_ACTIVE")
    policy["alert_strategy"] = {"auto_close": {"seconds": 1800}}
    local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)
    run_minutes(local, {"1111111111": 40.0}, 4)
    local.minutes(10)
    assert [i["state"] for i in received(local)] == ["open"]
    local.minutes(60)
    assert [i["state"] for i in received(local)] == ["open", "closed"]


def test_a_trigger_in_percent_counts_all_series(local: Local) -> None:
    policy = p95_policy([pubsub_channel(local)], trigger={"percent": 50})
    local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)
    run_minutes(local, {"1": 300.0, "2": 20.0, "3": 20.0}, 6)
    assert local.published == []
    run_minutes(local, {"1": 300.0, "2": 300.0, "3": 20.0}, 6)
    assert {i["metric"]["labels"]["deployed_model_id"] for i in received(local)} == {"1", "2"}


def test_a_value_below_a_threshold_is_a_violation_too(local: Local) -> None:
    policy = p95_policy([pubsub_channel(local)], comparison="COMPARISON_LT", threshold_value=30)
    local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)
    run_minutes(local, {"1": 20.0, "2": 40.0}, 6)
    (incident,) = received(local)
    assert incident["metric"]["labels"] == {"deployed_model_id": "1"}
    assert "is below the threshold of 30.000" in incident["summary"]


def test_a_disabled_channel_gets_nothing(local: Local) -> None:
    channel = pubsub_channel(local)
    local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([channel]))
    local.channels.update_notification_channel(
        notification_channel={"name": channel, "enabled": False}, update_mask={"paths": ["enabled"]}
    )
    run_minutes(local, {"1111111111": 300.0}, 6)
    assert len(local.monitoring.incidents()) == 1
    assert local.published == []


def test_a_metric_deleted_behind_its_policy_stops_only_that_condition(local: Local) -> None:
    metric = "custom.googleapis.com/quality"
    point = {"interval": {"end_time": local.clock()}, "value": {"double_value": 1.0}}
    series = {"metric": {"type": metric}, "resource": {"type": "global"}, "points": [point]}
    local.metrics.create_time_series(name=PROJECT, time_series=[series])
    channel = pubsub_channel(local)
    quality = p95_policy([channel], filter=f'metric.type="{metric}" resource.type="global"', aggregations=[])
    local.policies.create_alert_policy(name=PROJECT, alert_policy=quality)
    local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([channel]))
    local.metrics.delete_metric_descriptor(name=f"{PROJECT}/metricDescriptors/{metric}")
    run_minutes(local, {"1111111111": 300.0}, 6)
    assert len(local.published) == 1


def test_an_error_ratio_opens_per_model_and_needs_both_sides(local: Local) -> None:
    local.policies.create_alert_policy(name=PROJECT, alert_policy=error_ratio_policy([pubsub_channel(local)]))
    for _ in range(5):
        respond(local, ok=90, failed=10)
        respond(local, ok=100, failed=0, model="2222222222")
        local.minutes()
    (incident,) = received(local)
    assert incident["metric"]["labels"] == {"deployed_model_id": "1111111111"}
    assert incident["observed_value"] == "0.100"
    for _ in range(4):
        respond(local, ok=99, failed=1)
        local.minutes()
    assert received(local)[1]["observed_value"] == "0.010"


def test_a_heartbeat_that_stops_is_absent_and_returns(local: Local) -> None:
    heartbeat = "custom.googleapis.com/heartbeat"
    series = {"metric": {"type": heartbeat}, "resource": {"type": "global"}}

    def beat() -> None:
        point = {"interval": {"end_time": local.clock()}, "value": {"int64_value": 1}}
        local.metrics.create_time_series(name=PROJECT, time_series=[{**series, "points": [point]}])

    beat()
    condition = {
        "display_name": "no tick for 3 minutes",
        "condition_absent": {
            "filter": f'metric.type="{heartbeat}" resource.type="global"',
            "duration": {"seconds": 180},
            "aggregations": [{"alignment_period": {"seconds": 60}, "per_series_aligner": "ALIGN_MEAN"}],
        },
    }
    policy = {"display_name": "tick", "notification_channels": [pubsub_channel(local)], "conditions": [condition]}
    local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)
    for _ in range(5):
        local.minutes()
        beat()
    assert local.published == []
    local.minutes(5)
    beat()
    local.minutes(2)
    opened, closed = received(local)
    assert (opened["state"], opened["observed_value"]) == ("open", "")
    assert "threshold_value" not in opened
    assert closed["incident_id"] == opened["incident_id"]


@pytest.mark.parametrize("combiner", ["AND", "AND_WITH_MATCHING_RESOURCE"])
def test_two_conditions_joined_by_and_open_only_together(local: Local, combiner: str) -> None:
    channel = pubsub_channel(local)
    latency = p95_policy([channel])["conditions"][0]
    errors = error_ratio_policy([channel])["conditions"][0]
    for side in ("aggregations", "denominator_aggregations"):
        errors["condition_threshold"][side][0]["group_by_fields"] = [
            "metric.label.deployed_model_id",
            "resource.label.endpoint_id",
        ]
    policy = {
        "display_name": "slow and failing",
        "combiner": combiner,
        "notification_channels": [channel],
        "conditions": [latency, errors],
    }
    local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)
    run_minutes(local, {"1111111111": 300.0}, 5)
    assert local.published == []
    for _ in range(5):
        respond(local, ok=50, failed=50)
        run_minutes(local, {"1111111111": 300.0}, 1)
    assert {i["condition_name"] for i in received(local)} == {"p95 above 100 ms", "more than 5 % errors"}


@pytest.mark.parametrize("change", ["deleted", "disabled", "condition changed"])
def test_an_incident_is_cancelled_when_its_condition_is_gone(local: Local, change: str) -> None:
    policy = local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([pubsub_channel(local)]))
    run_minutes(local, {"1111111111": 300.0}, 6)
    if change == "deleted":
        local.policies.delete_alert_policy(name=policy.name)
    elif change == "disabled":
        policy.enabled = False
        local.policies.update_alert_policy(alert_policy=policy, update_mask={"paths": ["enabled"]})
    else:
        policy.conditions[0].condition_threshold.threshold_value = 1000
        local.policies.update_alert_policy(alert_policy=policy, update_mask={"paths": ["conditions"]})
    local.minutes()
    opened, closed = received(local)
    assert closed["incident_id"] == opened["incident_id"]
    assert closed["state"] == "closed"
    assert closed["observed_value"] == CANCELLED


def test_notification_prompts_can_leave_out_the_closing_message(local: Local) -> None:
    policy = p95_policy([pubsub_channel(local)])
    policy["alert_strategy"] = {"notification_prompts": ["OPENED"]}
    local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)
    run_minutes(local, {"1111111111": 300.0}, 6)
    run_minutes(local, {"1111111111": 40.0}, 4)
    assert [i["state"] for i in received(local)] == ["open"]
    assert [i.state for i in local.monitoring.incidents()] == ["closed"]


def test_documentation_has_its_variables_filled_in(local: Local) -> None:
    policy = p95_policy([pubsub_channel(local)])
    policy["documentation"] = {
        "content": "Model ${metric.label.deployed_model_id} of ${policy.display_name}; ${no.such}",
        "mime_type": "text/markdown",
        "subject": "${condition.display_name} on endpoint ${resource.label.endpoint_id}",
        "links": [{"display_name": "Playbook", "url": "https://example.com/?id=${resource.label.endpoint_id}"}],
    }
    local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)
    run_minutes(local, {"1111111111": 300.0}, 6)
    documentation = received(local)[0]["documentation"]
    assert documentation == {
        "content": "Model 1111111111 of relevance latency; (none)",
        "mime_type": "text/markdown",
        "subject": "[ALERT - Error] p95 above 100 ms on endpoint 4001",
        "links": [{"displayName": "Playbook", "url": "https://example.com/?id=4001"}],
    }


def test_a_clock_that_jumps_is_caught_up_with_minute_by_minute(local: Local) -> None:
    """With a fast clock an evaluation can come minutes late; the violation that it finds had its duration all the same."""
    local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([pubsub_channel(local)]))
    local.monitoring.evaluate()
    for _ in range(10):
        local.clock.forward(60)
        serve(local, 300.0)
    local.clock.forward(120)
    local.monitoring.evaluate()
    assert [i["state"] for i in received(local)] == ["open"]


def test_the_test_notification_has_its_own_shape(local: Local) -> None:
    local.monitoring.send_test(pubsub_channel(local))
    message = json.loads(local.published[0][1])
    assert message["version"] == "test"
    assert message["incident"]["state"] == "OPEN"
    assert message["incident"]["incident_id"] == "12345"
    assert message["incident"]["documentation"] == "Test documentation"
