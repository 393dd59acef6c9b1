"""The report for people: one HTML file that asks nobody for anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from shared.costs.actual import Actual
from shared.costs.audit import Audit
from shared.costs.findings.finding import Finding, number, percent
from shared.costs.fleet import Deployed
from shared.costs.holdings import Holding
from shared.costs.money import MONTH, rate, usd
from shared.costs.report import plots
from shared.costs.report.headline import headline
from shared.costs.report.snapshot import Change, endpoint_name

LARGEST = 200_000
"""Bytes of the page. Chat and mail take it, and a phone opens it at once."""
SHOWN = (120, 60, 30, 15, 5)
"""How many rows a table has at most, fewer until the page is small enough; the rest is in the CSV files."""


@dataclass(frozen=True)
class _Row:
    """A finding with the course of what it speaks of."""

    finding: Finding
    spark: Markup
    machine: str
    usd_month: Decimal | None
    usd_per_thousand: Decimal | None


def page(audit: Audit, change: Change | None = None, actual: Actual | None = None) -> str:
    """The whole file, below ``LARGEST`` bytes however large the fleet is."""
    for shown in SHOWN:
        text = _render(audit, change, actual, shown)
        if len(text.encode()) < LARGEST:
            return text
    return _render(audit, change, actual, 1)


def _render(audit: Audit, change: Change | None, actual: Actual | None, shown: int) -> str:
    held = {one.key: one for one in audit.holdings}
    rows = [_row(held, finding) for finding in audit.findings[:shown]]
    rest = audit.findings[shown:]
    return _template().render(
        audit=audit,
        headline=headline(audit),
        change=change,
        actual=actual,
        rows=rows,
        rest=rest,
        rest_saving=sum((f.saving for f in rest if f.counted and f.saving), Decimal(0)),
        endpoints=audit.by(endpoint_name)[:shown],
        endpoint_count=len(audit.by(endpoint_name)),
        deployed=sorted(audit.holdings, key=lambda one: -(one.cost.usd or 0))[:shown],
        advices=[one for one in audit.advices if not one.met][:shown],
        met=sum(one.met for one in audit.advices),
        unmeasured=audit.unmeasured[: 2 * shown],
        plots=plots,
        month_hours=int(MONTH),
        dated=audit.book.dated,
    )


def _row(held: Mapping[str, Holding], finding: Finding) -> _Row:
    holding = held.get(finding.claims[0]) if finding.claims else None
    if holding is None:
        return _Row(finding, Markup(""), "", None, None)
    one = holding.deployed
    return _Row(finding, _spark(finding, one), _machine(one), holding.usd_month, holding.cost.usd_per_thousand)


def _spark(finding: Finding, one: Deployed) -> Markup:
    if finding.kind == "gpu_idle":
        return plots.sparkline(one.measured.gpu_peak, 1.0)
    if finding.kind == "too_small_slow":
        return plots.sparkline(one.measured.p95_ms)
    if finding.kind == "endpoint_without_traffic":
        return plots.sparkline(one.measured.predictions)
    return plots.sparkline(one.measured.cpu_peak, one.target)


def _machine(one: Deployed) -> str:
    limits = f"{one.minimum}" if one.minimum == one.maximum else f"{one.minimum} to {one.maximum}"
    return f"{one.hardware} x {limits}"


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "usd": usd,
        "rate": rate,
        "percent": percent,
        "number": number,
        "words": _words,
        "unbroken": _unbroken,
    }
    return environment.get_template("report.html.j2")


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _unbroken(command: str) -> Markup:
    """A line may end before an option of a command, and not between its hyphens."""
    words = (Markup("<span>{}</span>").format(w) if w.startswith("--") else escape(w) for w in command.split(" "))
    return Markup(" ").join(words)
