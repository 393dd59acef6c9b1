"""The audit: what a fleet costs, what of it is waste, what the month will come to. A pure function of the fleet and the prices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.costs.advice import Advice
from shared.costs.findings.every import find_everything
from shared.costs.findings.finding import Finding, Unmeasured
from shared.costs.fleet import Fleet
from shared.costs.forecast import Forecast, forecast_of
from shared.costs.holdings import Cost, Holding, Line, holdings
from shared.costs.money import cents, total
from shared.costs.prices import PriceBook


@dataclass(frozen=True)
class Group:
    """What has one name in common: an endpoint, a model, a role."""

    name: str
    usd: Decimal
    """Of the window, as far as it is known."""
    usd_month: Decimal
    replica_hours: Decimal
    unknown: int
    """So many of its deployed models have no price, or no measured replicas."""


@dataclass(frozen=True)
class Audit:
    """The result."""

    fleet: Fleet
    book: PriceBook
    holdings: tuple[Holding, ...]
    findings: tuple[Finding, ...]
    unmeasured: tuple[Unmeasured, ...]
    advices: tuple[Advice, ...]
    forecast: Forecast

    @property
    def start(self) -> datetime:
        return self.fleet.start

    @property
    def at(self) -> datetime:
        return self.fleet.at

    @property
    def usd(self) -> Decimal:
        """What the window cost, as far as it is known."""
        return total(holding.cost.usd for holding in self.holdings)

    @property
    def usd_month(self) -> Decimal:
        """What a month of 720 hours costs at the present rate, as far as it is known."""
        return total(holding.usd_month for holding in self.holdings)

    @property
    def saving(self) -> Decimal:
        """What could be saved a month: the counted findings, each to the cent, so that the table adds up."""
        return total(finding.saving for finding in self.findings if finding.counted)

    @property
    def unknown(self) -> tuple[Holding, ...]:
        """What is not in any sum, for want of a price or of measured replicas."""
        return tuple(holding for holding in self.holdings if holding.cost.usd is None)

    def by(self, name: Callable[[Holding], str]) -> list[Group]:
        """The deployed models in groups, the dearest first."""
        groups: dict[str, list[Holding]] = defaultdict(list)
        for holding in self.holdings:
            groups[name(holding)].append(holding)
        made = [
            Group(
                key,
                total(one.cost.usd for one in members),
                total(one.usd_month for one in members),
                sum((one.cost.replica_hours for one in members), Decimal(0)),
                sum(one.cost.usd is None for one in members),
            )
            for key, members in groups.items()
        ]
        return sorted(made, key=lambda group: (-group.usd, group.name))

    def by_role(self) -> list[tuple[str, str, Cost]]:
        """Replica-hours and dollars per role and stage of a rollout: what delivery itself costs."""
        lines: dict[tuple[str, str], list[Line]] = defaultdict(list)
        for holding in self.holdings:
            for line in holding.lines:
                lines[line.role, line.stage].append(line)
        return [(role, stage, _together(members)) for (role, stage), members in sorted(lines.items())]


def audit(fleet: Fleet, book: PriceBook) -> Audit:
    """Everything about a fleet; nothing that is not known counts as 0."""
    held = holdings(fleet, book)
    found = find_everything(fleet, book, held)
    unmeasured = (*_unpriced(held), *found.unmeasured)
    return Audit(fleet, book, tuple(held), found.findings, unmeasured, found.advices, forecast_of(fleet, held))


def _unpriced(held: Sequence[Holding]) -> list[Unmeasured]:
    said = []
    for one in held:
        subject = f"{one.deployed.model}@{one.deployed.version} on {one.endpoint.title}"
        if one.price is None:
            said.append(Unmeasured(subject, f"no price of {one.deployed.hardware} in {one.endpoint.region} is known"))
        if not one.cost.measured_hours:
            said.append(Unmeasured(subject, "replicas: what it cost is not known"))
        elif one.cost.unmeasured_hours >= 1:
            said.append(
                Unmeasured(
                    subject, f"replicas in {cents(one.cost.unmeasured_hours):f} h of its life; they are not counted"
                )
            )
    return said


def _together(lines: Sequence[Line]) -> Cost:
    costs = [line.cost for line in lines]
    predictions = [cost.predictions for cost in costs if cost.predictions is not None]
    return Cost(
        sum((cost.replica_hours for cost in costs), Decimal(0)),
        sum((cost.measured_hours for cost in costs), Decimal(0)),
        sum((cost.lived_hours for cost in costs), Decimal(0)),
        total(cost.usd for cost in costs),
        sum(predictions) if predictions else None,
    )
