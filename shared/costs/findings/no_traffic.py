"""An endpoint that nobody asks."""

from __future__ import annotations

from shared.costs.findings.finding import Case, Found, percent

KIND = "endpoint_without_traffic"


def find(case: Case) -> Found:
    """Its traffic goes to this deployed model, and there was none in the window."""
    if not case.deployed.share or case.under_trial or not case.lived_long_enough:
        return None
    if case.predictions is None:
        return case.lacks("predictions: whether it has traffic is not known")
    if case.predictions:
        return None
    days = case.holding.cost.lived_hours / 24
    return case.finding(
        KIND,
        f"no prediction in {days:.0f} days, and {case.deployed.hardware} is paid for all the time",
        case.month(case.holding.cost.usd),
        "high" if days >= 28 else "medium",
        (f"0 predictions in {days:.1f} days", f"{percent(case.deployed.share / 100)} of the endpoint's traffic"),
        case.bill,
        case.undeploy,
    )
