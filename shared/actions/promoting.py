"""A person does not want to wait: the next stage now."""

from __future__ import annotations

from shared.actions.record import Telling, publish_due, record_transition
from shared.errors import RefusedError
from shared.policy.schema import Policy
from shared.rollout.record import Phase, Rollout
from shared.rollout.stages import next_stage
from shared.store.store import StoredRollout
from shared.wiring import World


def promote(
    world: World, stored: StoredRollout, policy: Policy, traffic: int | None, reason: str, actor: str
) -> StoredRollout:
    """Without waiting for the bake time; harm still rolls back.

    Who names the share that is meant can say it again when the answer was lost: what has come there by then is not taken a stage further.
    """
    rollout = stored.rollout
    if traffic is not None and _has(rollout, policy) >= traffic:
        return stored
    if rollout.phase not in (Phase.SHADOW, Phase.EXPERIMENT, Phase.CANARY):
        raise RefusedError(
            f"{rollout.id} is {rollout.phase.value}; only a shadow, an experiment or a canary can be promoted to its next stage"
        )
    following = policy.rollout.stages[next_stage(rollout, len(policy.rollout.stages))].traffic
    if traffic is not None and traffic != following:
        raise RefusedError(f"{rollout.id} comes to {following} % next, not to {traffic} %; look at it again")
    if rollout.approved and not rollout.hold:
        # Said before, and the answer was lost.
        publish_due(world, [rollout.id])
        return stored
    why = f": {reason}" if reason else ""
    telling = Telling("advance", f"{actor} told v{rollout.version} to go on{why}", actor=actor)
    done = record_transition(world, stored, rollout.moved(world.now(), approved=True, hold=None), telling)
    publish_due(world, [rollout.id])
    return done


def _has(rollout: Rollout, policy: Policy) -> int:
    """The share of its stage."""
    is_judged = rollout.phase in (Phase.CANARY, Phase.WATCHING) and rollout.stage >= 0
    return policy.rollout.stages[rollout.stage].traffic if is_judged else 0
