"""A minimum of replicas that the traffic does not need."""

from __future__ import annotations

from decimal import Decimal

from shared.costs.findings.finding import Case, Found, number, percent
from shared.costs.latency import forbids
from shared.costs.load import Load, Moment, replicas_for
from shared.costs.money import hours as exact_hours
from shared.costs.money import rate, usd

KIND = "minimum_above_need"


def find(case: Case) -> Found:
    """The highest minimum that saves as much as the lowest possible one."""
    one = case.deployed
    if not case.settled or one.minimum < 2:
        return None
    load = case.load
    if load is None:
        return case.lacks("replicas or use of the machine: whether the minimum is needed is not known")
    if not load.conclusive or case.predictions == 0:
        return None
    lowest = next((m for m in range(load.least_minimum(one.target), one.minimum) if _allowed(case, load, m)), None)
    if lowest is None:
        return None
    saved = exact_hours([load.saved(lowest, one.maximum, one.target)])
    if saved <= 0:
        return None
    minimum = max(
        m for m in range(lowest, one.minimum) if exact_hours([load.saved(m, one.maximum, one.target)]) == saved
    )
    price = case.holding.price
    saving = case.month(saved * price.usd_hour, load.hours) if price else None
    return case.finding(
        KIND,
        f"at least {one.minimum} replicas run; {minimum} {'carry' if minimum > 1 else 'carries'} the highest peak that was seen",
        saving,
        "high" if minimum > 1 else "medium",
        (
            f"highest load {number(round(load.peak, 2))} replicas' worth, highest use {percent(load.use_peak)}",
            f"at the autoscaler's {percent(one.target)} that takes {replicas_for(load.peak, one.target)}",
            "the steepest rise is carried for the minute until the autoscaler has answered",
        ),
        _arithmetic(saved, exact_hours([load.hours]), case, saving),
        case.limits(minimum, one.maximum),
        (("min", minimum), ("max", one.maximum)),
    )


def _allowed(case: Case, load: Load, minimum: int) -> bool:
    one = case.deployed
    then = load.expected(minimum, one.maximum, one.target)
    changes = ((m, _use(m, replicas)) for m, replicas in zip(load.moments, then, strict=True))
    return not forbids(case.endpoint.p95_target_ms, changes)


def _use(moment: Moment, replicas: float) -> float:
    return moment.use * moment.replicas / replicas


def _arithmetic(saved: Decimal, measured: Decimal, case: Case, saving: Decimal | None) -> str:
    price = case.holding.price
    if not price:
        return f"{number(saved)} replica-hours in {number(measured)} h, whose price is not known"
    return (
        f"{number(saved)} replica-hours less in {number(measured)} h x {rate(price.usd_hour)}"
        f" = {usd(saved * price.usd_hour)}, a month of 720 h {usd(saving)}"
    )
