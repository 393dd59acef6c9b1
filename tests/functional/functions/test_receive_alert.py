"""The webhook of Cloud Monitoring."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from shared import topics
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import policy

RECORDED = Path(__file__).parents[2] / "data" / "events" / "alert"
TOKEN = "the-secret-of-the-alerts"


@pytest.fixture
def webhook(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setenv("ALERT_TOKEN", TOKEN)
    return cloud


def incident(name: str = "open") -> dict[str, Any]:
    """A notification as Monitoring has sent it."""
    return dict(json.loads((RECORDED / f"{name}.json").read_text())["payload"])


def send(cloud: Cloud, body: Any, token: str | None = TOKEN, **options: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    query = {"auth_token": token} if token is not None else {}
    return cloud.apps.client("receive_alert").post("/", data=data, query_string=query, **options)


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"monitoring:{password}".encode()).decode()}


def test_an_alert_with_the_token_is_published_in_our_form(webhook: Cloud) -> None:
    assert send(webhook, incident()).status_code == 202
    (message,) = webhook.published(topics.ALERT_FIRED)
    alert = json.loads(message.data)
    assert alert["schema"] == "alert/v1"
    assert (alert["endpoint"], alert["deployed_model"], alert["state"]) == ("arr-coc-serving", "2464520679", "open")
    assert alert["sentence"] == "P95 latency: observed 240, limit 100"


def test_an_alert_with_the_password_is_published(webhook: Cloud) -> None:
    assert send(webhook, incident(), token=None, headers=basic(TOKEN)).status_code == 202
    assert len(webhook.published(topics.ALERT_FIRED)) == 1


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x"])
def test_nobody_is_believed_without_the_secret(webhook: Cloud, token: str | None) -> None:
    answer = send(webhook, incident(), token=token)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert webhook.published(topics.ALERT_FIRED) == []


@pytest.mark.parametrize(
    "headers", [basic("wrong"), {"Authorization": "Basic %%%"}, {"Authorization": f"Bearer {TOKEN}"}], ids=str
)
def test_a_wrong_password_is_not_believed(webhook: Cloud, headers: dict[str, str]) -> None:
    assert send(webhook, incident(), token=None, headers=headers).status_code == 401


def test_nobody_is_believed_while_no_secret_is_set(cloud: Cloud) -> None:
    assert send(cloud, incident(), token="").status_code == 401


def test_what_is_no_alert_is_refused_and_kept(webhook: Cloud) -> None:
    answer = send(webhook, {"hello": "world"})
    assert answer.status_code == 400
    (kept,) = webhook.dead_letters()
    assert kept.data == b'{"hello": "world"}'
    assert kept.attributes["function"] == "receive_alert"
    assert kept.attributes["reason"] in answer.get_data(as_text=True)


def test_an_empty_alert_is_refused_and_kept(webhook: Cloud) -> None:
    assert send(webhook, b"").status_code == 400
    assert [kept.data for kept in webhook.dead_letters()] == [b"{}"]


def test_an_alert_that_is_too_large_is_refused(webhook: Cloud) -> None:
    assert send(webhook, b" " * (256 * 1024 + 1)).status_code == 413


def test_alerts_are_posted(webhook: Cloud) -> None:
    answer = webhook.apps.client("receive_alert").get("/", query_string={"auth_token": TOKEN})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_monitoring_is_asked_to_send_it_again_while_pubsub_is_down(webhook: Cloud) -> None:
    webhook.pubsub.stop()
    assert send(webhook, incident()).status_code == 503


@pytest.mark.parametrize("name", ["closed", "test-notification"])
def test_the_end_of_an_incident_and_the_test_button_are_recorded_only(webhook: Cloud, name: str) -> None:
    webhook.apply(policy())
    webhook.deploy("run-1")
    webhook.deploy("run-2")
    webhook.advance(minutes=5)
    assert send(webhook, incident(name)).status_code == 202
    assert webhook.deliver(topics.ALERT_FIRED) == [200]
    assert webhook.split() == {"1": 90, "2": 10}
    assert [e.decision for e in webhook.world.store.ledger() if e.id.startswith("alert-")] == ["note"]


def test_an_incident_of_monitoring_rolls_back(webhook: Cloud) -> None:
    webhook.apply(policy())
    webhook.deploy("run-1")
    webhook.deploy("run-2")
    webhook.advance(minutes=5)
    notification = incident()
    found = notification["incident"]
    found["resource"]["labels"]["endpoint_id"] = "churn-serving"
    found["resource"]["labels"]["resource_container"] = "projects/123456789012"
    found["metric"]["labels"]["deployed_model_id"] = webhook.rollout("2").deployed_id
    found["started_at"] = webhook.now.timestamp()
    assert send(webhook, notification).status_code == 202
    webhook.settle()
    assert webhook.split() == {"1": 100}
    assert "P95 latency: observed 240, limit 100" in webhook.rollout("2").sentence


def test_an_alert_without_a_length_is_read_no_further_than_the_limit(webhook: Cloud) -> None:
    class Long(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            self.taken += len(found)
            return found

    body = Long(b" " * 1024 * 1024)
    answer = webhook.apps.client("receive_alert").post(
        "/",
        query_string={"auth_token": TOKEN},
        input_stream=body,
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 413
    assert body.taken == 256 * 1024 + 1, "neither by the function nor, once it is answered, by its server"
