"""What a person sees of the demo: the split, the rollouts and the sentences while it plays; tables when it is over.

On a terminal the view is repainted in place; in a pipe each sentence is one line, so that a log of it reads as a story.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.outcomes import Outcome
from local.story import Facts, Look
from shared.rollout.record import LedgerEntry, Phase, Rollout

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")
ICONS = {
    Phase.QUEUED: ("◷", "dim"),
    Phase.DEPLOYING: ("◌", "cyan"),
    Phase.CANARY: ("◐", "yellow"),
    Phase.WATCHING: ("●", "green"),
    Phase.PROMOTED: ("✔", "green"),
    Phase.ROLLED_BACK: ("✖", "red"),
    Phase.FAILED: ("✖", "red"),
    Phase.SUPERSEDED: ("•", "dim"),
    Phase.REJECTED: ("✖", "red"),
}
SHOWN = 9


class Screen:
    """Repaints four times a second from what it is given to look at."""

    def __init__(self, out: TextIO) -> None:
        self._console = Console(file=out, highlight=False)
        self._live: Live | None = None
        self._look: Callable[[], Look] | None = None
        self._title = ""
        self._said = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, look: Callable[[], Look]) -> None:
        """Begin to show."""
        self._look = look
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
        self._thread.start()

    def chapter(self, title: str) -> None:
        """A new part of the story."""
        self._title = title
        if self._live is None:
            self._console.print(f"== {title}", style="bold")

    def stop(self) -> None:
        """Show no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _run(self) -> None:
        while not self._stopping.wait(0.25):
            look = self._look() if self._look else None
            if look is None:
                continue
            if self._live is not None:
                self._live.update(self._paint(look), refresh=True)
            else:
                self._say(look)

    def _say(self, look: Look) -> None:
        told = [e for e in look.ledger if e.decision != "operate"]
        for entry in told[self._said :]:
            self._console.print(
                f"   {_clock(entry.at - look.began)}  {entry.sentence}", style=_style(entry), soft_wrap=True
            )
        self._said = len(told)

    def _paint(self, look: Look) -> Panel:
        return Panel(
            Group(_bar(look), Text(), _rollouts(look), Text(), *_sentences(look)),
            title=f"[bold]{self._title}",
            subtitle=f"{_clock(look.now - look.began)} of compressed time, {look.rate:g} times as fast",
            padding=(1, 2),
        )

    def show_end(self, facts: Facts, outcomes: list[Outcome], lasted: timedelta) -> None:
        """The tables: what happened when and why, who served what, what was expected."""
        self._console.print(_history(facts))
        self._console.print(_served(facts))
        self._console.print(_expected(outcomes))
        self._console.print(f"{lasted} on the wall clock", style="dim")


def _bar(look: Look) -> Text:
    """The traffic split as one bar."""
    bar = Text("traffic  ")
    if not look.split:
        return bar.append("none yet", style="dim")
    for version, share in sorted(look.split.items()):
        colour = _colour(version)
        bar.append("█" * max(1, round(share * 0.5)), style=colour)
        bar.append(f" {version} {share} %  ", style=colour)
    return bar


def _colour(version: str) -> str:
    digits = version.lstrip("v")
    return COLOURS[(int(digits) - 1) % len(COLOURS)] if digits.isdigit() else "white"


def _rollouts(look: Look) -> Table:
    table = Table.grid(padding=(0, 2))
    for heading in ("", "version", "phase", "requests", "failed", "p95 ms", "tokens"):
        table.add_column(heading, justify="right" if heading in ("requests", "failed", "p95 ms", "tokens") else "left")
    table.add_row(*(Text(h, style="dim") for h in ("", "version", "phase", "requests", "failed", "p95 ms", "tokens")))
    served = look.traffic.versions if look.traffic else {}
    for rollout in look.rollouts:
        icon, style = ICONS[rollout.phase]
        mine = served.get(rollout.deployed_id)
        tokens = mine.quality.get("tokens") if mine else None
        table.add_row(
            Text(icon, style=style),
            Text(f"v{rollout.version}", style=_colour(rollout.version)),
            Text(_phase(rollout), style=style),
            str(mine.requests) if mine else "",
            f"{sum(mine.errors.values()) / mine.requests:.1%}" if mine and mine.requests else "",
            f"{mine.latency_ms['p95']:.0f}" if mine and mine.latency_ms else "",
            f"{tokens.mean:.0f}" if tokens else "",
        )
    return table


def _phase(rollout: Rollout) -> str:
    words = rollout.phase.value.replace("_", " ")
    return f"{words} (paused)" if rollout.hold and rollout.phase.is_open else words


def _sentences(look: Look) -> list[Text]:
    told = [e for e in look.ledger if e.decision != "operate"][-SHOWN:]
    return [
        Text(f"{_clock(e.at - look.began)}  {e.sentence}", style=_style(e), overflow="ellipsis", no_wrap=True)
        for e in told
    ]


def _style(entry: LedgerEntry) -> str:
    return {"info": "", "warning": "yellow", "error": "red"}[entry.severity]


def _clock(since: timedelta) -> str:
    """``2:07`` hours and minutes since the beginning."""
    minutes = max(int(since.total_seconds() // 60), 0)
    return f"{minutes // 60}:{minutes % 60:02d}"


def _real(at: datetime, facts: Facts) -> str:
    return f"{(at - facts.began).total_seconds() / facts.rate:.1f} s"


def _history(facts: Facts) -> Table:
    table = Table(title="What happened, when, and why", show_lines=False, title_justify="left")
    table.add_column("h:mm", justify="right")
    table.add_column("real", justify="right", style="dim")
    table.add_column("decision")
    table.add_column("sentence", overflow="fold")
    for entry in facts.ledger:
        table.add_row(
            _clock(entry.at - facts.began),
            _real(entry.at, facts),
            entry.decision.replace("_", " "),
            Text(entry.sentence, style=_style(entry)),
        )
    return table


def _served(facts: Facts) -> Table:
    table = Table(title="Who served what", title_justify="left")
    for heading in ("version", "requests", "answered", "failed", "p50 ms", "p95 ms", "tokens per image"):
        table.add_column(heading, justify="left" if heading == "version" else "right")
    for mine in facts.served:
        failed = ", ".join(f"{n} {code}" for code, n in sorted(mine.errors.items()))
        tokens = mine.quality.get("tokens")
        table.add_row(
            f"v{mine.version}",
            str(mine.requests),
            str(mine.ok),
            failed or "0",
            *(f"{mine.latency_ms.get(p, 0):.1f}" for p in ("p50", "p95")),
            f"{tokens.mean:.0f}" if tokens else "",
        )
    return table


def _expected(outcomes: list[Outcome]) -> Table:
    table = Table(title="Expected and found", title_justify="left")
    table.add_column("")
    table.add_column("expected", overflow="fold")
    table.add_column("found", overflow="fold")
    for outcome in outcomes:
        mark = Text("✔", style="green") if outcome.is_met else Text("✖", style="red")
        table.add_row(mark, outcome.expected, Text(outcome.found))
    return table
