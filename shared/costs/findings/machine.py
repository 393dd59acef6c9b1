"""A machine that is larger than what runs on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from shared.costs.findings.finding import Case, Found, number, percent
from shared.costs.fleet import highest, measured_steps
from shared.costs.holdings import HOUR
from shared.costs.latency import forbids
from shared.costs.load import ENOUGH, Load
from shared.costs.money import rate, usd
from shared.costs.prices import Part

KIND = "machine_too_big"
MEMORY = 0.8
"""How full the smaller machine's memory may become."""


def find(case: Case) -> Found:
    """The cheapest machine of the same series that the load, the memory and the latency target allow.

    Only of the same series: a core of another is another core, and its speed would have to be measured.
    """
    one = case.deployed
    now = case.book.machine(one.hardware.region, one.hardware.machine, spot=one.hardware.spot)
    if not case.settled or now is None or now.includes or case.predictions == 0:
        return None
    busiest = highest(one.measured.cpu_peak)
    if busiest is None:
        return case.lacks("use of the processor: whether a smaller machine would do is not known")
    fitting = [part for part in _smaller(case, now) if _target_kept(case, busiest, now.vcpu / part.vcpu)]
    if not fitting or not case.lived_long_enough:
        return None
    memory = most_memory(case)
    if memory is None:
        return case.lacks("memory: whether a smaller machine would do is not known")
    fitting = [part for part in fitting if memory <= MEMORY * part.memory_gb]
    load = case.load if fitting else None
    if load is None or not load.conclusive:
        return None
    for part in fitting:
        if _carries(case, load, now.vcpu / part.vcpu):
            return _finding(case, now, part, memory)
    return None


def _smaller(case: Case, now: Part) -> Iterator[Part]:
    """Machines of the same series that cost less, the cheapest first."""
    hardware = case.deployed.hardware
    parts = [
        part
        for (region, name, spot), part in case.book.machines.items()
        if (region, spot) == (hardware.region, hardware.spot)
        and name.partition("-")[0] == now.what.partition("-")[0]
        and part.usd_hour < now.usd_hour
        and part.vcpu <= now.vcpu
        and not part.includes
    ]
    yield from sorted(parts, key=lambda part: (part.usd_hour, part.what))


def most_memory(case: Case) -> float | None:
    """The most that was used; None where too little of it was measured."""
    series, lived = case.deployed.measured.memory_gb, float(case.holding.cost.lived_hours)
    hours = measured_steps(series) * (case.fleet.step / HOUR)
    return highest(series) if hours >= ENOUGH * lived else None


def _target_kept(case: Case, use: float, factor: float) -> bool:
    """With the same number of replicas as now."""
    return factor <= 1 or use * factor <= case.deployed.target + 1e-9


def _carries(case: Case, load: Load, factor: float) -> bool:
    """Whether no step would have needed a replica more, or more latency than the target."""
    if not _target_kept(case, load.use_peak, factor):
        return False
    return not forbids(case.endpoint.p95_target_ms, ((m, m.use * factor) for m in load.moments))


def _finding(case: Case, now: Part, part: Part, memory: float) -> Found:
    one, cost, load = case.deployed, case.holding.cost, case.load
    then = case.price(replace(one.hardware, machine=part.what))
    price = case.holding.price
    if price is None or then is None or load is None:
        return None
    less: Decimal = price.usd_hour - then
    saving = case.month(cost.replica_hours * less)
    factor = now.vcpu / part.vcpu
    return case.finding(
        KIND,
        f"{now.what} never used more than {percent(load.use_peak)}; {part.what} would do",
        saving,
        "high" if case.endpoint.p95_target_ms is not None else "medium",
        (
            f"highest use {percent(load.use_peak)}, on {part.what} {percent(load.use_peak * factor)}"
            f" of the autoscaler's {percent(one.target)}",
            f"most memory {number(round(memory, 1))} GB of {number(part.memory_gb)} GB there",
        ),
        f"{number(cost.replica_hours)} replica-hours in {number(cost.measured_hours)} h x"
        f" ({rate(price.usd_hour)} - {rate(then)}) = {usd(cost.replica_hours * less)}, a month of 720 h {usd(saving)}",
        case.redeploy(replace(one.hardware, machine=part.what)),
    )
