"""``rollouts replay``: what another policy would have decided about a rollout, on what was really served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from rollouts_cli.console import AsJson, Part, reported, say, say_json, width
from rollouts_cli.layout import Column, Row, Table
from rollouts_cli.lookup import find_rollout, opened_store, read_policy
from shared.errors import PermanentError
from shared.policy.schema import Policy
from shared.policy.units import format_duration
from shared.rollout.decide import Kind
from shared.rollout.names import green_target
from shared.rollout.observed import Minute
from shared.rollout.pairing import merged
from shared.rollout.record import Rollout
from shared.rollout.replaying import Replayed, Stretch, replay, stretches_of
from shared.wiring import World

Id = Annotated[str, typer.Argument(help="A rollout's id.", metavar="ROLLOUT", show_default=False)]
Other = Annotated[Path, typer.Option("--policy", help="A file with the other policy.", show_default=False)]

_AT_ONCE = timedelta(hours=6)
"""Minutes that one query asks for."""
_COLUMNS = (Column("SHARE"), Column("FROM (UTC)"), Column("TO", drop=1), Column("REALLY"), Column("INSTEAD"))


def replay_rollout(rollout: Id, policy: Other, as_json: AsJson = False) -> None:
    """Say what another policy would have decided, and when, on the minutes that a rollout was really judged by.

    The stages are those of the ledger, the numbers are read from Monitoring, which keeps minutes for six weeks. What follows a
    rollback that did not really happen is not guessed.
    """
    with reported(as_json):
        other = read_policy(policy, as_json)
        with opened_store() as store:
            found = find_rollout(store, rollout)
            world = World()
            stretches = stretches_of(found, store.ledger(rollout=found.id), world.now())
            if not stretches:
                raise PermanentError(f"{found.id} has had no traffic yet: there is nothing to replay")
            minutes = _served(world, found, stretches, other)
        replayed = tuple(replay(other, found, stretches, minutes))
        if as_json:
            say_json(_json(found, other, replayed, len(minutes)))
            return
        for line in _lines(found, policy, replayed, len(minutes)):
            say(*line)


def _served(world: World, rollout: Rollout, stretches: Sequence[Stretch], policy: Policy) -> list[Minute]:
    """Every minute of the endpoint in which its candidate had traffic."""
    metrics = {check.metric for check in policy.rollout.checks}
    target = rollout.target
    begin, end = _whole(stretches[0].begins), _whole(stretches[-1].ends)
    found: list[Minute] = []
    while begin < end:
        until = min(begin + _AT_ONCE, end)
        seen = world.metrics.minutes(target.project, begin, until, metrics)
        green = seen.get((target.region, green_target(target).endpoint), ())
        found += merged(seen.get((target.region, target.endpoint), ()), green)
        begin = until
    if not any(rollout.deployed_id in minute.arms for minute in found):
        since = f"{stretches[0].begins:%Y-%m-%d %H:%M} UTC"
        raise PermanentError(
            f"Monitoring has nothing that {rollout.deployed_id} served since {since}; it keeps minutes for six weeks"
        )
    return found


def _whole(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _lines(rollout: Rollout, file: Path, replayed: Sequence[Replayed], minutes: int) -> Iterator[Sequence[Part]]:
    yield (f"{rollout.id} under {file}, on {minutes} minutes of {rollout.target}",)
    yield ("",)
    rows = [Row(_cells(one), _why(one)) for one in replayed]
    yield from Table(_COLUMNS, "WHY", rows, wrap=True).lines(width())
    yield ("",)
    yield (_verdict(rollout, replayed),)


def _cells(one: Replayed) -> tuple[Part, ...]:
    stretch = one.stretch
    really = f"{stretch.decision.replace('_', ' ')} {stretch.ends:%H:%M}" if stretch.decision else "goes on"
    return (f"{stretch.share} %", f"{stretch.begins:%Y-%m-%d %H:%M}", f"{stretch.ends:%H:%M}", really, _instead(one))


def _instead(one: Replayed) -> Part:
    if one.first is None or one.at is None:
        return "hold"
    word = one.first.kind.value.replace("_", " ")
    return f"{word} {one.at:%H:%M}", "red" if one.first.kind is Kind.ROLL_BACK else "green"


def _why(one: Replayed) -> str:
    decision = one.first or one.last
    return decision.sentence if decision else "no whole minute was served"


def _verdict(rollout: Rollout, replayed: Sequence[Replayed]) -> str:
    """What differs, in one sentence."""
    last = replayed[-1]
    if last.first is not None and last.first.kind is Kind.ROLL_BACK and last.at is not None:
        if last.stretch.decision == "roll_back":
            return f"Rolled back all the same, {_apart(last.at, last.stretch.ends)}."
        return f"It would have been rolled back at {last.stretch.share} %; what followed cannot be replayed."
    if last.stretch.decision == "roll_back":
        return f"It would not have been rolled back at {last.stretch.share} % by {last.stretch.ends:%H:%M} UTC."
    held = [one for one in replayed if one.first is None and one.stretch.share < 100]
    if held:
        return (
            f"It would still have been held at {held[0].stretch.share} %; later stages are judged as they were served."
        )
    return "It would have gone the same way."


def _apart(at: datetime, really: datetime) -> str:
    minutes = timedelta(minutes=round((at - really).total_seconds() / 60))
    if not minutes:
        return "in the same minute"
    return f"{format_duration(abs(minutes))} {'later' if minutes > timedelta(0) else 'sooner'}"


def _json(rollout: Rollout, policy: Policy, replayed: Sequence[Replayed], minutes: int) -> dict[str, Any]:
    return {
        "rollout": rollout.id,
        "policy": policy.model,
        "minutes": minutes,
        "stages": [
            {
                "share": one.stretch.share,
                "stage": one.stage,
                "begins": one.stretch.begins.isoformat(),
                "ends": one.stretch.ends.isoformat(),
                "really": {"decision": one.stretch.decision, "sentence": one.stretch.sentence},
                "instead": {
                    "decision": one.first.kind.value if one.first else "hold",
                    "at": one.at.isoformat() if one.at else None,
                    "sentence": _why(one),
                },
            }
            for one in replayed
        ],
        "verdict": _verdict(rollout, replayed),
    }
