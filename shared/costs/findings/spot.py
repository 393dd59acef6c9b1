"""What could run on machines that may be taken away."""

from __future__ import annotations

from dataclasses import replace

from shared.costs.findings.finding import Case, Found, number
from shared.costs.money import rate, usd

KIND = "spot_candidate"
TOLERANT = frozenset({"dev", "development", "test", "testing", "staging", "sandbox", "qa", "experiment"})
"""Values of the label ``env`` under which nobody is hurt by a minute without an answer."""


def find(case: Case) -> Found:
    """Serving that no user waits for, on machines at their full price."""
    one, e = case.deployed, case.endpoint
    tolerant = e.labels.get("env", "").lower() in TOLERANT
    if one.hardware.spot or not tolerant or e.labels.get("interruptible") == "no" or e.p95_target_ms is not None:
        return None
    if not case.settled or not case.predictions or not case.lived_long_enough:
        return None
    instead, cost, price = replace(one.hardware, spot=True), case.holding.cost, case.holding.price
    then = case.price(instead)
    if price and then is not None and then >= price.usd_hour:
        return None
    saving = case.month(cost.replica_hours * (price.usd_hour - then)) if price and then is not None else None
    shown = (
        f"({rate(price.usd_hour)} - {rate(then)}), a month of 720 h {usd(saving)}"
        if price and then is not None
        else "a price of spot machines that is not known; lay one over the shipped prices with --prices"
    )
    return case.finding(
        KIND,
        f"env is {e.labels['env']}: spot machines would do",
        saving,
        "medium",
        (f"label env={e.labels['env']}", "no latency target", "a spot machine may be taken away at any time"),
        f"{number(cost.replica_hours)} replica-hours in {number(cost.measured_hours)} h x {shown}",
        case.redeploy(instead),
    )
