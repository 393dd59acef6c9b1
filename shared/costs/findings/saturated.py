"""A maximum of replicas that the traffic has outgrown."""

from __future__ import annotations

from math import fsum

from shared.costs.findings.finding import Case, Found, number, percent
from shared.costs.fleet import highest
from shared.costs.load import CEILING, replicas_for
from shared.costs.money import hours as exact_hours
from shared.costs.money import rate, usd

KIND = "too_small_saturated"
OFTEN = 3
"""So many steps at the limit are no accident."""


def find(case: Case) -> Found:
    """As many replicas as may run were running, and each was full."""
    one = case.deployed
    if one.role not in ("stable", "candidate") or not one.share:
        return None
    busiest = max(highest(one.measured.cpu_peak) or 0.0, highest(one.measured.gpu_peak) or 0.0)
    load = case.load if busiest >= CEILING else None
    if load is None:
        return None
    full = [m for m in load.moments if m.full and m.use_peak >= CEILING]
    if len(full) < OFTEN:
        return None
    needed = max(replicas_for(m.peak, one.target) for m in full)
    if needed <= one.maximum:
        return None
    more = fsum(replicas_for(m.peak, one.target) - m.replicas for m in full) * (load.step.total_seconds() / 3600)
    price, added = case.holding.price, exact_hours([more])
    saving = case.month(-added * price.usd_hour, load.hours) if price else None
    shown = f" x {rate(price.usd_hour)}, a month of 720 h {usd(-saving)} more" if price and saving is not None else ""
    return case.finding(
        KIND,
        f"all {one.maximum} replicas were full in {len(full)} steps; {needed} would have kept to the target",
        saving,
        "high",
        (
            f"use up to {percent(load.use_peak)} with every replica running",
            f"in {len(full)} of {len(load.moments)} steps",
        ),
        f"{number(added)} replica-hours more in {number(load.hours)} h{shown}",
        case.limits(one.minimum, needed),
        (("min", one.minimum), ("max", needed)),
    )
