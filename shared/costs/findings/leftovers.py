"""What a rollout, or a person, has left behind: shadows of rollouts that ended, models in no role."""

from __future__ import annotations

from datetime import timedelta

from shared.costs.findings.finding import Case, Found, number

SHADOW = "shadow_left_behind"
FORGOTTEN = "forgotten_model"
SETTLING = timedelta(hours=24)
"""A model that somebody deploys by hand gets its traffic later the same day, if ever."""


def find_shadow(case: Case) -> Found:
    """A shadow whose rollout has ended."""
    one = case.deployed
    if one.role != "shadow" or one.rollout_open:
        return None
    return case.finding(
        SHADOW,
        "a shadow whose rollout has ended",
        case.month(case.holding.cost.usd),
        "high" if one.rollout else "medium",
        (f"rollout {one.rollout} has ended" if one.rollout else "no rollout is known that it belongs to",),
        case.bill,
        case.undeploy,
    )


def find_forgotten(case: Case) -> Found:
    """A model at 0 % that is no candidate, no fallback and no shadow."""
    one = case.deployed
    age = case.fleet.at - one.created
    if one.role != "forgotten" or one.share or one.rollout_open or age < SETTLING:
        return None
    days = age / timedelta(days=1)
    return case.finding(
        FORGOTTEN,
        "a model at 0 % that is in no role",
        case.month(case.holding.cost.usd),
        "high" if days >= 7 else "medium",
        (f"deployed {number(round(days, 1))} days ago", "0 % of the traffic", "no rollout owns it"),
        case.bill,
        case.undeploy,
    )
