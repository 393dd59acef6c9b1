"""The audit as an action: observe, audit, keep the report, remember it, say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from shared import log
from shared.actions.fleet import observe_fleet
from shared.actions.pricing import prices_in_force
from shared.actions.record import publish_notice
from shared.actions.saving import apply_savings
from shared.billing import spend_from
from shared.costs.actual import Actual
from shared.costs.audit import Audit, audit
from shared.costs.fleet import Fleet
from shared.costs.money import usd
from shared.costs.report.files import files_of
from shared.costs.report.headline import headline
from shared.costs.report.snapshot import Change, Snapshot, change_since, snapshot_of
from shared.costs.report.twin import as_json
from shared.errors import RolloutsError
from shared.rollout.record import LedgerEntry
from shared.store.audits import StoredAudit
from shared.wiring import World

KEPT = 200
"""So many findings are kept in the store: a document has a megabyte. All of them are in the report's files."""


@dataclass(frozen=True)
class Audited:
    """What came of it."""

    audit: Audit
    change: Change | None
    place: str
    """Where the report is; empty where no place is configured."""


def audit_costs(world: World) -> Audited:
    """Once a day, and whenever somebody asks; the same hour again replaces what was said of it."""
    before = world.store.audits.last()
    fleet = observe_fleet(world, before.machines if before else {})
    result = audit(fleet, prices_in_force(world))
    change = change_since(_snapshot(before), result)
    actual = read_actual(world, fleet)
    twin = as_json(result, change, actual)
    place = ""
    if world.reports is not None:
        place = world.reports.write(f"costs/{result.at:%Y-%m-%d}", files_of(result, change, actual))
    _tell(world, result, change, place)
    apply_savings(world, result)
    # Last: a repetition after a crash still says what changed since the day before.
    world.store.audits.put(StoredAudit(_summary(twin), _machines(result, before)))
    log.info(
        "audited the costs",
        cost_usd_month=float(round(result.usd_month, 2)),
        saving_usd_month=float(result.saving),
        findings=len(result.findings),
        endpoints=len(fleet.endpoints),
        unknown=len(result.unknown),
    )
    return Audited(result, change, place)


def read_actual(world: World, fleet: Fleet) -> Actual | None:
    """What is billed for this calendar month, where an export is configured. Not worth an audit: without it the audit says what it can."""
    projects = {endpoint.project for endpoint in fleet.endpoints}
    begin = fleet.at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (begin + timedelta(days=32)).replace(day=1)
    try:
        spend = spend_from(world.environment)
        return spend.of_month(projects, begin, end) if spend and projects else None
    except RolloutsError as exc:
        log.warning(f"the report is without the actual spend: {exc}")
        return None


def _snapshot(before: StoredAudit | None) -> Snapshot | None:
    return snapshot_of(before.summary, "the audit before") if before else None


def _summary(twin: dict[str, Any]) -> dict[str, Any]:
    """What fits into a document: the sums, and the findings that matter most, with the ids of all."""
    left_out = ("deployed", "days", "not_measured", "endpoints")
    kept = {key: value for key, value in twin.items() if key not in left_out}
    return kept | {
        "findings": twin["findings"][:KEPT],
        "finding_ids": [one["id"] for one in twin["findings"]],
        "endpoints": [{"name": e["name"], "usd_month": e["usd_month"]} for e in twin["endpoints"]],
        "not_measured": twin["not_measured"][:KEPT],
    }


def _machines(result: Audit, before: StoredAudit | None) -> dict[str, list[Any]]:
    """Of everything in the window; of what is gone as it was known before."""
    known = before.machines if before else {}
    machines: dict[str, list[Any]] = {}
    for holding in result.holdings:
        one = holding.deployed
        if one.until is not None:
            if holding.key in known:
                machines[holding.key] = known[holding.key]
            continue
        h = one.hardware
        machines[holding.key] = [h.machine, h.accelerator, h.count, h.spot, one.model, one.version]
    return machines


def _tell(world: World, result: Audit, change: Change | None, place: str) -> None:
    """One message a day, to the channels of the fleet (``FLEET_CHANNELS`` of ``notify``)."""
    parts = [headline(result)]
    if change:
        parts.append(
            f"{'+' if change.usd_month >= 0 else ''}{usd(change.usd_month)} a month since {change.since:%Y-%m-%d}"
        )
    largest = [f"{usd(f.saving)} {f.subject}: {f.sentence}" for f in result.findings if f.counted][:3]
    sentence = "; ".join(parts) + ("" if not largest else ". Largest: " + "; ".join(largest))
    entry = LedgerEntry(
        id=f"audit-costs-{result.at:%Y-%m-%d}",
        rollout="",
        model="",
        at=world.now(),
        decision="note",
        sentence=f"{sentence}{f'. {place}' if place else ''}",
        actor="audit_costs",
    )
    # Not by record_entry: its line counts as a decision about a rollout, and this is none.
    if world.store.add_entry(entry):
        publish_notice(world, entry)
