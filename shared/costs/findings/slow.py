"""What misses its latency target."""

from __future__ import annotations

from shared.costs.advice import Advice, Option, advise
from shared.costs.findings.finding import Case, Found, percent
from shared.costs.money import usd

KIND = "too_small_slow"


def find(case: Case) -> Found:
    """More steps than one in twenty missed the target; with the cheapest thing that would help."""
    if case.deployed.role not in ("stable", "candidate") or not case.deployed.share:
        return None
    if case.endpoint.p95_target_ms is None:
        return None
    advice = advise(case)
    if advice is None:
        return case.lacks(f"latency: whether its target of {case.endpoint.p95_target_ms:g} ms is met is not known")
    if advice.met:
        return None
    sure = [option for option in advice.options if option.p95_ms is not None and option.usd_month is not None]
    best = min(sure, key=lambda option: option.usd_month or 0, default=None)
    return case.finding(
        KIND,
        f"the 95th percentile missed its {advice.target_ms:g} ms in {percent(advice.missed)} of the hours",
        -best.usd_month if best and best.usd_month is not None else None,
        "medium" if best else "low",
        (
            f"up to {advice.worst_ms:.0f} ms, in the median {advice.median_ms:.0f} ms",
            f"use {percent(advice.use)} in the hours that missed it",
        ),
        _shown(advice, best),
        next(
            (o.command for o in ([best] if best else advice.options) if o.command),
            "a rollout with the check p95_at_most measures it",
        ),
    )


def _shown(advice: Advice, best: Option | None) -> str:
    if best is None:
        return "; ".join(option.sentence for option in advice.options) or "nothing that is known here would help"
    return f"{best.sentence}: about {best.p95_ms:.0f} ms, {usd(best.usd_month)} a month more"
