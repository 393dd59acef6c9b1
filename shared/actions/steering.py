"""Commands about one rollout: pause, resume, abort, promote, approve, retry, another policy."""

from __future__ import annotations

from typing import Any

from shared.actions.alerting import ask_rollback
from shared.actions.amending import retry, set_policy
from shared.actions.approving import approve
from shared.actions.command import UNSAID, Command, admit
from shared.actions.policies import policy_of
from shared.actions.promoting import promote
from shared.actions.record import Telling, publish_due, record_transition
from shared.actions.refusals import About
from shared.errors import PermanentError, RefusedError
from shared.rollout.record import Hold, Phase, Rollout, Stop
from shared.rollout.stages import approvers
from shared.store.store import StoredRollout
from shared.wiring import World


def steer(world: World, command: Command, actor: str) -> dict[str, Any]:
    """Carry out a command about one rollout; what is the case afterwards."""
    stored = world.store.get_rollout(command.rollout or "")
    if stored is None:
        raise PermanentError(f"there is no rollout {command.rollout}; `rollouts list` shows the open ones")
    rollout = stored.rollout
    policy = policy_of(world, rollout)
    about = About(rollout.model, rollout.id)
    admit(world, command, policy, actor, about, approvers(policy, rollout) if command.command == "approve" else ())
    if command.command == "retry":
        return _answer(retry(world, stored, command.reason, actor, again=command.again).rollout)
    if not rollout.phase.is_open:
        raise RefusedError(f"{rollout.id} has ended: {rollout.sentence}")
    if policy.mode == "observe" and command.command in ("abort", "promote"):
        raise RefusedError(
            f"{rollout.id} is only observed (mode: observe): whoever moves its traffic ends it; the record follows what is seen"
        )
    if command.command == "approve":
        after = approve(world, stored, policy, command.traffic, command.reason, actor).rollout
    elif command.command == "promote":
        after = promote(world, stored, policy, command.traffic, command.reason, actor).rollout
    elif command.command == "set-policy":
        after = set_policy(world, stored, command.version, command.reason, actor).rollout
    else:
        after = _STEERED[command.command](world, stored, command.reason, actor).rollout
    return _answer(after)


def _answer(after: Rollout) -> dict[str, Any]:
    return {"rollout": after.id, "phase": after.phase.value, "sentence": after.sentence}


def _pause(world: World, stored: StoredRollout, reason: str, actor: str) -> StoredRollout:
    if stored.rollout.hold:
        return stored
    after = stored.rollout.moved(world.now(), hold=Hold(reason or UNSAID, actor, world.now()))
    return _told(world, stored, after, "pause", _sentence(f"{actor} paused v{stored.rollout.version}", reason), actor)


def _resume(world: World, stored: StoredRollout, reason: str, actor: str) -> StoredRollout:
    if stored.rollout.hold is None:
        return stored
    now, consent = world.now(), stored.rollout.consent
    is_unanswered = consent is not None and not consent.given_by
    # Who resumes what nobody approved in time has it asked for again; otherwise it would pause at once.
    after = stored.rollout.moved(
        now,
        hold=None,
        resumed_at=now,
        consent=None if is_unanswered else consent,
        busy_since=None,
        resizes_failed=0,
    )
    done = _told(world, stored, after, "resume", _sentence(f"{actor} resumed v{stored.rollout.version}", reason), actor)
    publish_due(world, [stored.rollout.id])
    return done


def _abort(world: World, stored: StoredRollout, reason: str, actor: str) -> StoredRollout:
    rollout = stored.rollout
    if rollout.phase is Phase.WATCHING and not rollout.stable_id:
        raise RefusedError(f"{rollout.id} is the first of its model: nothing else can take its traffic")
    done = stored
    if rollout.stop is None:
        # Otherwise it is said already, and only what follows from it may be missing.
        stop = Stop(Phase.ROLLED_BACK, reason or UNSAID, actor, world.now())
        sentence = _sentence(f"{actor} aborts v{rollout.version}", reason)
        done = _told(world, stored, rollout.moved(world.now(), stop=stop), "roll_back", sentence, actor)
    if _has_traffic(rollout):
        # At once, without waiting for a tick.
        ask_rollback(world, done.rollout, _sentence(f"aborted by {actor}", reason))
    publish_due(world, [rollout.id])
    return done


def _sentence(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason else what


def _has_traffic(rollout: Rollout) -> bool:
    return rollout.phase in (Phase.CANARY, Phase.WATCHING)


def _told(
    world: World, before: StoredRollout, after: Rollout, decision: str, sentence: str, actor: str
) -> StoredRollout:
    return record_transition(
        world, before, after, Telling(decision, sentence, "warning" if decision == "roll_back" else "info", actor=actor)
    )


_STEERED = {"pause": _pause, "resume": _resume, "abort": _abort}
