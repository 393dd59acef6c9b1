"""What everybody reads first, and some read only."""

from __future__ import annotations

from shared.costs.audit import Audit
from shared.costs.findings.finding import percent
from shared.costs.money import usd


def headline(audit: Audit) -> str:
    """The one sentence."""
    month, saving = usd(audit.usd_month), usd(audit.saving)
    endpoints = len(audit.fleet.endpoints)
    share = f" ({percent(float(audit.saving / audit.usd_month))})" if audit.usd_month and audit.saving else ""
    beside = (
        f"; what {len(audit.unknown)} deployed model{'s' * (len(audit.unknown) != 1)} cost is not known"
        if audit.unknown
        else ""
    )
    return (
        f"{month} a month on {endpoints} endpoint{'s' * (endpoints != 1)}; {saving} of it could be saved{share}{beside}"
    )
