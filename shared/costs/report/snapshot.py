"""What is kept of an audit until the next one: enough to say what has changed, and what machines stood behind deployed models that are gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from shared.costs.audit import Audit
from shared.costs.holdings import Holding
from shared.errors import PermanentError


class SnapshotError(PermanentError):
    """A file that is no report of an earlier audit."""


@dataclass(frozen=True)
class Snapshot:
    """The figures of an earlier audit."""

    at: datetime
    usd_month: Decimal
    saving: Decimal
    endpoints: Mapping[str, Decimal] = field(default_factory=dict)
    """US dollars a month, by endpoint."""
    findings: frozenset[str] = frozenset()
    """The ids of what was found."""


@dataclass(frozen=True)
class Change:
    """What is different from the audit before."""

    since: datetime
    usd_month: Decimal
    """More (or, below 0, less) a month than then."""
    saving: Decimal
    endpoints: tuple[tuple[str, Decimal], ...]
    """Those that changed by a cent or more, the largest change first."""
    found: int
    """Findings that were not there then."""
    settled: int
    """Findings of then that are not there now."""


def read_snapshot(text: str | bytes, source: str) -> Snapshot:
    """From the JSON of a report."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise SnapshotError(f"{source} is not the JSON of a cost report: {error}") from None
    return snapshot_of(given, source)


def snapshot_of(given: Any, source: str) -> Snapshot:
    """From what a report says, or from what the store has kept of it."""
    try:
        return Snapshot(
            datetime.fromisoformat(given["at"]),
            Decimal(given["usd_month"]),
            Decimal(given["saving_usd_month"]),
            {one["name"]: Decimal(one["usd_month"]) for one in given["endpoints"]},
            frozenset(given.get("finding_ids") or (one["id"] for one in given["findings"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise SnapshotError(f"{source} is not the JSON of a cost report: {type(error).__name__} {error}") from None


def change_since(before: Snapshot | None, audit: Audit) -> Change | None:
    """None where there was no audit before."""
    if before is None:
        return None
    now = {group.name: group.usd_month for group in audit.by(endpoint_name)}
    names = sorted({*now, *before.endpoints})
    changes = [(name, now.get(name, Decimal(0)) - before.endpoints.get(name, Decimal(0))) for name in names]
    ids = {finding.id for finding in audit.findings}
    return Change(
        before.at,
        audit.usd_month - before.usd_month,
        audit.saving - before.saving,
        tuple(sorted((c for c in changes if abs(c[1]) >= Decimal("0.01")), key=lambda c: (-abs(c[1]), c[0]))),
        len(ids - before.findings),
        len(before.findings - ids),
    )


def endpoint_name(holding: Holding) -> str:
    """How endpoints are named in a report."""
    return str(holding.endpoint)
