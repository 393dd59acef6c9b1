"""What would bring a latency below its target, and what each would cost: replicas, machine, accelerator, batching.

Two things make an answer slow: waiting for a busy replica, and computing. The wait shrinks with the use of the replicas (``latency``), the
computing does not. Where a measured step says that waiting is not the reason, more replicas are not advised; what an accelerator would
do to the computing nobody can derive, so it is advised as something to measure, by a rollout whose check is the target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from math import fsum
from statistics import median

from shared.costs.findings.finding import Case, number, percent
from shared.costs.fleet import highest
from shared.costs.latency import slowed
from shared.costs.load import Load, Moment
from shared.costs.money import hours as exact_hours
from shared.costs.prices import Hardware, Part

SELDOM = 0.05
"""A target of the 95th percentile that fewer steps miss is met."""
BUSY = 0.3
"""Below this use hardly anybody waits."""
MOST = 4
"""More than so many times the replicas is not an answer but another question."""
FULL_GPU = 0.6


@dataclass(frozen=True)
class Option:
    """One thing that could be done."""

    kind: str
    """replicas, machine, accelerator or batching."""
    sentence: str
    p95_ms: float | None
    """The highest 95th percentile that is expected then; None: it has to be measured."""
    usd_month: Decimal | None
    """What it costs more, a month of 720 hours; None without a price."""
    command: str = ""


@dataclass(frozen=True)
class Advice:
    """How far one deployed model is from its target."""

    subject: str
    endpoint: str
    target_ms: float
    worst_ms: float
    missed: float
    """The share of the measured steps that missed the target."""
    median_ms: float
    use: float
    """The mean use of its replicas in the steps that missed, or in all."""
    options: tuple[Option, ...] = ()

    @property
    def met(self) -> bool:
        return self.missed < SELDOM


def advise(case: Case, target_ms: float | None = None) -> Advice | None:
    """Against the endpoint's target, or another; None without a target, or without measured latencies."""
    target = target_ms or case.endpoint.p95_target_ms
    if target is None or case.deployed.role == "shadow" or case.deployed.until or case.load is None:
        return None
    load = case.load
    timed = [(moment, moment.p95_ms) for moment in load.moments if moment.p95_ms is not None]
    if not timed:
        return None
    late = [moment for moment, p95 in timed if p95 > target]
    shown = late or [moment for moment, _ in timed]
    advice = Advice(
        case.subject,
        str(case.endpoint),
        target,
        max(p95 for _, p95 in timed),
        len(late) / len(timed),
        median(p95 for _, p95 in timed),
        fsum(moment.use for moment in shown) / len(shown),
    )
    return advice if advice.met else replace(advice, options=tuple(_options(case, load, target, late)))


def _options(case: Case, load: Load, target: float, late: list[Moment]) -> Iterator[Option]:
    waiting = max(_p95(m, 0.0) for m in late) <= target
    """Whether the target would be met if nobody had to wait."""
    if waiting:
        yield from _replicas(case, load, target, late)
        yield from _machine(case, target, late)
    else:
        yield from _accelerator(case)
    gpu = highest(case.deployed.measured.gpu_peak) or 0.0
    if gpu >= FULL_GPU:
        yield Option(
            "batching",
            f"the accelerator is busy up to {percent(gpu)}: answer several requests at once, and wait for them no longer than"
            f" a tenth of the target ({target / 10:g} ms)",
            None,
            Decimal(0),
        )


def _p95(moment: Moment, use: float) -> float:
    return slowed(moment.p95_ms or 0.0, moment.use, use)


def _replicas(case: Case, load: Load, target: float, late: list[Moment]) -> Iterator[Option]:
    one = case.deployed
    if fsum(m.use for m in late) / len(late) < BUSY:
        return
    for minimum in range(one.minimum + 1, MOST * one.maximum + 1):
        worst = max(_p95(m, m.use * m.replicas / max(m.replicas, minimum)) for m in late)
        if worst > target:
            continue
        more = exact_hours(
            [fsum(max(0.0, minimum - m.replicas) for m in load.moments) * load.step.total_seconds() / 3600]
        )
        price = case.holding.price
        yield Option(
            "replicas",
            f"at least {minimum} replicas instead of {one.minimum}: {number(more)} replica-hours more in the window",
            worst,
            case.month(more * price.usd_hour, load.hours) if price else None,
            case.limits(minimum, max(minimum, one.maximum)),
        )
        return


def _machine(case: Case, target: float, late: list[Moment]) -> Iterator[Option]:
    hardware = case.deployed.hardware
    now = case.book.machine(hardware.region, hardware.machine, spot=hardware.spot)
    if now is None or now.includes:
        return
    series = now.what.rpartition("-")[0]
    larger: list[Part] = sorted(
        (
            part
            for (region, name, spot), part in case.book.machines.items()
            if (region, spot) == (hardware.region, hardware.spot)
            and name.rpartition("-")[0] == series
            and part.vcpu > now.vcpu
        ),
        key=lambda part: part.vcpu,
    )
    for part in larger:
        worst = max(_p95(m, m.use * now.vcpu / part.vcpu) for m in late)
        if worst <= target:
            yield Option(
                "machine",
                f"{part.what} instead of {now.what}",
                worst,
                _dearer(case, replace(hardware, machine=part.what)),
            )
            return


def _accelerator(case: Case) -> Iterator[Option]:
    hardware = case.deployed.hardware
    if hardware.accelerator:
        return
    offers = [replace(hardware, accelerator="NVIDIA_TESLA_T4", count=1)] if hardware.machine.startswith("n1-") else []
    offers.append(Hardware(hardware.region, "g2-standard-4", "NVIDIA_L4", 1, hardware.spot))
    for offer in offers:
        if case.price(offer) is not None:
            yield Option(
                "accelerator",
                f"{offer}: computing takes longer than the target even without any wait; measure it with a rollout whose"
                f" check is p95_at_most",
                None,
                _dearer(case, offer),
            )


def _dearer(case: Case, instead: Hardware) -> Decimal | None:
    price, then = case.holding.price, case.price(instead)
    if price is None or then is None:
        return None
    return case.month(case.holding.cost.replica_hours * (then - price.usd_hour))
