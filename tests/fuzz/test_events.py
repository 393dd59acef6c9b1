"""Damaged events: read, ignored or refused in one sentence; never anything else, never for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from shared.errors import PermanentError
from shared.events.alert import alert_message, parse_alert
from shared.events.message import Message, parse_message
from shared.events.model import parse_model_uploaded
from shared.events.rollout import parse_rollout_changed, parse_rollout_due
from shared.events.schedule import parse_tick
from shared.events.training import parse_training_completed
from tests.fuzz.corpus import damaged, fuzzed, kept, no_hang
from tests.unit.events.recorded import ROOT, message

PARSERS: dict[str, Callable[[Message], Any]] = {
    "training": parse_training_completed,
    "model": parse_model_uploaded,
    "alert": lambda of: parse_alert(of.data),
    "schedule": parse_tick,
    "rollout-due": parse_rollout_due,
    "rollout-changed": parse_rollout_changed,
}
SEEDS = [data for _, data in kept("events")] + [path.read_bytes() for path in sorted(ROOT.rglob("*.json"))]


def survives(data: bytes) -> None:
    with no_hang(data):
        for parse in PARSERS.values():
            try:
                parse(message(data))
            except PermanentError as refused:
                said = str(refused)
                said.encode()
                assert len(said) < 1000
                assert "\n" not in said


@pytest.mark.parametrize(("name", "data"), kept("events"), ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_kept_is_survived(name: str, data: bytes) -> None:
    survives(data)


@fuzzed
@given(damaged(SEEDS))
def test_what_is_damaged_is_survived(data: bytes) -> None:
    survives(data)


@fuzzed
@given(damaged(SEEDS))
def test_an_alert_that_is_read_can_be_published_and_read_again(data: bytes) -> None:
    try:
        alert = parse_alert(data)
    except PermanentError:
        return
    assert parse_alert(alert_message(alert)) == alert
    assert alert.sentence.isprintable() or "\u200d" in alert.sentence or "\u200c" in alert.sentence
    assert len(alert.sentence) <= 500


@fuzzed
@given(damaged(SEEDS), damaged(SEEDS))
def test_a_push_that_is_damaged_is_survived(type_: bytes, data: bytes) -> None:
    text = data.decode("latin-1")
    for body in (None, text, {"message": text}, {"message": {"data": text, "messageId": text, "publishTime": text}}):
        with no_hang(data):
            try:
                parse_message({"type": type_.decode("latin-1"), "id": text}, body)
            except PermanentError as refused:
                assert "\n" not in str(refused)
