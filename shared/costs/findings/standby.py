"""Fallbacks: kept longer than their policy says, or larger."""

from __future__ import annotations

from datetime import timedelta

from shared.costs.findings.finding import Case, Found, number
from shared.costs.money import cents, rate, usd
from shared.costs.money import hours as exact_hours

EXPIRED = "standby_expired"
PINNED = "standby_too_large"


def find_expired(case: Case) -> Found:
    """A model at 0 % whose standby has ended."""
    one = case.deployed
    if one.role != "fallback" or one.share or one.rollout_open:
        return None
    if one.standby_until is None:
        return case.lacks("the end of its standby: whether the fallback is still needed is not known")
    if one.standby_until >= case.fleet.at:
        return None
    over = (case.fleet.at - one.standby_until) / timedelta(hours=1)
    return case.finding(
        EXPIRED,
        f"a fallback at 0 % whose standby ended {number(round(over, 1))} h ago",
        case.month(case.holding.cost.usd),
        "high",
        (f"standby until {one.standby_until:%Y-%m-%d %H:%M}", "0 % of the traffic"),
        case.bill,
        case.undeploy,
    )


def find_pinned(case: Case) -> Found:
    """A fallback in its standby, past its hold, with more replicas than the policy keeps for it."""
    one, now = case.deployed, case.fleet.at
    if one.role != "fallback" or one.share or one.standby_until is None or one.standby_hold_until is None:
        return None
    if not one.standby_hold_until < now < one.standby_until or one.minimum <= one.standby_replicas:
        return None
    left = exact_hours([min((one.standby_until - now) / timedelta(hours=1), 720.0)])
    spared = one.minimum - one.standby_replicas
    price = case.holding.price
    saving = cents(spared * left * price.usd_hour) if price else None
    shown = f" x {rate(price.usd_hour)} = {usd(saving)}" if price else ", whose price is not known"
    return case.finding(
        PINNED,
        f"a fallback with {one.minimum} replicas where its standby needs {one.standby_replicas}",
        saving,
        "high",
        (f"hold ended {one.standby_hold_until:%Y-%m-%d %H:%M}", f"standby until {one.standby_until:%Y-%m-%d %H:%M}"),
        f"{spared} replicas for the {number(left)} h that are left{shown}",
        case.limits(one.standby_replicas, max(one.standby_replicas, one.maximum)),
        (("min", one.standby_replicas), ("max", max(one.standby_replicas, one.maximum))),
    )
