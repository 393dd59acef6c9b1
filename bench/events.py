"""One event per function that makes it do its work, and what it answers."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.trial import PROJECT, REGION, Begun, TrialCloud
from shared import topics
from shared.identity import ASSERTION


@dataclass(frozen=True)
class Event:
    """An HTTP request as Pub/Sub, Monitoring or a person sends it."""

    path: str
    body: bytes
    about: str
    headers: Mapping[str, str] = field(default_factory=dict)
    answers: tuple[int, ...] = (200,)
    method: str = "POST"


def push(topic: str, data: bytes, about: str = "", **attributes: str) -> Event:
    """What a push subscription posts."""
    message = {
        "data": base64.b64encode(data).decode(),
        "attributes": attributes,
        "messageId": uuid.uuid4().hex[:16],
        "publishTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    body = json.dumps({"subscription": f"projects/{PROJECT}/subscriptions/s", "message": message}).encode()
    return Event(f"/projects/{PROJECT}/topics/{topic}", body, about)


def tick(job: str) -> Event:
    """What the scheduler sends."""
    return push(topics.SCHEDULE, _json(schema="tick/v1", job=job), "a tick", job=job)


def event_for(function: str, cloud: TrialCloud, begun: Begun) -> Event:
    """The event of one of the project's functions, about a trial that has just begun."""
    model = cloud.policy.model
    match function:
        case "roll_back":
            return push(topics.ALERT_FIRED, begun.alert, "an alert: one rollback")
        case "advance_rollout":
            data = _json(schema="rollout-due/v1", rollout=begun.rollout)
            return push(topics.ROLLOUT_DUE, data, "a hint: one trial looked at")
        case "start_rollout":
            data = _json(schema="model-uploaded/v1", project=PROJECT, region=REGION, model=model, version="2")
            return push(topics.MODEL_UPLOADED, data, "a version that was uploaded")
        case "register_model":
            data = _json(schema="training-completed/v1", run_id=uuid.uuid4().hex, model=model, artifact_uri="gs://m/2")
            event = push(topics.TRAINING_COMPLETED, data, "a run: one upload begun")
            return Event(event.path, event.body, event.about, answers=(200, 500))  # 500: the upload is under way
        case "notify":
            data = _json(schema="rollout-changed/v1", rollout=begun.rollout, entry=begun.entry)
            return push(topics.ROLLOUT_CHANGED, data, "a ledger entry")
        case "mirror_request":
            data = json.dumps(
                {
                    "schema": "prediction-logged/v1",
                    "region": REGION,
                    "endpoint": "serving",
                    "request_id": uuid.uuid4().hex,
                    "at": datetime.now(UTC).isoformat(),
                    "deployed_model": "1",
                    "instances": [{"x": 1}],
                    "predictions": [{"y": 1}],
                }
            ).encode()
            return push(topics.PREDICTION_LOGGED, data, "a prediction, with nothing in its shadow")
        case "record_quality":
            report = {"schema": "quality-reported/v1", "region": REGION, "endpoint": "serving", "deployed_model": "1"}
            metrics = {"metrics": {"relevance": {"values": [0.5]}}, "report_id": uuid.uuid4().hex}
            return push(topics.QUALITY_REPORTED, json.dumps(report | metrics).encode(), "a report of quality")
        case "freeze_rollouts":
            spent = {"budgetDisplayName": "models", "costAmount": 610.5, "budgetAmount": 600, "currencyCode": "USD"}
            since = {"costIntervalStart": f"{datetime.now(UTC):%Y-%m}-01T08:00:00Z", "alertThresholdExceeded": 1.0}
            data = json.dumps(spent | since).encode()
            whose = {"billingAccountId": "000000-000000-000000", "budgetId": "b", "schemaVersion": "1.0"}
            return push(topics.BUDGET_NOTIFIED, data, "a budget that is spent", **whose)
        case "receive_alert":
            return Event(f"/?auth_token={cloud.token}", begun.incident, "an incident", answers=(202,))
        case "receive_command":
            headers = {"Authorization": f"Bearer {cloud.id_token()}"}
            return Event(
                "/", _json(id=uuid.uuid4().hex, command="pause", rollout=begun.rollout), "a person pauses", headers
            )
        case "status_page":
            headers = {ASSERTION: cloud.page.assertion()}
            return Event(f"/rollouts/{begun.rollout}", b"", "a person looks at a rollout", headers, method="GET")
        case _:
            return tick(function)


def _json(**values: str) -> bytes:
    return json.dumps(values).encode()
