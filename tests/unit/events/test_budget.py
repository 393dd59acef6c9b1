"""Notifications of a budget as Google documents them, and what is none."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from shared.errors import PermanentError
from shared.events.budget import parse_budget_notified
from shared.events.message import Message
from shared.events.wire import write_moment
from tests.unit.events.recorded import ROOT, message, names_of

WHOSE = {"billingAccountId": "a", "budgetId": "b", "schemaVersion": "1.0"}
WHOLE = {"costAmount": 1, "budgetAmount": 2, "costIntervalStart": "2026-11-01T07:00:00Z"}


def with_attributes(payload: Any, attributes: dict[str, str]) -> Message:
    return replace(message(payload), attributes=attributes)


@pytest.mark.parametrize("name", names_of("budget"))
def test_a_notification_is_read_as_what_stands_beside_it(name: str) -> None:
    found = json.loads((ROOT / "budget" / f"{name}.json").read_text())
    said = parse_budget_notified(with_attributes(found["payload"], found["attributes"]))
    numbers = {k: str(v) for k, v in asdict(said).items() if k in ("spent", "amount", "exceeded") and v is not None}
    assert asdict(said) | numbers | {"since": write_moment(said.since)} == found["expect"]


@pytest.mark.parametrize(
    ("payload", "attributes", "error"),
    [
        (b"no json", WHOSE, "budget-notified: expected JSON in UTF-8"),
        (WHOLE, {}, "budget-notified: attributes: billingAccountId: is missing"),
        (WHOLE, WHOSE | {"schemaVersion": "2.0"}, "budget-notified: expected schemaVersion 1.0; found 2.0"),
        ({}, WHOSE, "budget-notified: costAmount: is missing"),
        (WHOLE | {"budgetAmount": 0}, WHOSE, "budget-notified: budgetAmount: "),
        (WHOLE | {"alertThresholdExceeded": "all"}, WHOSE, "budget-notified: alertThresholdExceeded: "),
        (WHOLE | {"costIntervalStart": "today"}, WHOSE, "budget-notified: costIntervalStart: expected a time"),
    ],
)
def test_what_is_none_is_refused_with_the_key(payload: Any, attributes: dict[str, str], error: str) -> None:
    with pytest.raises(PermanentError, match=error):
        parse_budget_notified(with_attributes(payload, attributes))
