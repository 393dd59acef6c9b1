"""What is paid for: replica-hours and dollars, per endpoint, model, version, role and stage of a rollout.

Replica-hours are what was measured, never the maximum times the time. What was not measured is counted apart, and not as 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from shared.costs.fleet import Deployed, Endpoint, Fleet, Span, summed
from shared.costs.money import MONTH, hours
from shared.costs.prices import Price, PriceBook

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Cost:
    """Replica-hours of a time, and what they come to."""

    replica_hours: Decimal
    measured_hours: Decimal
    """The hours in which replicas were measured."""
    lived_hours: Decimal
    """The hours in which it was deployed; more than those measured where series have gaps."""
    usd: Decimal | None
    """None: without a price, or nothing was measured."""
    predictions: float | None
    """None: not measured."""

    @property
    def usd_month(self) -> Decimal | None:
        """At this rate, a month of 720 hours."""
        return None if self.usd is None else self.usd * MONTH / self.measured_hours

    @property
    def usd_per_thousand(self) -> Decimal | None:
        """What 1,000 predictions cost; None where none were answered, or nobody counted."""
        if self.usd is None or not self.predictions:
            return None
        return self.usd * 1000 / Decimal(repr(self.predictions))

    @property
    def unmeasured_hours(self) -> Decimal:
        return self.lived_hours - self.measured_hours


@dataclass(frozen=True)
class Line:
    """One deployed model in one role and stage."""

    role: str
    stage: str
    begin: datetime
    end: datetime
    cost: Cost


@dataclass(frozen=True)
class Holding:
    """One deployed model: all that was paid for it in the window."""

    endpoint: Endpoint
    deployed: Deployed
    price: Price | None
    cost: Cost
    lines: tuple[Line, ...]

    @property
    def key(self) -> str:
        """Tells deployed models apart in the whole fleet."""
        return f"{self.endpoint}/{self.deployed.id}"

    @property
    def usd_month(self) -> Decimal | None:
        """What it costs a month from now on; 0 for one that is gone."""
        return Decimal(0) if self.deployed.until else self.cost.usd_month


def holdings(fleet: Fleet, book: PriceBook) -> list[Holding]:
    """Everything that was deployed at some time of the window."""
    return [
        _holding(fleet, endpoint, deployed, book)
        for endpoint in fleet.endpoints
        for deployed in endpoint.deployed
        if _lives(fleet, deployed)
    ]


def _lives(fleet: Fleet, deployed: Deployed) -> bool:
    begin, end = fleet.life(deployed)
    return begin < end


def _holding(fleet: Fleet, endpoint: Endpoint, deployed: Deployed, book: PriceBook) -> Holding:
    price = book.price(deployed.hardware)
    lines = tuple(
        Line(span.role, span.stage, begin, end, _cost(fleet, deployed, price, begin, end))
        for span, begin, end in _spans(fleet, deployed)
    )
    begin, end = fleet.life(deployed)
    whole = lines[0].cost if len(lines) == 1 else _cost(fleet, deployed, price, begin, end)
    return Holding(endpoint, deployed, price, whole, lines)


def _spans(fleet: Fleet, deployed: Deployed) -> Iterator[tuple[Span, datetime, datetime]]:
    """The roles that it had, each with its part of the window."""
    begin, end = fleet.life(deployed)
    spans = sorted(deployed.spans, key=lambda span: span.start)
    if not spans or spans[0].start > begin:
        # Before the first that is known it had a role too; the best guess is the first one, or the present.
        first = spans[0] if spans else Span(begin, deployed.role, deployed.stage)
        spans.insert(0, Span(begin, first.role, first.stage))
    for span, following in zip(spans, [*spans[1:], None], strict=True):
        since, until = max(span.start, begin), min(following.start if following else end, end)
        if since < until:
            yield span, since, until


def _cost(fleet: Fleet, deployed: Deployed, price: Price | None, begin: datetime, end: datetime) -> Cost:
    replicas = summed(fleet, deployed.measured.replicas, begin, end)
    answered = summed(fleet, deployed.measured.predictions, begin, end)
    replica_hours = hours([replicas.value_hours])
    # Predictions are counted per step, not per hour.
    predictions = round(answered.value_hours / (fleet.step / HOUR), 3) if answered.hours else None
    return Cost(
        replica_hours,
        hours([replicas.hours]),
        hours([(end - begin) / HOUR]),
        replica_hours * price.usd_hour if price and replicas.hours else None,
        predictions,
    )
