"""A person agrees to the next stage."""

from __future__ import annotations

from dataclasses import replace

from shared.actions.record import Telling, publish_due, record_transition
from shared.errors import RefusedError
from shared.policy.schema import Policy
from shared.rollout.consent import BY
from shared.rollout.record import Consent
from shared.rollout.stages import next_stage
from shared.store.store import StoredRollout
from shared.wiring import World


def approve(
    world: World, stored: StoredRollout, policy: Policy, traffic: int | None, reason: str, actor: str
) -> StoredRollout:
    """Also before it is asked for. It lifts the pause that followed from silence, and no other."""
    rollout, now = stored.rollout, world.now()
    number = next_stage(rollout, len(policy.rollout.stages))
    stage = policy.rollout.stages[number]
    if traffic is not None and traffic != stage.traffic:
        raise RefusedError(f"{rollout.id} comes to {stage.traffic} % next, not to {traffic} %; look at it again")
    if stage.approval is None or number == rollout.stage:
        raise RefusedError(f"nothing of {rollout.id} waits for approval: its next stage needs none")
    asked = rollout.consent if rollout.consent and rollout.consent.stage == number else None
    if asked and asked.given_by:
        return stored
    consent = replace(asked or Consent(number, now, now + stage.approval.within), given_by=actor, given_at=now)
    hold = None if rollout.hold and rollout.hold.by == BY else rollout.hold
    why = f": {reason}" if reason else ""
    telling = Telling("approve", f"{actor} approved {stage.traffic} % for v{rollout.version}{why}", actor=actor)
    done = record_transition(world, stored, rollout.moved(now, consent=consent, hold=hold), telling)
    publish_due(world, [rollout.id])
    return done
