"""``rollouts history``: every decision, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from rollouts_cli.console import AsJson, reported, say, say_json, width
from rollouts_cli.layout import Column, Row, Table
from rollouts_cli.lookup import find_history, opened_store
from shared.rollout.record import LedgerEntry
from shared.view.ledger import entry_json, traffic, version_names

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
        names = version_names(store.rollouts_of_model(entries[0].model))
        rows = [Row(_cells(entry, names, several=bool(model)), entry.sentence) for entry in entries]
        for line in Table(COLUMNS, "WHY", rows, wrap=True).lines(width()):
            say(*line)


def _cells(entry: LedgerEntry, names: Mapping[str, str], *, several: bool) -> tuple[str | tuple[str, str], ...]:
    decision = entry.decision.replace("_", " ")
    told = f"v{entry.version} {decision}" if several and entry.version else decision
    return (
        f"{entry.at:%Y-%m-%d %H:%M:%S}",
        (told, _STYLES[entry.severity]),
        traffic(entry, names),
        entry.actor,
    )
