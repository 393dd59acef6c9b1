"""What a person sees of the demo when it is over: what happened and why, who served what, what was expected and what was found."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.outcomes import Outcome
from local.screen import clock, colour, console, style
from local.story import Facts

MARKS = {
    "advance": ("▲", "green"),
    "promote": ("▲", "green"),
    "roll_back": ("▼", "red"),
    "hold": ("‖", "yellow"),
    "pause": ("‖", "yellow"),
    "finish": ("✔", "green"),
}
"""Decisions that move traffic, or keep it from moving; the others have no mark."""


def show_summary(out: TextIO, facts: Facts, outcomes: list[Outcome], took: timedelta) -> None:
    """The tables, the most important last: it is what stays on the screen."""
    page = console(out)
    page.print(_history(facts))
    page.print(_served(facts))
    page.print(_expected(outcomes))
    lasted = max((e.at for e in facts.ledger), default=facts.began) - facts.began
    page.print(f"{clock(lasted)} hours of compressed time, {took.total_seconds():.0f} s on the wall clock", style="dim")


def show_what_is_left(out: TextIO, folder: Path, model: str) -> None:
    """How to look at what the demo leaves behind."""
    page: Console = console(out)
    page.print("What it did can be looked at:", style="dim")
    program = Path(sys.executable).with_name("rollouts")
    store = folder / "rollouts.db"
    for command in ("list --all", f"history {model}"):
        line = f"  STORE_PATH={_short(store)} {_short(program)} {command}"
        page.print(line, style="dim", soft_wrap=True)


def _short(path: Path) -> str:
    """Relative to where the person stands, if it is below."""
    found = os.path.relpath(path)
    return str(path) if found.startswith("..") else found


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)


def _history(facts: Facts) -> Table:
    table = _table("What happened, when, and why")
    table.add_column("h:mm", justify="right")
    table.add_column("")
    table.add_column("why", overflow="fold")
    for entry in facts.ledger:
        mark, shade = MARKS.get(entry.decision, ("·", "dim"))
        version = f"v{entry.version}" if entry.version else ""
        table.add_row(
            clock(entry.at - facts.began),
            Text.assemble((mark, shade), " ", (version, colour(version))),
            Text(entry.sentence, style=style(entry) or ("dim" if entry.decision == "operate" else "")),
        )
    return table


def _served(facts: Facts) -> Table:
    table = _table("Who served what")
    for heading in ("version", "requests", "failed", "p50 ms", "p95 ms", "tokens/image"):
        table.add_column(heading, justify="left" if heading == "version" else "right")
    for mine in facts.served:
        failed = sum(mine.errors.values())
        tokens = mine.quality.get("tokens")
        version = f"v{mine.version}"
        table.add_row(
            Text(version, style=colour(version)),
            str(mine.requests),
            f"{failed} ({failed / mine.requests:.1%})" if failed else "0",
            *(f"{mine.latency_ms.get(p, 0):.1f}" for p in ("p50", "p95")),
            f"{tokens.mean:.0f}" if tokens else "",
        )
    return table


def _expected(outcomes: list[Outcome]) -> Table:
    table = _table("Expected and found")
    table.add_column("")
    table.add_column("expected", overflow="fold", ratio=2)
    table.add_column("found", overflow="fold", ratio=3)
    for outcome in outcomes:
        mark = Text("✔", style="green") if outcome.is_met else Text("✖", style="red")
        table.add_row(mark, outcome.expected, Text(outcome.found))
    return table
