"""Recording a transition: record, ledger, log, notice and event in one place.

One function does all of it, so that nothing can be written down without being told, or told without being written down.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from shared import log, topics
from shared.errors import TransientError
from shared.events.rollout import RolloutChanged, RolloutDue, rollout_changed_message, rollout_due_message
from shared.rollout.record import CheckResult, LedgerEntry, Rollout
from shared.store.store import StoredRollout
from shared.wiring import World

Severity = Literal["info", "warning", "error"]
Slot = Literal["take", "free"]


@dataclass(frozen=True)
class Telling:
    """What is said about a transition."""

    decision: str
    sentence: str
    severity: Severity = "info"
    checks: tuple[CheckResult, ...] = ()
    before: dict[str, int] | None = None
    after: dict[str, int] | None = None
    event: str = ""
    actor: str = ""
    began_at: datetime | None = None
    detected_at: datetime | None = None
    restored_at: datetime | None = None
    notice: bool = True


def ledger_entry(rollout: Rollout, telling: Telling, now: datetime) -> LedgerEntry:
    """The entry; its id is given when it is written."""
    return LedgerEntry(
        id="",
        rollout=rollout.id,
        model=rollout.model,
        at=now,
        decision=telling.decision,
        sentence=telling.sentence,
        severity=telling.severity,
        target=str(rollout.target),
        version=rollout.version,
        phase=rollout.phase.value,
        stage=rollout.stage,
        traffic_before=telling.before,
        traffic_after=telling.after,
        checks=telling.checks,
        event=telling.event,
        actor=telling.actor,
        began_at=telling.began_at,
        detected_at=telling.detected_at,
        restored_at=telling.restored_at,
    )


def record_transition(
    world: World,
    before: StoredRollout,
    after: Rollout,
    telling: Telling,
    slot: Slot | None = None,
) -> StoredRollout:
    """One commit, then log and event. ConflictError when the record is no longer as it was read."""
    after = replace(after, sentence=telling.sentence)
    entry = ledger_entry(after, telling, world.now())
    stored = world.store.transition(before, after, entry, notice=telling.notice, slot=slot)
    announce(world, replace(entry, id=f"{after.id}-{stored.rollout.sequence:04d}"), notice=telling.notice)
    return stored


def record_entry(world: World, entry: LedgerEntry, *, notice: bool = True) -> bool:
    """An entry that changes no record, once by its id."""
    written = world.store.add_entry(entry, notice=notice)
    if written:
        announce(world, entry, notice=notice)
    return written


def announce(world: World, entry: LedgerEntry, *, notice: bool) -> None:
    """Log the sentence and publish ``rollout-changed``.

    A message that cannot be published is only late: the notice stands in the store, and the next tick publishes it again.
    """
    say = {"info": log.info, "warning": log.warning, "error": log.error}[entry.severity]
    restored = {"seconds_to_restore": (entry.at - entry.began_at).total_seconds()} if entry.began_at else {}
    # Log-based metrics count these fields: infra/metrics.yaml.
    say(
        entry.sentence,
        rollout=entry.rollout,
        decision=entry.decision,
        model=entry.model,
        version=entry.version,
        entry=entry.id,
        **restored,
    )
    if notice:
        publish_notice(world, entry)


def publish_notice(world: World, entry: LedgerEntry) -> None:
    """Publish ``rollout-changed``; what cannot be published is only late."""
    try:
        world.publisher.publish(
            topics.ROLLOUT_CHANGED, rollout_changed_message(RolloutChanged(entry.rollout, entry.id))
        )
    except TransientError as exc:
        log.warning(f"the next tick will announce {entry.id}: {exc}")


def publish_due(world: World, rollouts: Iterable[str]) -> None:
    """Hints that a step may be possible."""
    world.publisher.publish_all(topics.ROLLOUT_DUE, [rollout_due_message(RolloutDue(r)) for r in rollouts])
