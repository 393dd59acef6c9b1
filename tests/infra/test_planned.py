"""What Terraform plans: each function with what it needs and no more, and alerts that Monitoring takes and that name who is to blame."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.cloud.monitoring_v3.services.alert_policy_service.client import AlertPolicyServiceClient
from google.cloud.monitoring_v3.services.alert_policy_service.transports.grpc import AlertPolicyServiceGrpcTransport
from google.cloud.monitoring_v3.services.metric_service.client import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports.grpc import MetricServiceGrpcTransport
from google.cloud.monitoring_v3.services.notification_channel_service.client import NotificationChannelServiceClient
from google.cloud.monitoring_v3.services.notification_channel_service.transports.grpc import (
    NotificationChannelServiceGrpcTransport,
)
from google.cloud.monitoring_v3.types import AlertPolicy, NotificationChannel

from infra.table import HTTPS, Row, load_table
from shared.events.alert import Alert, parse_alert
from tests.infra.planned import Plan, as_message, needs_terraform, plan
from vertex_emulator.metrics import Resource
from vertex_emulator.monitoring.server import Monitoring

pytestmark = needs_terraform

TABLE = load_table()
PROJECT = "example-project"
ONLINE = "aiplatform.googleapis.com/prediction/online"
ENDPOINT = Resource(
    "aiplatform.googleapis.com/Endpoint",
    {"resource_container": "123456789012", "location": "us-central1", "endpoint_id": "arr-coc-serving"},
)
GOOD, BAD = "1000000001", "1000000002"


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan()


def within(name: str) -> str:
    return f'module.function["{name}"]'


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_a_function_gets_the_role_of_its_row_and_an_account_of_its_own(planned: Plan, row: Row) -> None:
    roles = planned.of("google_project_iam_custom_role", within(row.name))
    assert [sorted(role["permissions"]) for role in roles.values()] == (
        [sorted(row.permissions)] if row.permissions else []
    )
    accounts = planned.of("google_service_account", within(row.name))
    assert {account["account_id"] for account in accounts.values()} <= {
        f"vr-{row.service}",
        f"vr-{row.service}"[:25] + "-push",
    }
    published = planned.of("google_pubsub_topic_iam_member", within(row.name))
    assert {address.partition('publishes["')[2].rstrip('"]') for address in published} == set(row.publishes)
    for binding in planned.of("google_project_iam_member", within(row.name)).values():
        assert not str(binding.get("role") or "").startswith("roles/"), "no role of Google's on a whole project"


@pytest.mark.parametrize("row", [row for row in TABLE.values() if row.wakes_on != HTTPS], ids=lambda row: row.name)
def test_a_function_is_woken_with_an_identity_for_long_enough_and_loses_nothing(planned: Plan, row: Row) -> None:
    subscription = planned.one("google_pubsub_subscription", within(row.name))
    assert subscription["ack_deadline_seconds"] > row.timeout
    assert subscription["dead_letter_policy"][0]["max_delivery_attempts"] == row.attempts
    assert subscription["retry_policy"][0]["maximum_backoff"] == row.backoff
    assert subscription["push_config"][0]["oidc_token"][0]["service_account_email"]
    assert subscription["expiration_policy"][0]["ttl"] == ""
    alerts = planned.of("google_monitoring_alert_policy", within(row.name))
    metrics = " ".join(one["conditions"][0]["condition_threshold"][0]["filter"] for one in alerts.values())
    assert "dead_letter_message_count" in metrics
    assert "oldest_unacked_message_age" in metrics


def test_every_subscription_has_dead_letters_and_none_of_them_ends_by_itself(planned: Plan) -> None:
    subscriptions = planned.of("google_pubsub_subscription")
    without = [name for name, one in subscriptions.items() if not one.get("dead_letter_policy")]
    assert without == ["google_pubsub_subscription.dead_letters"]
    assert len(subscriptions) == len([row for row in TABLE.values() if row.wakes_on != HTTPS]) + 1
    assert {one["expiration_policy"][0]["ttl"] for one in subscriptions.values()} == {""}
    assert subscriptions[without[0]]["message_retention_duration"] == "2678400s"
    # Without the right to take a message off, Pub/Sub would deliver it for ever.
    subscribers = planned.of("google_pubsub_subscription_iam_member")
    assert (
        len([one for one in subscribers.values() if one["role"] == "roles/pubsub.subscriber"]) == len(subscriptions) - 1
    )


def test_the_open_doors_are_told_whom_to_believe(planned: Plan) -> None:
    (service,) = planned.of("google_cloudfunctions2_function", within("receive_command")).values()
    environment = service["service_config"][0]["environment_variables"]
    assert environment["COMMAND_AUDIENCE"].startswith("vertex-rollouts-")
    assert environment["COMMAND_OPERATORS"] == "", "nobody, until somebody is named"
    for name, row in TABLE.items():
        if row.wakes_on != HTTPS:
            (pushed,) = planned.of("google_cloudfunctions2_function", within(name)).values()
            assert pushed["service_config"][0]["ingress_settings"] == "ALLOW_INTERNAL_ONLY"


def test_nobody_may_call_a_function_without_an_identity_but_those_that_ask_for_one_themselves(planned: Plan) -> None:
    members = planned.of("google_cloud_run_v2_service_iam_member")
    open_to_all = {address for address, one in members.items() if one.get("member") == "allUsers"}
    assert {address.split('"')[1] for address in open_to_all} == {
        n for n, row in TABLE.items() if row.callers == "anyone"
    }


class Watched:
    """A local Monitoring with the alert policies of the plan, and what it has told the topic."""

    def __init__(self, planned: Plan) -> None:
        self.now = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
        self.told: list[bytes] = []
        self.monitoring = Monitoring(
            publish=lambda _, data: self.told.append(data), delay=0, clock=lambda: self.now, project_id=PROJECT
        )
        self._channel = grpc.insecure_channel(self.monitoring.serve())
        channels = NotificationChannelServiceClient(
            transport=NotificationChannelServiceGrpcTransport(channel=self._channel)
        )
        made = channels.create_notification_channel(
            name=f"projects/{PROJECT}",
            notification_channel=NotificationChannel(
                type_="pubsub", labels={"topic": f"projects/{PROJECT}/topics/alert-fired"}
            ),
        )
        self.descriptors = self._make_descriptors(planned)
        self.policies: dict[str, str] = {}
        client = AlertPolicyServiceClient(transport=AlertPolicyServiceGrpcTransport(channel=self._channel))
        for after in planned.of("google_monitoring_alert_policy", "module.model_alerts").values():
            is_quality = after["display_name"].endswith(("tokens_per_image", "compression"))
            text = json.dumps(as_message(with_metric(after) if is_quality else after))
            policy: Any = AlertPolicy.from_json(text, ignore_unknown_fields=False)
            policy.notification_channels = [made.name]
            created = client.create_alert_policy(name=f"projects/{PROJECT}", alert_policy=policy)
            self.policies[created.display_name] = created.name

    def _make_descriptors(self, planned: Plan) -> list[str]:
        client = MetricServiceClient(transport=MetricServiceGrpcTransport(channel=self._channel))
        made = []
        for after in planned.of("google_monitoring_metric_descriptor").values():
            request = {
                "name": f"projects/{PROJECT}",
                "metric_descriptor": {
                    key: after[key] for key in ("type", "metric_kind", "value_type", "description", "display_name")
                }
                | {"labels": [{"key": one["key"], "value_type": one["value_type"]} for one in after["labels"]]},
            }
            made.append(client.create_metric_descriptor(request=request).type)
        return made

    def minute(self, failing: float, latency: float) -> None:
        """One minute of traffic to two deployed models, of which the second is as bad as said."""
        for model, share, slow in ((GOOD, 0.0, 20.0), (BAD, failing, latency)):
            labels = {"deployed_model_id": model, "spot": "false"}
            failed = round(100 * share)
            for code, count in (("2xx", 100 - failed), ("5xx", failed)):
                if count:
                    self.monitoring.sink.add(
                        f"{ONLINE}/response_count", {**labels, "response_code": code}, ENDPOINT, count
                    )
            for _ in range(50):
                self.monitoring.sink.observe(
                    f"{ONLINE}/prediction_latencies", {**labels, "latency_type": "total"}, ENDPOINT, slow
                )
        self.now += timedelta(minutes=1)
        self.monitoring.evaluate()

    def alerts(self) -> list[Alert]:
        return [parse_alert(data) for data in self.told]

    def close(self) -> None:
        self._channel.close()
        self.monitoring.stop()


def with_metric(after: dict[str, Any]) -> dict[str, Any]:
    """A filter whose metric type Terraform knows only after an apply: the plan leaves it open, the name says it."""
    name = after["display_name"].rpartition(" ")[2]
    text = (
        f'metric.type = "custom.googleapis.com/vertex_rollouts/{name}" AND metric.labels.endpoint_id = "arr-coc-serving" '
        'AND resource.type = "generic_task"'
    )
    whole: dict[str, Any] = json.loads(json.dumps(after))
    for condition in whole["conditions"]:
        condition["condition_threshold"][0].setdefault("filter", text)
    return whole


@pytest.fixture
def watched(planned: Plan) -> Iterator[Watched]:
    made = Watched(planned)
    yield made
    made.close()


def test_monitoring_takes_every_alert_policy_before_anything_was_measured(watched: Watched) -> None:
    assert set(watched.descriptors) >= {
        "custom.googleapis.com/vertex_rollouts/tokens_per_image",
        "custom.googleapis.com/vertex_rollouts/compression",
    }
    assert set(watched.policies) == {
        *(f"arr-coc-relevance on arr-coc-serving: {what}" for what in ("tokens_per_image", "compression")),
        *(
            f"{model}: {what}"
            for model in ("arr-coc-relevance on arr-coc-serving", "churn-tabular on churn-serving")
            for what in ("errors", "latency", "no traffic", "saturation")
        ),
    }


def test_a_healthy_model_raises_nothing(watched: Watched) -> None:
    for _ in range(10):
        watched.minute(failing=0.0, latency=20.0)
    assert watched.told == []


def test_errors_raise_an_incident_that_names_the_deployed_model(watched: Watched) -> None:
    for _ in range(6):
        watched.minute(failing=0.2, latency=20.0)
    (alert,) = watched.alerts()
    assert (alert.state, alert.deployed_model) == ("open", BAD)
    assert (alert.region, alert.endpoint) == ("us-central1", "arr-coc-serving")
    assert alert.sentence.startswith(
        "more than 1 % of the answers of a deployed model are 5xx: observed 0.2, limit 0.01"
    )


def test_slowness_raises_an_incident_that_names_the_deployed_model(watched: Watched) -> None:
    for _ in range(6):
        watched.minute(failing=0.0, latency=400.0)
    (alert,) = watched.alerts()
    assert (alert.deployed_model, alert.endpoint) == (BAD, "arr-coc-serving")
    assert alert.sentence.startswith("latency: P95 above 100 ms")
