"""A spent budget stops new rollouts once, until its interval ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shared.costs.overspent import FREEZE_AT, plan_stop
from shared.events.budget import BudgetNotified
from shared.policy.schema import RolloutSpec
from shared.rollout.stops import ALL_MODELS, BudgetStop, Stopped
from shared.rollout.windows import why_barred

SINCE = datetime(2026, 11, 1, 7, tzinfo=UTC)
"""Midnight in California, where it is summer until two o'clock of that day."""
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


def said(share: str | None = "1.0", **changes: object) -> BudgetNotified:
    exceeded = None if share is None else Decimal(share)
    one = BudgetNotified("acct", "b-1", "models", Decimal("612.40"), Decimal(600), "USD", SINCE, exceeded)
    return replace(one, **changes)  # type: ignore[arg-type]


def frozen(now: datetime = NOW) -> BudgetStop:
    planned = plan_stop(said(), None, FREEZE_AT, now)
    assert planned.kind == "freeze"
    return planned.stop


def test_all_of_a_budget_stops_new_rollouts_until_the_month_ends_where_it_is_billed() -> None:
    stop = frozen()
    assert stop.until == datetime(2026, 12, 1, 8, tzinfo=UTC), "midnight in California, in winter"
    assert stop.reason == "the budget models has passed 100 % (612.40 of 600.00 USD since 2026-11-01)"
    assert stop.is_on(NOW)
    assert not stop.is_on(stop.until)


@pytest.mark.parametrize("share", [None, "0.5", "0.9", "0.99"])
def test_less_than_the_threshold_stops_nothing(share: str | None) -> None:
    assert plan_stop(said(share), None, FREEZE_AT, NOW).kind == "nothing"


def test_thresholds_are_fractions() -> None:
    assert plan_stop(said("0.9"), None, Decimal("0.9"), NOW).kind == "freeze"
    assert "passed 90 %" in str(plan_stop(said("0.9"), None, Decimal("0.9"), NOW).stop)


@pytest.mark.parametrize("share", ["1.0", "0.9", None])
def test_repeats_change_nothing_not_even_after_a_person_has_lifted_it(share: str | None) -> None:
    stop = frozen()
    lifted = replace(stop, lifted_by="ann@example.com")
    later = NOW + timedelta(hours=5)
    assert plan_stop(said(share), stop, FREEZE_AT, later).stop == stop
    assert plan_stop(said(share), stop, FREEZE_AT, later).kind == "nothing"
    assert plan_stop(said(share), lifted, FREEZE_AT, later).stop == lifted


def test_the_next_threshold_stops_again_what_a_person_had_let_go() -> None:
    lifted = replace(frozen(), lifted_by="ann@example.com")
    planned = plan_stop(said("1.2"), lifted, FREEZE_AT, NOW)
    assert planned.kind == "freeze"
    assert planned.stop.is_on(NOW)


def test_the_next_interval_ends_it_and_one_that_is_over_says_nothing_any_more() -> None:
    stop, next_month = frozen(), datetime(2026, 12, 1, 8, tzinfo=UTC)
    ended = plan_stop(said(None, since=next_month), stop, FREEZE_AT, next_month)
    assert ended.kind == "end"
    assert not ended.stop.is_on(next_month)
    assert plan_stop(said("1.0"), ended.stop, FREEZE_AT, next_month).stop == ended.stop
    again = plan_stop(said("1.0", since=next_month), ended.stop, FREEZE_AT, next_month + timedelta(days=20))
    assert again.kind == "freeze"
    late = plan_stop(said("1.0"), again.stop, FREEZE_AT, next_month + timedelta(days=21))
    assert (late.kind, late.stop) == ("nothing", again.stop)


def test_an_interval_longer_than_a_month_goes_on_stopping() -> None:
    stop = frozen()
    after = stop.until + timedelta(hours=3)
    planned = plan_stop(said(), stop, FREEZE_AT, after)
    assert planned.kind == "freeze"
    assert planned.stop.until == datetime(2027, 1, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        ("2026-03-01T08:00:00", "2026-04-01T07:00:00"),
        ("2026-01-31T08:00:00", "2026-02-28T08:00:00"),
    ],
)
def test_a_month_is_one_by_the_clock_that_the_interval_began_by(since: str, until: str) -> None:
    begun, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (since, until))
    stop = plan_stop(said(since=begun), None, FREEZE_AT, begun + timedelta(days=1)).stop
    assert stop.until == end


def test_it_bars_what_has_no_machine_and_nothing_else() -> None:
    stop = Stopped(
        ALL_MODELS, "Cloud Billing", "the budget models is spent", NOW, NOW + timedelta(days=10), only_new=True
    )
    assert why_barred(RolloutSpec(), [stop], NOW, has_begun=True) == ""
    assert why_barred(RolloutSpec(), [stop], NOW, has_begun=False) == (
        "no new rollout begins until 2026-11-30 15:00 UTC: the budget models is spent; `rollouts unfreeze --budget` lets it"
    )
