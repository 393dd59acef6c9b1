"""What the calendar month will come to: what it has cost so far, and the rest at the present rate, with the range of the days seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isnan

from shared.costs.fleet import Fleet, Steps
from shared.costs.holdings import HOUR, Holding
from shared.costs.money import MONTH, total
from shared.costs.money import hours as exact_hours

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Forecast:
    """US dollars of one calendar month, in UTC, as far as prices are known."""

    month: str
    spent: Decimal
    """From the month's beginning, or the window's where that is later, to the audit."""
    unseen_hours: Decimal
    """Hours of the month before the window began; they are counted at the mean rate."""
    expected: Decimal
    low: Decimal
    """If every hour that is left costs as much as in the cheapest whole day that was seen."""
    high: Decimal
    days: tuple[tuple[date, Decimal], ...] = ()
    """What each whole day of the window cost, by its beginning, the first first."""


def forecast_of(fleet: Fleet, held: Sequence[Holding]) -> Forecast:
    """The month in which the audit is made. The rest is taken to cost as much an hour as what is deployed now does."""
    at = fleet.at.astimezone(UTC)
    begin = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (begin + timedelta(days=32)).replace(day=1)
    spending = _per_step(fleet, held)
    spent = _sum(fleet, spending, max(begin, fleet.start), at)
    mean = total(one.usd_month for one in held) / MONTH
    unseen = exact_hours([max(0.0, (fleet.start - begin) / HOUR)])
    left = exact_hours([(end - at) / HOUR])
    by_day = _days(fleet, spending)
    days = [amount / 24 for _, amount in by_day] or [mean]
    before = spent + unseen * mean
    return Forecast(
        f"{begin:%Y-%m}",
        spent,
        unseen,
        before + left * mean,
        before + left * min(*days, mean),
        before + left * max(*days, mean),
        tuple(by_day),
    )


def _per_step(fleet: Fleet, held: Sequence[Holding]) -> list[float]:
    """Dollars of each step. A forecast is no bill: floating point is fine enough for it."""
    spending = [0.0] * fleet.steps
    step_hours = fleet.step / HOUR
    by_price: dict[Decimal, list[Steps]] = {}
    for one in held:
        if one.price and one.deployed.measured.replicas is not None:
            by_price.setdefault(one.price.usd_hour, []).append(one.deployed.measured.replicas)
    for price, series in by_price.items():
        factor = float(price) * step_hours
        for index, column in enumerate(zip(*series, strict=True)):
            amount = sum(column)
            spending[index] += factor * (
                sum(value for value in column if not isnan(value)) if isnan(amount) else amount
            )
    return spending


def _sum(fleet: Fleet, spending: list[float], begin: datetime, end: datetime) -> Decimal:
    first, last = int((begin - fleet.start) / fleet.step), int((end - fleet.start) / fleet.step)
    return exact_hours(spending[first:last])


def _days(fleet: Fleet, spending: list[float]) -> list[tuple[date, Decimal]]:
    """Whole days, counted back from the audit."""
    whole = int((fleet.at - fleet.start) / DAY)
    begins = [fleet.at - back * DAY for back in range(whole, 0, -1)]
    return [(begin.astimezone(UTC).date(), _sum(fleet, spending, begin, begin + DAY)) for begin in begins]
