"""A budget of Cloud Billing that is spent: no new rollout begins, what has begun goes on, and every rollback happens."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from local.identity import Issuer
from local.pubsub.message import Message, push_body
from local.stepped import PROJECT
from shared import topics
from shared.rollout.record import Phase
from tests.functional.functions.harness import AUDIENCE, Cloud
from tests.functional.functions.policies import MODEL, judged


def notified(cloud: Cloud, exceeded: float | None = 1.0, **changes: Any) -> int:
    """What Cloud Billing publishes: several times a day, in whatever order."""
    since = changes.pop("since", f"{cloud.now:%Y-%m}-01T08:00:00Z")
    data = {
        "budgetDisplayName": "models",
        "costAmount": 612.4,
        "costIntervalStart": since,
        "budgetAmount": 600.0,
        "budgetAmountType": "SPECIFIED_AMOUNT",
        "currencyCode": "USD",
        **({"alertThresholdExceeded": exceeded} if exceeded is not None else {}),
        **changes,
    }
    return cloud.wake(
        "freeze_rollouts", data, billingAccountId="000000-000000-000000", budgetId="b-1", schemaVersion="1.0"
    )


def cloud_message(cloud: Cloud, data: Any, attributes: dict[str, str]) -> bytes:
    message = Message("m1", cloud.now, json.dumps(data).encode(), attributes)
    return push_body(message, f"projects/{PROJECT}/subscriptions/x", None)


def frozen(cloud: Cloud) -> list[str]:
    return [e.sentence for e in cloud.world.store.ledger(model=MODEL) if e.decision == "freeze"]


def test_nothing_new_begins_what_has_begun_goes_on_and_is_rolled_back(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    assert cloud.split() == {"1": 90, "2": 10}
    assert notified(cloud) == 200
    cloud.minutes(12)
    assert cloud.split() == {"1": 50, "2": 50}, "its second machine is there already; waiting would cost more"
    cloud.minutes(8, errors={"2": 0.5})
    assert cloud.split() == {"1": 100}
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    cloud.deploy("run-3")
    assert cloud.rollout("3").phase is Phase.QUEUED
    assert cloud.emulator.counts["DeployModel"] == 2


def test_it_is_told_once_however_often_it_comes(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged())
    for exceeded in (0.5, 0.9, 1.0, 1.0, 1.0, 0.9):
        assert notified(cloud, exceeded) == 200
        cloud.advance(minutes=180)
    (sentence,) = frozen(cloud)
    assert sentence.startswith("No new rollout begins until ")
    assert ": the budget models has passed 100 % (612.40 of 600.00 USD since " in sentence
    assert len(cloud.published(topics.ROLLOUT_CHANGED)) == 2, "the people of the model, and those of the fleet"
    (stop,) = cloud.world.store.stops()
    assert stop.only_new


def test_a_person_lets_it_go_until_the_next_threshold(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    notified(cloud)
    cloud.deploy("run-2")
    assert cloud.rollout("2").phase is Phase.QUEUED
    stranger = signed.mint("bob@example.com", AUDIENCE)
    assert cloud.command({"command": "unfreeze", "budget": True}, stranger)[0] == 403
    assert cloud.command({"command": "freeze", "budget": True})[0] == 400
    status, answer = cloud.command({"command": "unfreeze", "budget": True, "reason": "agreed with finance"})
    assert (status, answer["model"]) == (200, "")
    assert answer["sentence"].startswith(
        "ann@example.com lets new rollouts begin although the budget models has passed 100 %"
    )
    assert answer["sentence"].endswith(": agreed with finance")
    assert cloud.command({"command": "unfreeze", "budget": True})[0] == 409
    notified(cloud)
    for _ in range(3):
        cloud.tick("assess_rollouts")
        cloud.settle()
        cloud.advance(minutes=11)
    assert cloud.split() == {"1": 90, "2": 10}
    notified(cloud, 1.2)
    assert len(cloud.world.store.stops()) == 1


def test_the_next_interval_ends_it(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged())
    notified(cloud, since="2026-10-01T07:00:00Z")
    later = f"{cloud.now:%Y-%m}-01T08:00:00Z"
    notified(cloud, None, since=later, costAmount=3.5)
    assert cloud.world.store.stops() == []
    notified(cloud, since="2026-10-01T07:00:00Z")
    assert cloud.world.store.stops() == [], "a late one of the interval before says nothing any more"


def test_what_cloud_billing_did_not_write_is_kept_for_a_person(cloud: Cloud) -> None:
    whole = {
        "costAmount": 1,
        "budgetAmount": 2,
        "costIntervalStart": "2026-11-01T07:00:00Z",
        "alertThresholdExceeded": 1.0,
    }
    whose = {"billingAccountId": "a", "budgetId": "b", "schemaVersion": "1.0"}
    strange: list[tuple[Any, dict[str, str]]] = [
        ({}, whose),
        (whole, {}),
        (whole | {"budgetAmount": 0}, whose),
        (whole | {"alertThresholdExceeded": "all"}, whose),
        (whole, whose | {"schemaVersion": "2.0"}),
    ]
    for data, attributes in strange:
        message = cloud_message(cloud, data, attributes)
        assert cloud.post("freeze_rollouts", message, f"projects/{PROJECT}/topics/budget-notified") == 200
        assert len(cloud.published(topics.DEAD_LETTERS)) == 1, data
    assert cloud.world.store.stops() == []


def test_a_share_that_is_none_is_refused(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGET_FREEZES_AT", "100%")
    assert notified(cloud) == 200
    assert len(cloud.published(topics.DEAD_LETTERS)) == 1


def test_what_is_known_of_one_budget_leaves_another_as_it_was(cloud: Cloud) -> None:
    budgets = cloud.world.store.budgets
    notified(cloud)
    first = budgets.all()["b-1"]
    budgets.put(replace(first, budget="b-2"))
    assert budgets.all() == {"b-1": first, "b-2": replace(first, budget="b-2")}
