"""An accelerator that computes nothing."""

from __future__ import annotations

from dataclasses import replace

from shared.costs.findings.finding import Case, Found, number, percent
from shared.costs.fleet import highest, measured_steps
from shared.costs.money import rate, usd
from shared.costs.prices import Hardware

KIND = "gpu_idle"
NOTHING = 0.01
"""The highest minute of the duty cycle of an accelerator that is not used: what its driver does by itself."""


def find(case: Case) -> Found:
    """The model answers, and its accelerator was idle all the time."""
    one = case.deployed
    part = case.book.machine(one.hardware.region, one.hardware.machine, spot=one.hardware.spot)
    included = part.includes if part else ""
    if not case.settled or not (one.hardware.accelerator or included) or not case.predictions:
        return None
    series = one.measured.gpu_peak
    if series is None:
        return case.lacks("duty cycle of the accelerator: whether it is used is not known")
    busiest = highest(series)
    if busiest is None or busiest > NOTHING or case.load is None or not case.load.conclusive:
        return None
    if measured_steps(series) < len(case.load.moments):
        return None
    instead = _without(case, included)
    if instead is None:
        return None
    cost, price, then = case.holding.cost, case.holding.price, case.price(instead)
    saving = case.month(cost.replica_hours * (price.usd_hour - then)) if price and then is not None else None
    shown = (
        f" x ({rate(price.usd_hour)} - {rate(then)}), a month of 720 h {usd(saving)}"
        if price and then is not None
        else ", whose price is not known"
    )
    return case.finding(
        KIND,
        f"the accelerator was never used; {instead} answers the same",
        saving,
        "medium" if included else "high",
        (f"highest duty cycle {percent(busiest)}", f"{number(case.predictions)} predictions in the same time"),
        f"{number(cost.replica_hours)} replica-hours in {number(cost.measured_hours)} h{shown}",
        case.redeploy(instead),
    )


def _without(case: Case, included: str) -> Hardware | None:
    """The same machine without its accelerator; where it cannot be had without, the cheapest with as many cores and as much memory."""
    hardware = case.deployed.hardware
    if not included:
        return replace(hardware, accelerator="", count=0)
    now = case.book.machine(hardware.region, hardware.machine, spot=hardware.spot)
    fitting = [
        part
        for (region, name, spot), part in case.book.machines.items()
        if (region, spot) == (hardware.region, hardware.spot)
        and not part.includes
        and not name.startswith("e2-")  # its cores are shared and slower
        and now is not None
        and part.vcpu >= now.vcpu
        and part.memory_gb >= now.memory_gb
    ]
    best = min(fitting, key=lambda part: (part.usd_hour, part.what), default=None)
    return Hardware(hardware.region, best.what, spot=hardware.spot) if best else None
