"""``rollouts get``: one rollout, so that a person can agree or act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollouts_cli.commands.history import entry_json, traffic, version_names
from rollouts_cli.console import AsJson, Part, printable, reported, say, say_json, width
from rollouts_cli.layout import fold
from rollouts_cli.lookup import Policies, find_rollout, opened_store
from rollouts_cli.next_step import next_step
from rollouts_cli.standing import VERDICT_ICONS, age, rollout_json, standing
from shared import clock
from shared.policy.schema import Policy
from shared.rollout.decide import Decision, decide
from shared.rollout.evidence import Evidence
from shared.rollout.record import CheckResult, LedgerEntry, Phase, Rollout

if TYPE_CHECKING:
    from shared.store.store import Store

RolloutId = Annotated[str, typer.Argument(help="The rollout's id.", metavar="ROLLOUT", show_default=False)]

_LABEL = 10
"""Columns of a line's label."""


@dataclass(frozen=True)
class _Checks:
    """The checks that are shown, and where they are from."""

    results: Sequence[CheckResult]
    at: datetime | None
    """Until when evidence was judged, or the time of the entry."""
    entry: str
    """The ledger entry that they are of; empty for evidence of this moment."""


@dataclass(frozen=True)
class _Seen:
    """Everything that is shown of one rollout."""

    rollout: Rollout
    policy: Policy | None
    checks: _Checks
    last: LedgerEntry | None
    moved: LedgerEntry | None
    """The last entry that moved traffic."""
    names: dict[str, str]
    following: str


def get(rollout: RolloutId, as_json: AsJson = False) -> None:
    """Show one rollout: where it stands, its checks with their numbers, the last decision, and what comes next.

    With traffic, the checks are judged on the evidence of this moment; otherwise they are those of the last decision.
    """
    now = clock.now()
    with reported(as_json), opened_store() as store:
        seen = _look(store, find_rollout(store, rollout), now)
    if as_json:
        say_json(_json(seen, now))
    else:
        _show(seen, now)


def _look(store: Store, rollout: Rollout, now: datetime) -> _Seen:
    policy = Policies(store).of(rollout)
    entries = store.ledger(rollout=rollout.id)
    decision, until = None, None
    if policy and rollout.phase in (Phase.SHADOW, Phase.CANARY, Phase.WATCHING):
        evidence = store.evidence.of(rollout.id)
        # Without the hold, which would hide what the evidence asks for, and whether resuming helps.
        decision = decide(policy, replace(rollout, hold=None), evidence, now)
        until = _judged_until(rollout, evidence)
    busy = store.busy(rollout.target) if rollout.phase is Phase.QUEUED else ""
    return _Seen(
        rollout=rollout,
        policy=policy,
        checks=_checks(decision, until, entries),
        last=entries[-1] if entries else None,
        moved=next((e for e in reversed(entries) if e.traffic_after is not None), None),
        names=version_names(store, rollout.model),
        following=next_step(rollout, policy, decision, busy, now),
    )


def _judged_until(rollout: Rollout, evidence: Evidence | None) -> datetime | None:
    """None while all that was judged is from before this stage: metrics are judged some minutes late."""
    if evidence is None or rollout.stage_since is None or evidence.stage_since != rollout.stage_since:
        return None
    until = evidence.judged_until
    return until if until and until > rollout.stage_since else None


def _checks(decision: Decision | None, until: datetime | None, entries: Sequence[LedgerEntry]) -> _Checks:
    if decision is not None:
        return _Checks(decision.checks, until, "")
    judged = next((e for e in reversed(entries) if e.checks), None)
    return _Checks(judged.checks, judged.at, judged.id) if judged else _Checks((), None, "")


def _json(seen: _Seen, now: datetime) -> dict[str, Any]:
    r, checks = seen.rollout, seen.checks
    return {
        "rollout": rollout_json(r, seen.policy, now)
        | {
            "deployed_id": r.deployed_id,
            "stable_id": r.stable_id,
            "stable_version": r.stable_version,
            "policy_version": r.policy_version,
            "attempt": r.attempt,
            "phase_since": r.phase_since.isoformat(),
            "stage_since": r.stage_since.isoformat() if r.stage_since else None,
            "hold": _plain(r.hold),
            "stop": _plain(r.stop),
            "operation": _plain(r.operation),
        },
        "checks": {
            "entry": checks.entry or None,
            "at": checks.at.isoformat() if checks.at else None,
            "results": [asdict(one) for one in checks.results],
        },
        "last": entry_json(seen.last) if seen.last else None,
        "next": seen.following,
    }


def _plain(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(value).items()}


def _show(seen: _Seen, now: datetime) -> None:
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


def _show_checks(checks: _Checks) -> None:
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
