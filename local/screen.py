"""What a person sees of the demo while it plays: the split, the rollouts and the sentences.

On a terminal the view is repainted in place, with as many of the newest sentences as fit, none of them cut; in a pipe each sentence is one
line, so that a log of it reads as a story.
"""

from __future__ import annotations

import os
import textwrap
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.story import Look
from shared.rollout.record import LedgerEntry, Phase, Rollout

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")
ICONS = {
    Phase.QUEUED: ("◷", "dim"),
    Phase.SHADOW: ("◌", "dim"),
    Phase.EXPERIMENT: ("◑", "yellow"),
    Phase.DEPLOYING: ("◌", "cyan"),
    Phase.CANARY: ("◐", "yellow"),
    Phase.WATCHING: ("●", "green"),
    Phase.PROMOTED: ("✔", "green"),
    Phase.ROLLED_BACK: ("✖", "red"),
    Phase.FAILED: ("✖", "red"),
    Phase.SUPERSEDED: ("•", "dim"),
    Phase.REJECTED: ("✖", "red"),
}
HEADINGS = ("", "version", "phase", "requests", "failed", "p95 ms", "tokens")
PIPE_WIDTH = 120
"""Columns of a table where there is no terminal."""
FRAME = 6
"""Columns that the panel takes for its border and its padding; its rows are fewer by 4."""
CLOCK = 6
"""Columns of a sentence's time."""
WIDE = 60
"""Columns from which on the table of rollouts is set with wider gaps."""
BAR = 50
"""Columns of the traffic bar where there is room."""


def console(out: TextIO) -> Console:
    """Where the demo writes; a pipe has no width of its own, so it gets one unless COLUMNS says another."""
    made = Console(file=out, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPE_WIDTH
    return made


class Screen:
    """Repaints four times a second from what it is given to look at."""

    def __init__(self, out: TextIO) -> None:
        self._console = console(out)
        self._live: Live | None = None
        self._look: Callable[[], Look] | None = None
        self._title = ""
        self._said = 0
        self._saying = threading.Lock()
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
        """A new part of the story; what belongs to the one before is said first."""
        self._title = title
        if self._live is None:
            self._say()
            self._console.print(f"== {title}", style="bold", soft_wrap=True)

    def stop(self) -> None:
        """Show no more; in a pipe, after the last sentences."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None
        if self._live is not None:
            self._live.stop()
            self._live = None
        else:
            self._say()

    def _run(self) -> None:
        while not self._stopping.wait(0.25):
            if self._live is None:
                self._say()
            elif self._look is not None:
                self._live.update(self._paint(self._look()), refresh=True)

    def _say(self) -> None:
        if self._look is None:
            return
        with self._saying:  # chapters come from the thread that plays the story
            look = self._look()
            told = _told(look)
            for entry in told[self._said :]:
                self._console.print(
                    f"   {clock(entry.at - look.began)}  {entry.sentence}", style=style(entry), soft_wrap=True
                )
            self._said = len(told)

    def _paint(self, look: Look) -> Panel:
        room = self._console.width - FRAME
        rollouts = _rollouts(look, room)
        rows = self._console.height - 2 - 4 - 3 - rollouts.row_count  # 2: a picture as high as the screen leaves traces
        return Panel(
            Group(_bar(look, room), Text(), rollouts, Text(), *_sentences(look, room, rows)),
            title=f"[bold]{self._title}",
            subtitle=f"{clock(look.now - look.began)} of compressed time, {look.rate:g} times as fast",
            padding=(1, 2),
        )


def _told(look: Look) -> list[LedgerEntry]:
    """What people are told, without the work on machines behind it."""
    return [e for e in look.ledger if e.decision != "operate"]


def _bar(look: Look, room: int) -> Text:
    """The traffic split as one bar, on one line."""
    bar = Text("traffic  ", overflow="ellipsis", no_wrap=True)
    if not look.split:
        return bar.append("none yet", style="dim")
    shares = sorted(look.split.items())
    labels = sum(len(f" {version} {share} %  ") for version, share in shares)
    length = max(len(shares), min(BAR, room - len(bar) - labels))
    for version, share in shares:
        bar.append("█" * max(1, round(share * length / 100)), style=colour(version))
        bar.append(f" {version} {share} %  ", style=colour(version))
    return bar


def colour(version: str) -> str:
    """One colour per version, wherever it is named."""
    digits = version.lstrip("v")
    return COLOURS[(int(digits) - 1) % len(COLOURS)] if digits.isdigit() else "white"


def _rollouts(look: Look, room: int) -> Table:
    table = Table.grid(padding=(0, 2 if room >= WIDE else 1))
    for heading in HEADINGS:
        table.add_column(justify="left" if heading in ("", "version", "phase") else "right", no_wrap=True)
    table.add_row(*(Text(heading, style="dim") for heading in HEADINGS))
    served = look.traffic.versions if look.traffic else {}
    for rollout in look.rollouts:
        icon, shade = ICONS[rollout.phase]
        mine = served.get(rollout.deployed_id)
        tokens = mine.quality.get("tokens") if mine else None
        table.add_row(
            Text(icon, style=shade),
            Text(f"v{rollout.version}", style=colour(rollout.version)),
            Text(_phase(rollout), style=shade),
            str(mine.requests) if mine else "",
            f"{sum(mine.errors.values()) / mine.requests:.1%}" if mine and mine.requests else "",
            f"{mine.latency_ms['p95']:.0f}" if mine and mine.latency_ms else "",
            f"{tokens.mean:.0f}" if tokens else "",
        )
    return table


def _phase(rollout: Rollout) -> str:
    words = rollout.phase.value.replace("_", " ")
    return f"{words} (paused)" if rollout.hold and rollout.phase.is_open else words


def _sentences(look: Look, room: int, rows: int) -> list[Text]:
    """The newest sentences that fit, each of them whole; at least the last one."""
    shown: list[Text] = []
    for entry in reversed(_told(look)):
        first, *others = textwrap.wrap(entry.sentence, max(room - CLOCK, 20)) or [""]
        lines = [f"{clock(entry.at - look.began):<{CLOCK}}{first}", *(" " * CLOCK + other for other in others)]
        if shown and len(shown) + len(lines) > rows:
            break
        shown = [Text(line, style=style(entry)) for line in lines] + shown
    return shown


def style(entry: LedgerEntry) -> str:
    """How a sentence looks, by how grave it is."""
    return {"info": "", "warning": "yellow", "error": "red"}[entry.severity]


def clock(since: timedelta) -> str:
    """``2:07`` hours and minutes since the beginning."""
    minutes = max(int(since.total_seconds() // 60), 0)
    return f"{minutes // 60}:{minutes % 60:02d}"
