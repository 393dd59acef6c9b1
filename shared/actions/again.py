"""A second trial of a version that was taken back or gave way, because a person who knows why says so.

It is a rollout of its own: the first stays closed, under its own name, and nothing that was ever said about it can move the new one. It has no
traffic until its gate, its deployment and its first stage say so, like any other.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.actions.policies import target_of
from shared.actions.record import Telling, announce, ledger_entry, publish_due, record_entry
from shared.errors import RefusedError
from shared.rollout.names import label_value, rollout_id
from shared.rollout.observed import TargetRef
from shared.rollout.record import LedgerEntry, Phase, Rollout
from shared.rollout.starting import newer_holder
from shared.store.store import StoredPolicy, StoredRollout
from shared.wiring import World

TAKEN_BACK = (Phase.ROLLED_BACK, Phase.SUPERSEDED)


def last_trial(world: World, model: str, version: str, target: TargetRef) -> tuple[int, StoredRollout | None]:
    """The last rollout of a version on a target, and its number; (0, None) where there was none."""
    number, last = 0, None
    while (found := world.store.get_rollout(rollout_id(model, version, target, number + 1))) is not None:
        number, last = number + 1, found
    return number, last


def begin_again(world: World, before: Rollout, reason: str, actor: str) -> StoredRollout:
    """The new rollout, queued. RefusedError with what to do instead."""
    if not reason:
        raise RefusedError(f"{before.id} was taken back: say with --reason why it may be tried again")
    number, last = last_trial(world, before.model, before.version, before.target)
    if last is not None and last.rollout.id != before.id:
        was = last.rollout.phase.value.replace("_", " ")
        raise RefusedError(f"{before.id} was begun again as {last.rollout.id}, which is {was}")
    policy = present_policy(world, before)
    if policy.policy.mode == "observe":
        raise RefusedError(f"{before.model} is only observed (mode: observe): nothing is begun, nor begun again")
    newer = newer_holder(world.endpoints.get(before.target), before)
    if newer:
        raise RefusedError(
            f"v{newer} is newer than v{before.version} and has the traffic of {before.target}; an older version comes back as a new upload"
        )
    now = world.now()
    was = before.phase.value.replace("_", " ")
    sentence = f"{actor} begins v{before.version} again (it was {was}: {before.sentence}): {reason}"
    after = replace(queued_anew(before, policy, now), id=_id(before, number + 1), created_at=now, sentence=sentence)
    entry = ledger_entry(after, Telling("start", sentence, "warning", actor=actor), now)
    if not world.store.create_rollout(after, entry):
        raise RefusedError(f"{after.id} was begun at this moment by somebody else")
    announce(world, replace(entry, id=f"{after.id}-0001"), notice=True)
    record_entry(world, _pointer(before, after, f"Begun again as {after.id} by {actor}: {reason}", actor), notice=False)
    publish_due(world, [after.id])
    stored = world.store.get_rollout(after.id)
    return stored or StoredRollout(after, "")


def present_policy(world: World, before: Rollout) -> StoredPolicy:
    """The one in force, which has to name the target."""
    policy = world.store.policy(before.model)
    if policy is None or target_of(world, policy.policy, before.target) is None:
        raise RefusedError(
            f"the present policy of {before.model} does not name {before.target}; nothing can begin there"
        )
    return policy


def queued_anew(before: Rollout, policy: StoredPolicy, now: datetime) -> Rollout:
    """Nothing of what it was but what it is about."""
    return Rollout(
        id=before.id,
        model=before.model,
        version=before.version,
        target=before.target,
        target_index=before.target_index,
        policy_version=policy.version,
        phase=Phase.QUEUED,
        created_at=before.created_at,
        updated_at=now,
        phase_since=now,
        aliases_due=policy.policy.mode == "enforce",
    )


def _id(before: Rollout, number: int) -> str:
    return rollout_id(before.model, before.version, before.target, number)


def _pointer(before: Rollout, after: Rollout, sentence: str, actor: str) -> LedgerEntry:
    """In the history of the first: where its version went on."""
    return LedgerEntry(
        id=label_value(f"again-{after.id}"),
        rollout=before.id,
        model=before.model,
        at=after.updated_at,
        decision="note",
        sentence=sentence,
        target=str(before.target),
        version=before.version,
        phase=before.phase.value,
        actor=actor,
    )
