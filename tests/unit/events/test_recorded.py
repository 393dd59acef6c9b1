"""Every recorded variation of every event is read as what stands beside it, and our own are read back as they were written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.events.alert import Alert, alert_message, parse_alert
from shared.events.message import Ignored, Message, parse_message
from shared.events.model import ModelUploaded, model_uploaded_message, parse_model_uploaded
from shared.events.prediction import parse_prediction_logged, prediction_logged_message
from shared.events.quality import parse_quality_reported, quality_reported_message
from shared.events.rollout import (
    parse_rollout_changed,
    parse_rollout_due,
    rollout_changed_message,
    rollout_due_message,
)
from shared.events.schedule import parse_tick, tick_message
from shared.events.training import TrainingRun, parse_training_completed, training_completed_message
from tests.unit.events.recorded import as_recorded, message, names_of, recorded


def _alert(of: Message) -> Alert:
    return parse_alert(of.data)


KINDS: dict[str, tuple[Callable[[Message], Any], Callable[[Any], bytes]]] = {
    "training": (parse_training_completed, training_completed_message),
    "model": (parse_model_uploaded, model_uploaded_message),
    "alert": (_alert, alert_message),
    "prediction": (parse_prediction_logged, prediction_logged_message),
    "quality": (parse_quality_reported, quality_reported_message),
    "schedule": (parse_tick, tick_message),
    "rollout-due": (parse_rollout_due, rollout_due_message),
    "rollout-changed": (parse_rollout_changed, rollout_changed_message),
}
ALL = [(kind, name) for kind in KINDS for name in names_of(kind)]


@pytest.mark.parametrize(("kind", "name"), ALL, ids=[f"{kind}/{name}" for kind, name in ALL])
def test_a_recorded_event_is_read_as_what_stands_beside_it(kind: str, name: str) -> None:
    event = recorded(kind, name)
    value = KINDS[kind][0](message(event.payload))
    assert as_recorded(value) == event.expect


@pytest.mark.parametrize(("kind", "name"), ALL, ids=[f"{kind}/{name}" for kind, name in ALL])
def test_whatever_was_read_can_be_published_in_our_own_form_and_read_again(kind: str, name: str) -> None:
    parse, write = KINDS[kind]
    value = parse(message(recorded(kind, name).payload))
    if not isinstance(value, Ignored):
        assert parse(message(write(value))) == value


@pytest.mark.parametrize("name", names_of("message"))
def test_a_message_is_the_same_whichever_way_it_was_delivered(name: str) -> None:
    event = recorded("message", name)
    assert as_recorded(parse_message(event.payload["attributes"], event.payload["data"])) == event.expect


def test_a_run_without_any_optional_key_is_published_and_read_back() -> None:
    run = TrainingRun(
        kind="message",
        run_id="r",
        project=None,
        region=None,
        resource=None,
        display_name=None,
        model="m",
        artifact_uri=None,
        labels={},
        metrics=None,
        dataset=None,
        code_revision=None,
        pipeline_job=None,
        finished_at=None,
    )
    assert parse_training_completed(message(training_completed_message(run))) == run


def test_an_upload_of_ours_without_a_version_is_left_open() -> None:
    event = ModelUploaded(project="p", region="us-central1", model="m", version=None, by=None, at=None)
    assert b"version" not in model_uploaded_message(event)
