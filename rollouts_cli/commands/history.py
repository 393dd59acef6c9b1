"""``rollouts history``: every decision, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollouts_cli.console import AsJson, reported, say, say_json, width
from rollouts_cli.layout import Column, Row, Table
from rollouts_cli.lookup import find_history, opened_store
from shared.rollout.record import LEDGER_ENTRY, LedgerEntry
from shared.rollout.split import format_split

if TYPE_CHECKING:
    from shared.store.store import Store

Name = Annotated[str, typer.Argument(help="A rollout's id, or a model.", metavar="ROLLOUT|MODEL", show_default=False)]
Last = Annotated[int | None, typer.Option(help="Only so many, the newest.", min=1)]

COLUMNS = (
    Column("TIME (UTC)"),
    Column("DECISION"),
    Column("TRAFFIC", drop=2),
    Column("ACTOR", drop=1),
)
_STYLES = {"info": "", "warning": "yellow", "error": "red"}


def history(name: Name, last: Last = None, as_json: AsJson = False) -> None:
    """Show the ledger, oldest first: time, decision, sentence, traffic before and after, and who acted."""
    with reported(as_json), opened_store() as store:
        rollout, model = find_history(store, name)
        entries = store.ledger(rollout=rollout or None, model=model or None)[-(last or 0) :]
        if as_json:
            say_json({"entries": [entry_json(entry) for entry in entries]})
            return
        if not entries:
            say(f"nothing has been decided about {name} yet")
            return
        names = version_names(store, entries[0].model)
        rows = [Row(_cells(entry, names, several=bool(model)), entry.sentence) for entry in entries]
        for line in Table(COLUMNS, "WHY", rows, wrap=True).lines(width()):
            say(*line)


def version_names(store: Store, model: str) -> dict[str, str]:
    """What to call the deployed models of a model: ``v4`` for its id."""
    names: dict[str, str] = {}
    for rollout in store.rollouts_of_model(model):
        if rollout.stable_id and rollout.stable_version:
            names.setdefault(rollout.stable_id, f"v{rollout.stable_version}")
        if rollout.deployed_id:
            names[rollout.deployed_id] = f"v{rollout.version}"
    return names


def traffic(entry: LedgerEntry, names: Mapping[str, str]) -> str:
    """``v3 90 %, v4 10 % → v3 50 %, v4 50 %``; empty for what moved none."""
    if entry.traffic_before is None and entry.traffic_after is None:
        return ""
    before, after = (
        "?" if split is None else format_split(split, names) for split in (entry.traffic_before, entry.traffic_after)
    )
    return after if entry.traffic_before is None else f"{before} → {after}"


def entry_json(entry: LedgerEntry) -> dict[str, Any]:
    """An entry for programs: as it is stored, with times written as in every other view."""
    body: dict[str, Any] = LEDGER_ENTRY.dump_python(entry, mode="json")
    began_at = entry.began_at.isoformat() if entry.began_at else None
    return body | {"at": entry.at.isoformat(), "began_at": began_at}


def _cells(entry: LedgerEntry, names: Mapping[str, str], *, several: bool) -> tuple[str | tuple[str, str], ...]:
    decision = entry.decision.replace("_", " ")
    told = f"v{entry.version} {decision}" if several and entry.version else decision
    return (
        f"{entry.at:%Y-%m-%d %H:%M:%S}",
        (told, _STYLES[entry.severity]),
        traffic(entry, names),
        entry.actor,
    )
