"""What a trial would cost: the fleet of an endpoint with its candidate beside the stable, held against the policy's budget.

Before it the gate's batch predictions, where they are still to be asked for: each for as long as its policy lets it run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from shared.costs.money import MONTH, rate, usd
from shared.costs.prices import Hardware, PriceBook
from shared.policy.schema import Policy
from shared.policy.units import format_duration
from shared.rollout.observed import DeployedModel, Endpoint


@dataclass(frozen=True)
class Standing:
    """How a trial stands to its budget."""

    over: str = ""
    """Why it may not start: what stays would cost too much with it."""
    waits: str = ""
    """Why it may not start yet: what is at 0 % will be gone, and until then it would cost too much."""
    unknown: str = ""
    """What has no price; nothing is concluded then."""


@dataclass(frozen=True)
class _Part:
    name: str
    hardware: Hardware
    replicas: int
    stays: bool
    within: timedelta | None = None
    """Of a job, how long it may take; what is deployed is there all month."""

    def month(self, book: PriceBook) -> Decimal | None:
        price = book.price(self.hardware)
        return None if price is None else price.usd_hour * self.replicas * self._hours

    @property
    def _hours(self) -> Decimal:
        return MONTH if self.within is None else Decimal(int(self.within.total_seconds())) / 3600

    def shown(self, book: PriceBook) -> str:
        price = book.price(self.hardware)
        limit = f" for at most {format_duration(self.within)}" if self.within else ""
        return f"{self.name} {self.replicas} x {self.hardware} at {rate(price.usd_hour if price else None)}{limit}"


def standing(
    policy: Policy,
    endpoint: Endpoint | None,
    version: str,
    book: PriceBook,
    region: str | None = None,
    asked: Sequence[str] = (),
) -> Standing:
    """The double fleet: everything on the endpoint with the replicas that it has, and the candidate with as many as the stable.

    That is the most that it comes to before the fallback shrinks, for a month of 720 hours at list prices. ``region`` is the target's;
    default: that of the first one. ``asked`` are the versions of which the gate is about to ask for answers, a job for each.
    """
    if policy.budget is None:
        return Standing()
    region = region or policy.targets[0].region
    machine = policy.machine
    there = [_part(region, endpoint, one) for one in endpoint.deployed] if endpoint else []
    carrying = [part.replicas for part in there if part.stays]
    gpu = machine.accelerator
    candidate = _Part(
        f"v{version}",
        Hardware(region, machine.type, gpu.type if gpu else "", gpu.count if gpu else 0, machine.spot),
        max([machine.replicas.min, *carrying])
        * (len(policy.rollout.experiment.arms) if policy.rollout.experiment else 1),
        True,
    )
    parts = [*there, candidate, *_jobs(policy, asked)]
    if unpriced := [part.hardware for part in parts if part.month(book) is None]:
        return Standing(unknown=f"no price of {unpriced[0]} in {unpriced[0].region} is known")
    limit = Decimal(repr(policy.budget.monthly_usd))
    staying = [part for part in parts if part.stays]
    if _sum(staying, book) > limit:
        return Standing(over=_said(staying, book, limit))
    if _sum(parts, book) > limit:
        return Standing(waits=_said(parts, book, limit) + "; what is at 0 % will be gone")
    return Standing()


def _jobs(policy: Policy, asked: Sequence[str]) -> list[_Part]:
    """They run where versions are registered, and are never asked for on spot machines."""
    fixed, machine = policy.gate.fixed_set, policy.batch_machine
    if fixed is None:
        return []
    gpu = machine.accelerator
    hardware = Hardware(policy.targets[0].region, machine.type, gpu.type if gpu else "", gpu.count if gpu else 0)
    return [
        _Part(f"the batch prediction of v{version}", hardware, machine.replicas, True, fixed.deadline)
        for version in asked
    ]


def _part(region: str, endpoint: Endpoint, one: DeployedModel) -> _Part:
    hardware = Hardware(region, one.machine_type, one.accelerator, one.accelerator_count, one.spot)
    return _Part(f"v{one.version}", hardware, one.present_replicas, endpoint.share(one.id) > 0)


def _sum(parts: list[_Part], book: PriceBook) -> Decimal:
    return sum((part.month(book) or Decimal(0) for part in parts), Decimal(0))


def _said(parts: list[_Part], book: PriceBook, limit: Decimal) -> str:
    shown = " + ".join(part.shown(book) for part in parts)
    return f"together they would cost {usd(_sum(parts, book))} a month ({shown}), over the budget of {usd(limit)}"
