"""What cannot be understood is refused in one sentence: what was expected, at which key, what was found; never the payload."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import PermanentError
from shared.events.alert import Alert, parse_alert
from shared.events.message import PUBSUB_TYPE, Message, parse_message
from shared.events.model import parse_model_uploaded
from shared.events.rollout import parse_rollout_changed, parse_rollout_due
from shared.events.schedule import parse_tick
from shared.events.training import parse_training_completed
from tests.unit.events.recorded import message, names_of, recorded

SECRET = "s3cret-" * 40


def _alert(of: Message) -> Alert:
    return parse_alert(of.data)


PARSERS: dict[str, Callable[[Message], Any]] = {
    "training": parse_training_completed,
    "model": parse_model_uploaded,
    "alert": _alert,
    "schedule": parse_tick,
    "rollout-due": parse_rollout_due,
    "rollout-changed": parse_rollout_changed,
}
TRAINING = {"schema": "training-completed/v1", "run_id": "r1", "model": "m"}
INCIDENT = {"incident_id": "0.a", "state": "open"}
AUDIT = {"methodName": "google.cloud.aiplatform.v1.ModelService.UploadModel"}
PIPELINE_LOG = "projects/p/logs/aiplatform.googleapis.com%2Fpipeline_job_events"

REFUSED: list[tuple[str, Any, str]] = [
    ("training", b"\xff\xfe", "training-completed: expected JSON in UTF-8; byte 0 is not UTF-8"),
    ("training", b"{'a': 1}", "training-completed: expected JSON in UTF-8; it stops being JSON at character 1"),
    (
        "training",
        b'{"a": NaN}',
        "training-completed: expected JSON in UTF-8; it holds a number that JSON does not have",
    ),
    ("training", b"[" * 200_000, "training-completed: expected JSON in UTF-8; it is nested too deeply"),
    ("training", [1, 2], "training-completed: expected a JSON object; found a list of 2"),
    (
        "training",
        {"colour": SECRET},
        'training-completed: expected a PipelineJob log entry (logName, jsonPayload) or "schema": "training-completed/v1";'
        " found an object with the keys colour",
    ),
    (
        "training",
        {**TRAINING, "schema": "training-completed/v9"},
        "training-completed/v1: schema: expected training-completed/v1; found 'training-completed/v9'",
    ),
    (
        "training",
        {**TRAINING, "artefact": SECRET},
        "training-completed/v1: artefact: is not a known key; known are kind, run_id, project, region, resource, display_name,"
        " model, artifact_uri, labels, metrics, dataset, code_revision, pipeline_job, finished_at",
    ),
    (
        "training",
        {**TRAINING, "metrics": {"auc": "good"}},
        "training-completed/v1: metrics.auc: expected a valid number; found 'good'",
    ),
    (
        "training",
        {**TRAINING, "finished_at": "yesterday"},
        "training-completed/v1: finished_at: expected a time such as 2026-01-31T12:00:00Z; found 'yesterday'",
    ),
    (
        "training",
        {"schema": "training-completed/v1", "model": "m"},
        "training-completed/v1: run_id: is missing; it tells a repeated message from a new run",
    ),
    (
        "training",
        {"schema": "training-completed/v1", "run_id": "r"},
        "training-completed/v1: model: is missing; a plain message has to name the model it belongs to",
    ),
    (
        "training",
        {**TRAINING, "kind": "custom_job"},
        "training-completed/v1: resource: is missing; a custom_job is read by its full resource name",
    ),
    (
        "training",
        {"logName": PIPELINE_LOG, "jsonPayload": {"state": "PIPELINE_STATE_SUCCEEDED"}},
        "PipelineJob log entry: jsonPayload.pipelineName: expected the job's name; found none",
    ),
    (
        "training",
        {"logName": PIPELINE_LOG, "jsonPayload": {"pipelineName": "j"}},
        "PipelineJob log entry: jsonPayload.state: expected one of PIPELINE_STATE_*, such as PIPELINE_STATE_SUCCEEDED; found none",
    ),
    (
        "model",
        {},
        'model-uploaded: expected an audit log entry (protoPayload) or "schema": "model-uploaded/v1"; found an empty object',
    ),
    (
        "model",
        {"protoPayload": AUDIT, "resource": {"labels": {"project_id": "p"}}},
        "audit log entry: no region and no model in response.model, resourceName, operation.id or request; expected"
        " projects/P/locations/R/models/M in one of them",
    ),
    (
        "model",
        {"protoPayload": {"serviceName": "x"}},
        "audit log entry: protoPayload.methodName: expected one ending in .ModelService.UploadModel; found none",
    ),
    (
        "model",
        {"schema": "model-uploaded/v1", "project": "p", "region": "r", "model": "models/m@2"},
        "model-uploaded/v1: model: String should match pattern '^[^/@]{1,63}$'; found 'models/m@2'",
    ),
    (
        "alert",
        {"incident": {**INCIDENT, "state": "acknowledged"}},
        "Monitoring incident: incident.state: expected open or closed; found 'acknowledged'",
    ),
    (
        "alert",
        {"incident": {"state": "open"}},
        "Monitoring incident: incident.incident_id: is missing; it tells a repeated delivery",
    ),
    (
        "alert",
        {"incident": [SECRET]},
        'alert: expected Cloud Monitoring\'s "incident" or "schema": "alert/v1"; found an object with the keys incident',
    ),
    ("schedule", {"schema": "tick/v1"}, "tick/v1: job: is missing"),
    (
        "schedule",
        {"schema": "tick/v1", "job": {"a": SECRET}},
        "tick/v1: job: expected a valid string; found an object of 1 keys",
    ),
    ("schedule", {"schema": "tick/v1", "job": SECRET * 20}, "tick/v1: job: String should have at most 2000 characters"),
    (
        "rollout-due",
        {"schema": "rollout-changed/v1"},
        "rollout-due/v1: schema: expected rollout-due/v1; found 'rollout-changed/v1'",
    ),
    ("rollout-changed", {"schema": "rollout-changed/v1"}, "rollout-changed/v1: entry: is missing"),
]


@pytest.mark.parametrize(("kind", "payload", "sentence"), REFUSED, ids=[sentence[:60] for _, _, sentence in REFUSED])
def test_what_cannot_be_understood_is_refused_in_one_sentence(kind: str, payload: Any, sentence: str) -> None:
    with pytest.raises(PermanentError) as refused:
        PARSERS[kind](message(payload))
    said = str(refused.value)
    assert said.startswith(sentence)
    assert SECRET not in said
    assert len(said) < 400
    assert "\n" not in said


@pytest.mark.parametrize(
    ("attributes", "data", "sentence"),
    [
        ({"type": "google.cloud.storage.object.v1.finalized"}, {}, "CloudEvent: type: expected " + PUBSUB_TYPE),
        ({"type": PUBSUB_TYPE}, None, "Pub/Sub message: the message: expected a valid dictionary"),
        ({"type": PUBSUB_TYPE}, {"message": 3}, "Pub/Sub message: message: expected a valid dictionary"),
        (
            {"type": PUBSUB_TYPE},
            {"message": {"publishTime": "2026-01-31T12:00:00Z"}},
            "Pub/Sub message: message.messageId is missing, and the CloudEvent has no id either",
        ),
        (
            {"type": PUBSUB_TYPE, "id": "1"},
            {"message": {"publishTime": "soon"}},
            "Pub/Sub message: message.publishTime: expected a time such as 2026-01-31T12:00:00Z",
        ),
        (
            {"type": PUBSUB_TYPE, "id": "1", "time": "2026-01-31T12:00:00Z"},
            {"message": {"data": "not base64!"}},
            "Pub/Sub message: message.data: expected base64; found 'not base64!'",
        ),
    ],
)
def test_a_cloud_event_that_is_no_pubsub_message_is_refused(attributes: dict, data: Any, sentence: str) -> None:
    with pytest.raises(PermanentError) as refused:
        parse_message(attributes, data)
    assert str(refused.value).startswith(sentence)


# Any text, lone surrogates included: JSON can spell them ("\ud800") and UTF-8 cannot.
TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=12)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just("2026-01-31T12:00:00Z")
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


@st.composite
def _damaged(draw: st.DrawFn) -> Any:
    """A recorded event in which some values, at any depth, are replaced by any JSON whatever."""
    kind = draw(st.sampled_from(sorted(PARSERS)))
    return _damage(draw, recorded(kind, draw(st.sampled_from(names_of(kind)))).payload)


def _damage(draw: st.DrawFn, value: Any) -> Any:
    if draw(st.integers(0, 9)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        return {key: _damage(draw, item) for key, item in value.items() if draw(st.integers(0, 15))}
    return value


@given(JSON | _damaged())
@example({"incident": {"incident_id": 10**400, "state": "open", "started_at": 1e300}})
@example({"incident": {"incident_id": "\ud800", "state": "open", "started_at": "0001-01-01T00:00:00+14:00"}})
@example({"schema": "training-completed/v1", "\ud800": 1})
@example({"schema": "training-completed/v1", "run_id": "r", "model": "m", "metrics": {"auc": 1e999}})
def test_any_json_whatever_is_read_or_refused_and_never_crashes(payload: Any) -> None:
    data = json.dumps(payload).encode()
    for parse in PARSERS.values():
        try:
            parse(message(data))
        except PermanentError as refused:
            str(refused).encode()


@given(st.dictionaries(st.sampled_from(["type", "source", "id", "time"]), JSON), JSON, st.booleans())
def test_any_cloud_event_whatever_is_read_or_refused(attributes: dict, data: Any, is_pubsub: bool) -> None:
    if is_pubsub:
        attributes = {**attributes, "type": PUBSUB_TYPE}
        data = {"message": {"data": data, "attributes": data, "publishTime": data, "messageId": data}}
    try:
        parse_message(attributes, data)
    except PermanentError as refused:
        str(refused).encode()


@given(st.binary())
def test_any_bytes_survive_the_way_through_pubsub(data: bytes) -> None:
    wrapped = {
        "message": {"data": base64.b64encode(data).decode(), "messageId": "1", "publishTime": "2026-01-31T12:00:00Z"}
    }
    assert parse_message({"type": PUBSUB_TYPE}, wrapped).data == data
