"""``rollouts get``: one rollout, so that a person can agree or act; with ``--watch`` for as long as it lasts."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from rollouts_cli.console import AsJson, Part, printable, reported, say, say_json, width
from rollouts_cli.layout import fold
from rollouts_cli.lookup import find_rollout, opened_store
from shared import clock
from shared.actions.look import look
from shared.rollout.record import Phase
from shared.view.ledger import traffic
from shared.view.looked import Checks, Looked, looked_json
from shared.view.standing import VERDICT_ICONS, age, standing
from shared.view.stepper import ICONS, Step, steps

if TYPE_CHECKING:
    from shared.store.store import Store

RolloutId = Annotated[str, typer.Argument(help="The rollout's id.", metavar="ROLLOUT", show_default=False)]
Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        "-w",
        help="Stay, and show what changes, until it has ended or Ctrl-C; in a pipe a line for each change.",
    ),
]

_LABEL = 10
"""Columns of a line's label."""
LOOK_EVERY = 1.0
"""Wall seconds between two looks at the store: ages are shown to the second."""
_STYLES = {
    "done": "green",
    "now": "bold cyan",
    "held": "bold yellow",
    "ended": "bold red",
    "ahead": "dim",
    "skipped": "dim",
}
Line = Sequence[Part]


def get(rollout: RolloutId, watch: Watch = False, as_json: AsJson = False) -> None:
    """Show one rollout: where it stands, its checks with their numbers, the last decision, and what comes next.

    With traffic, the checks are judged on the evidence of this moment; otherwise they are those of the last decision.
    """
    with reported(as_json), opened_store() as store:
        if watch:
            _watch(store, rollout, as_json)
            return
        now = clock.now()
        seen = look(store, find_rollout(store, rollout), now)
    if as_json:
        say_json(looked_json(seen, now))
        return
    for line in lines(seen, now, width()):
        say(*line)


def _watch(store: Store, rollout: str, as_json: bool) -> None:
    """Live in a terminal; elsewhere a line for each change, which a program or a log can take."""
    if as_json or not sys.stdout.isatty():
        _follow(store, rollout, as_json)
        return
    console = Console(highlight=False, markup=False, emoji=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        try:
            while True:
                now = clock.now()
                seen = look(store, find_rollout(store, rollout), now)
                is_open = seen.rollout.phase.is_open
                hint = (
                    f"at {now:%H:%M:%S} UTC; Ctrl-C leaves, the rollout goes on" if is_open else "it has ended",
                    "dim",
                )
                # The width is asked for each time: terminals are resized.
                shown = [Text.assemble(*line) for line in [*lines(seen, now, width()), (hint,)]]
                live.update(Text("\n").join(shown), refresh=True)
                if not is_open:
                    return
                time.sleep(LOOK_EVERY)
        except KeyboardInterrupt:
            return


def _follow(store: Store, rollout: str, as_json: bool) -> None:
    told: object = None
    while True:
        now = clock.now()
        seen = look(store, find_rollout(store, rollout), now)
        stand = standing(seen.rollout, seen.policy)
        verdicts = tuple((c.metric, c.verdict) for c in seen.checks.results)
        state = (stand, seen.rollout.sequence, verdicts)
        if state != told:
            told = state
            if as_json:
                say(json.dumps(looked_json(seen, now), ensure_ascii=False))
            else:
                label, style = stand.label
                say(
                    f"{now:%Y-%m-%d %H:%M:%S} UTC  ",
                    (label, style),
                    f"  {stand.progress}  {printable(seen.rollout.sentence)}",
                )
        if not seen.rollout.phase.is_open:
            return
        time.sleep(LOOK_EVERY)


def lines(seen: Looked, now: datetime, columns: int | None) -> Iterator[Line]:
    """What is shown, none longer than ``columns`` if that can be."""
    r = seen.rollout
    stand = standing(r, seen.policy)
    yield _line("Rollout", (r.id, "bold"))
    yield _line(
        "State", stand.label, f"  stage {stand.progress}" if r.phase.is_open else f"  at stage {stand.progress}"
    )
    yield from _steps(steps(r, seen.policy, seen.entries, now), columns)
    yield _line("Version", f"{r.model} v{r.version}", f", beside v{r.stable_version}" if r.stable_version else "")
    yield _line("Target", str(r.target))
    for number, place in enumerate(seen.places):
        shown = (place.text, "bold" if place.is_this else "")
        yield _line(
            "" if number else "Targets", shown, "  (this one)" if place.is_this else ("  " + place.rollout, "dim")
        )
    if r.deployed_id:
        yield _line("Deployed", r.deployed_id, f", stable {r.stable_id}" if r.stable_id else "")
    observing = ", which only observes" if seen.policy and seen.policy.mode == "observe" else ""
    yield _line("Policy", f"version {r.policy_version}{observing if seen.policy else ', lost'}")
    what, since = (
        ("stage", r.stage_since)
        if r.stage_since and r.phase in (Phase.SHADOW, Phase.CANARY)
        else ("phase", r.phase_since)
    )
    yield _line(
        "Since", f"{_minute(r.created_at)}, {age(now - r.created_at)} ago; in this {what} for {age(now - since)}"
    )
    if seen.moved:
        yield _line("Traffic", traffic(seen.moved, seen.names), f" at {_minute(seen.moved.at)}")
    for title, halted in (("Paused", r.hold), ("Stopping", r.stop)):
        if halted and r.phase.is_open:
            yield from _wrapped(title, f"by {halted.by}: {halted.reason}", columns)
    yield from _checks(seen.checks, columns)
    if seen.last:
        by = f" by {seen.last.actor}" if seen.last.actor else ""
        yield from _wrapped("Last", f"{_minute(seen.last.at)}{by}: {seen.last.sentence}", columns)
    yield from _wrapped("Next", seen.following, columns)


def _steps(found: Sequence[Step], columns: int | None) -> Iterator[Line]:
    """``✔ deploy ─ ◌ 10 % (12m of 15m) ─ · 50 % (15m) ─ · 100 % (1d)``, on as many lines as it takes."""
    room = None if columns is None else columns - _LABEL
    parts: list[Part] = []
    taken = 0
    label = "Stages"
    for step in found:
        detail = f" ({step.detail})" if step.detail else ""
        text = f"{ICONS[step.state]} {step.name}{detail}"
        if parts and room is not None and taken + 3 + len(text) > room:
            yield _line(label, *parts)
            parts, taken, label = [], 0, ""
        if parts:
            parts.append((" ─ ", "dim"))
            taken += 3
        parts.append((text, _STYLES[step.state]))
        taken += len(text)
    if parts:
        yield _line(label, *parts)


def _checks(checks: Checks, columns: int | None) -> Iterator[Line]:
    if not checks.results:
        return
    until = f"until {_minute(checks.at)}" if checks.at else "nothing measured yet"
    yield _line("Checks", (until if not checks.entry else f"of {checks.entry}", "dim"))
    for one in checks.results:
        icon, style = VERDICT_ICONS[one.verdict]
        folded = fold(
            one.sentence + ("" if one.gating else " (decides nothing)"), None if columns is None else columns - 18
        )
        verdict = one.verdict.value.replace("_", " ")
        yield "  ", (f"{icon} {verdict:<14}", style), folded[0]
        for line in folded[1:]:
            yield " " * 18, line


def _line(label: str, *parts: Part) -> Line:
    return (
        (f"{label:<{_LABEL}}", "dim"),
        *((p if isinstance(p, tuple) else printable(p)) for p in parts if p),
    )


def _wrapped(label: str, text: str, columns: int | None) -> Iterator[Line]:
    first, *others = fold(text, None if columns is None else columns - _LABEL)
    yield _line(label, first)
    for other in others:
        yield " " * _LABEL, other


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
