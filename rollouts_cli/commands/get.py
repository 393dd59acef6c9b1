"""``rollouts get``: one rollout, so that a person can agree or act."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from rollouts_cli.console import AsJson, Part, printable, reported, say, say_json, width
from rollouts_cli.layout import fold
from rollouts_cli.lookup import find_rollout, opened_store
from shared import clock
from shared.actions.look import look
from shared.rollout.record import Phase
from shared.view.ledger import traffic
from shared.view.looked import Checks, Looked, looked_json
from shared.view.standing import VERDICT_ICONS, age, standing

RolloutId = Annotated[str, typer.Argument(help="The rollout's id.", metavar="ROLLOUT", show_default=False)]

_LABEL = 10
"""Columns of a line's label."""


def get(rollout: RolloutId, as_json: AsJson = False) -> None:
    """Show one rollout: where it stands, its checks with their numbers, the last decision, and what comes next.

    With traffic, the checks are judged on the evidence of this moment; otherwise they are those of the last decision.
    """
    now = clock.now()
    with reported(as_json), opened_store() as store:
        seen = look(store, find_rollout(store, rollout), now)
    if as_json:
        say_json(looked_json(seen, now))
    else:
        _show(seen, now)


def _show(seen: Looked, now: datetime) -> None:
    r = seen.rollout
    stand = standing(r, seen.policy)
    label, style = stand.label
    _line("Rollout", (r.id, "bold"))
    _line("State", (label, style), f"  stage {stand.progress}" if r.phase.is_open else f"  at stage {stand.progress}")
    _line("Version", f"{r.model} v{r.version}", f", beside v{r.stable_version}" if r.stable_version else "")
    _line("Target", str(r.target))
    if r.deployed_id:
        _line("Deployed", r.deployed_id, f", stable {r.stable_id}" if r.stable_id else "")
    observing = ", which only observes" if seen.policy and seen.policy.mode == "observe" else ""
    _line("Policy", f"version {r.policy_version}{observing}" if seen.policy else f"version {r.policy_version}, lost")
    what, since = (
        ("stage", r.stage_since)
        if r.stage_since and r.phase in (Phase.SHADOW, Phase.CANARY)
        else ("phase", r.phase_since)
    )
    _line("Since", f"{_minute(r.created_at)}, {age(now - r.created_at)} ago; in this {what} for {age(now - since)}")
    if seen.moved:
        _line("Traffic", traffic(seen.moved, seen.names), f" at {_minute(seen.moved.at)}")
    for title, halted in (("Paused", r.hold), ("Stopping", r.stop)):
        if halted and r.phase.is_open:
            _wrapped(title, f"by {halted.by}: {halted.reason}")
    _show_checks(seen.checks)
    if seen.last:
        by = f" by {seen.last.actor}" if seen.last.actor else ""
        _wrapped("Last", f"{_minute(seen.last.at)}{by}: {seen.last.sentence}")
    _wrapped("Next", seen.following)


def _show_checks(checks: Checks) -> None:
    if not checks.results:
        return
    until = f"until {_minute(checks.at)}" if checks.at else "nothing measured yet"
    _line("Checks", (until if not checks.entry else f"of {checks.entry}", "dim"))
    for one in checks.results:
        icon, style = VERDICT_ICONS[one.verdict]
        lines = fold(one.sentence + ("" if one.gating else " (decides nothing)"), _room(18))
        verdict = one.verdict.value.replace("_", " ")
        say("  ", (f"{icon} {verdict:<14}", style), lines[0])
        for line in lines[1:]:
            say(" " * 18, line)


def _line(label: str, *parts: Part) -> None:
    say((f"{label:<{_LABEL}}", "dim"), *((p if isinstance(p, tuple) else printable(p)) for p in parts if p))


def _wrapped(label: str, text: str) -> None:
    first, *others = fold(text, _room(_LABEL))
    _line(label, first)
    for other in others:
        say(" " * _LABEL, other)


def _room(taken: int) -> int | None:
    columns = width()
    return None if columns is None else columns - taken


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
