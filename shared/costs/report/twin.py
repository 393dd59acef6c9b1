"""The report for programs: JSON and CSV. What a person reads in the page stands here with the same numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from shared.costs.actual import Actual
from shared.costs.advice import Advice
from shared.costs.audit import Audit
from shared.costs.findings.finding import Finding
from shared.costs.holdings import Cost, Holding, Line
from shared.costs.money import MONTH, cents
from shared.costs.report.headline import headline
from shared.costs.report.snapshot import Change, endpoint_name

SCHEMA = "cost-report/v1"
_COLUMNS = (
    "project region endpoint name owner deployed_id model version machine accelerator count spot role stage begin end"
    " replica_hours unmeasured_hours usd_hour usd usd_month predictions usd_per_1000"
)


def as_json(audit: Audit, change: Change | None = None, actual: Actual | None = None) -> dict[str, Any]:
    """Amounts are text, to the cent; an unknown one is null."""
    dated = audit.book.dated
    return {
        "schema": SCHEMA,
        "headline": headline(audit),
        "currency": "USD",
        "start": audit.start.isoformat(),
        "at": audit.at.isoformat(),
        "month_hours": int(MONTH),
        "prices_dated": [day.isoformat() for day in dated] if dated else [],
        "usd": _money(audit.usd),
        "usd_month": _money(audit.usd_month),
        "saving_usd_month": _money(audit.saving),
        "forecast": {
            "month": audit.forecast.month,
            "spent": _money(audit.forecast.spent),
            "expected": _money(audit.forecast.expected),
            "low": _money(audit.forecast.low),
            "high": _money(audit.forecast.high),
            "unseen_hours": float(audit.forecast.unseen_hours),
        },
        "change": _change(change),
        "actual": _actual(actual),
        "findings": [_finding(one) for one in audit.findings],
        "endpoints": [
            {
                "name": group.name,
                "usd": _money(group.usd),
                "usd_month": _money(group.usd_month),
                "replica_hours": f"{group.replica_hours:f}",
                "unknown": group.unknown,
            }
            for group in audit.by(endpoint_name)
        ],
        "roles": [
            {"role": role, "stage": stage, "replica_hours": f"{cost.replica_hours:f}", "usd": _money(cost.usd)}
            for role, stage, cost in audit.by_role()
        ],
        "days": [{"day": day.isoformat(), "usd": _money(usd)} for day, usd in audit.forecast.days],
        "deployed": [_deployed(one) for one in audit.holdings],
        "latency": [_advice(one) for one in audit.advices],
        "not_measured": [asdict(one) for one in audit.unmeasured],
    }


def costs_csv(audit: Audit) -> str:
    """One row per deployed model, role and stage."""
    return _csv(_COLUMNS.split(), ([*_place(one), *_line(one, line)] for one in audit.holdings for line in one.lines))


def findings_csv(audit: Audit) -> str:
    """One row per finding, ready to become tickets."""
    return _csv(
        [
            "id",
            "kind",
            "endpoint",
            "subject",
            "owner",
            "saving_usd_month",
            "counted",
            "confidence",
            "finding",
            "evidence",
            "arithmetic",
            "command",
        ],
        (
            [
                one.id,
                one.kind,
                one.endpoint,
                one.subject,
                one.owner,
                _money(one.saving) or "unknown",
                "yes" if one.counted else "no",
                one.confidence,
                one.sentence,
                "; ".join(one.evidence),
                one.arithmetic,
                one.command,
            ]
            for one in audit.findings
        ),
    )


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_inert(cell) for cell in row] for row in rows)
    return written.getvalue()


def _inert(cell: Any) -> Any:
    """A name that begins like a formula is one to a spreadsheet; names are given by others."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "@") else cell


def _place(one: Holding) -> list[Any]:
    e, d = one.endpoint, one.deployed
    hardware = (d.hardware.machine, d.hardware.accelerator, d.hardware.count, "yes" if d.hardware.spot else "no")
    return [e.project, e.region, e.id, e.name, e.owner, d.id, d.model, d.version, *hardware]


def _line(one: Holding, line: Line) -> list[Any]:
    cost = line.cost
    return [
        line.role,
        line.stage,
        line.begin.isoformat(),
        line.end.isoformat(),
        f"{cost.replica_hours:f}",
        f"{cost.unmeasured_hours:f}",
        f"{one.price.usd_hour:f}" if one.price else "unknown",
        _money(cost.usd) or "unknown",
        _money(Decimal(0) if one.deployed.until else cost.usd_month) or "unknown",
        "unknown" if cost.predictions is None else f"{cost.predictions:.0f}",
        _fine(cost.usd_per_thousand) or "",
    ]


def _deployed(one: Holding) -> dict[str, Any]:
    d = one.deployed
    return {
        "endpoint": endpoint_name(one),
        "name": one.endpoint.title,
        "owner": one.endpoint.owner,
        "id": d.id,
        "model": d.model,
        "version": d.version,
        "role": d.role,
        "stage": d.stage,
        "share": d.share,
        "machine": str(d.hardware),
        "replicas": {"min": d.minimum, "max": d.maximum},
        "usd_hour": f"{one.price.usd_hour:f}" if one.price else None,
        "price": one.price.state if one.price else None,
        **_cost(one.cost),
        "usd_month": _money(one.usd_month),
        "lines": [{"role": line.role, "stage": line.stage, **_cost(line.cost)} for line in one.lines],
    }


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "replica_hours": f"{cost.replica_hours:f}",
        "unmeasured_hours": f"{cost.unmeasured_hours:f}",
        "usd": _money(cost.usd),
        "predictions": cost.predictions,
        "usd_per_1000": _fine(cost.usd_per_thousand),
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "endpoint": one.endpoint,
        "subject": one.subject,
        "owner": one.owner,
        "saving_usd_month": _money(one.saving),
        "counted": one.counted,
        "confidence": one.confidence,
        "finding": one.sentence,
        "evidence": list(one.evidence),
        "arithmetic": one.arithmetic,
        "command": one.command,
        "claims": list(one.claims),
        "change": dict(one.change),
    }


def _advice(one: Advice) -> dict[str, Any]:
    options = [asdict(option) | {"usd_month": _money(option.usd_month)} for option in one.options]
    return asdict(one) | {"met": one.met, "options": options}


def _change(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return {
        "since": change.since.isoformat(),
        "usd_month": _money(change.usd_month),
        "saving_usd_month": _money(change.saving),
        "endpoints": [{"name": name, "usd_month": _money(usd)} for name, usd in change.endpoints],
        "found": change.found,
        "settled": change.settled,
    }


def _actual(actual: Actual | None) -> dict[str, Any] | None:
    if actual is None:
        return None
    return {"month": actual.month, "usd": _money(actual.usd), "billed_until": actual.billed_until.isoformat()}


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{cents(amount):f}"


def _fine(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.6f}"
