"""When a budget of Cloud Billing stops new rollouts, and when it lets them go again.

The stop is of rollouts that have no machine yet: one that has begun holds a double fleet until it ends, so holding it would cost more.
A notification says how much was spent since an interval began, and not when that ends. It is taken for a month by Google's clock; where
the same interval is still spoken of after that, it is longer, and the stop goes on for another month.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from shared.events.budget import BudgetNotified
from shared.rollout.stops import BudgetStop

FREEZE_AT = Decimal(1)
"""The share of a budget at which new rollouts are stopped unless the deployment says another."""
BILLING_ZONE = "America/Los_Angeles"
"""Intervals of Cloud Billing begin at its midnight."""


@dataclass(frozen=True)
class Planned:
    """What a notification changes."""

    kind: Literal["nothing", "freeze", "end"]
    stop: BudgetStop
    """What is known of the budget from now on."""


def plan_stop(said: BudgetNotified, known: BudgetStop | None, freeze_at: Decimal, now: datetime) -> Planned:
    """The same notification again changes nothing, nor does one of an interval that is over."""
    if known is not None and said.since < known.since:
        return Planned("nothing", known)
    is_same = known is not None and said.since == known.since
    if said.exceeded is None or said.exceeded < freeze_at:
        # A spend that falls in the same interval (a credit, a higher budget) is for a person to judge.
        if known is not None and is_same:
            return Planned("nothing", known)
        begun = BudgetStop(said.budget, said.since, Decimal(0), "", now, said.since)
        return Planned("end" if known is not None and known.exceeded else "nothing", begun)
    stop = BudgetStop(said.budget, said.since, said.exceeded, _reason(said), now, _end(said.since, now))
    if known is None or not is_same or said.exceeded > known.exceeded:
        return Planned("freeze", stop)
    if known.lifted_by or now < known.until:
        return Planned("nothing", known)
    return Planned("freeze", replace(stop, exceeded=known.exceeded))


def _reason(said: BudgetNotified) -> str:
    share = said.exceeded if said.exceeded is not None else said.spent / said.amount
    currency = f" {said.currency}" if said.currency else ""
    return (
        f"the budget {said.name} has passed {_percent(share)} ({said.spent:,.2f} of {said.amount:,.2f}{currency}"
        f" since {said.since:%Y-%m-%d})"
    )


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f} %"


def _end(since: datetime, now: datetime) -> datetime:
    """The first end of a month, counted from the interval's beginning, that is not over yet."""
    utc = since.astimezone(UTC)
    zone = UTC if utc.time() == time(0) else ZoneInfo(BILLING_ZONE)
    begun, months = since.astimezone(zone), 1
    while (end := _months_later(begun, months)) <= now:
        months += 1
    return end.astimezone(UTC)


def _months_later(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.month - 1 + months, 12)
    year = moment.year + years
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
