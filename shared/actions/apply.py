"""Applying one step: the intent into the record, the call to Vertex AI, the answer into the record.

One named function per kind of step; those that start long-running operations are in ``operate``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from shared.actions import examining, experiment, operate, shadow
from shared.actions.alerting import ask_rollback
from shared.actions.record import Severity, publish_due, record_transition
from shared.actions.turn import Turn
from shared.errors import ConflictError, RefusedError
from shared.rollout import steps
from shared.rollout.labels import read_labels, write_labels
from shared.rollout.names import label_value
from shared.rollout.observed import Endpoint
from shared.rollout.record import Consent, Hold, Phase, Shift, Stop
from shared.rollout.split import give_to
from shared.store.store import StoredRollout
from shared.wiring import World

_CLOSING: dict[Phase, tuple[str, Severity]] = {
    Phase.REJECTED: ("reject", "warning"),
    Phase.FAILED: ("fail", "error"),
    Phase.SUPERSEDED: ("supersede", "warning"),
    Phase.PROMOTED: ("finish", "info"),
    Phase.ROLLED_BACK: ("roll_back", "warning"),
}
"""What the ledger calls an end, and how loudly it is told."""


def apply_step(
    world: World, stored: StoredRollout, situation: steps.Situation, step: steps.Step, event: str
) -> StoredRollout:
    """Do it; the record as it is afterwards."""
    return APPLY[type(step)](Turn(world, stored, situation, event), step)


def wait(turn: Turn, step: steps.Wait) -> StoredRollout:
    return turn.stored


def forget(turn: Turn, step: steps.Forget) -> StoredRollout:
    after = turn.rollout.moved(turn.world.now(), operation=None, shift=None)
    return turn.world.store.transition(turn.stored, after)


def couple(turn: Turn, step: steps.Couple) -> StoredRollout:
    """Two endpoints become one target; what clients are told is written before."""
    endpoint, spec = turn.endpoint, turn.situation.policy.rollout.blue_green
    trial = replace(read_labels(endpoint.labels), model=label_value(turn.rollout.model), ttl=spec.ttl if spec else None)
    turn.world.endpoints.couple(endpoint, write_labels(endpoint.labels, trial))
    return turn.record(turn.rollout.moved(turn.world.now()), turn.telling("operate", step.sentence))


def rebase(turn: Turn, step: steps.Rebase) -> StoredRollout:
    now = turn.world.now()
    after = turn.rollout.moved(now, stable_id=step.stable_id, stable_version=step.stable_version, shift=None)
    return turn.record(after, turn.telling("note", step.sentence))


def reinstate(turn: Turn, step: steps.Reinstate) -> StoredRollout:
    """The way back is there again: traffic and labels first, then the record."""
    rollout, endpoint = turn.rollout, turn.endpoint
    _write(turn, step.split, write_labels(endpoint.labels, step.labels))
    pinned = {step.deployed_id: turn.situation.policy.machine.replicas.min} | rollout.pinned
    after = rollout.moved(
        turn.world.now(), stable_id=step.deployed_id, pinned=pinned, not_before=None, resizes_failed=0
    )
    telling = turn.telling("reassert", step.sentence, "warning", before=dict(endpoint.split), after=step.split)
    return turn.record(after, telling)


def move(turn: Turn, step: steps.Move) -> StoredRollout:
    """Only here does a candidate's share rise."""
    world, endpoint, now = turn.world, turn.endpoint, turn.world.now()
    shift = Shift(
        step.split,
        step.stage,
        step.phase,
        now,
        step.sentence,
        step.decision.value,
        step.checks,
        dict(endpoint.split),
        step.winner,
    )
    intended = world.store.transition(turn.stored, turn.rollout.moved(now, shift=shift))
    written = _write(turn, step.split, write_labels(endpoint.labels, step.labels))
    _give_back_if_closed(world, intended, written)
    return _confirm(turn.after(intended), shift)


def _write(turn: Turn, split: Mapping[str, int], labels: Mapping[str, str]) -> Endpoint:
    """The one guarded write. A refusal is about a state that passes, such as a model that somebody undeploys at this moment."""
    try:
        return turn.world.endpoints.write_traffic(turn.endpoint, split, labels)
    except RefusedError as exc:
        raise ConflictError(
            f"the traffic of {turn.rollout.id} cannot be moved now; it is decided again: {exc}"
        ) from exc


def _give_back_if_closed(world: World, intended: StoredRollout, written: Endpoint) -> None:
    """After raising a share the record is read again: a rollout that was closed meanwhile may not keep it."""
    current = world.store.get_rollout(intended.rollout.id)
    if current is None or current.revision == intended.revision:
        return
    rollout = intended.rollout
    if current.rollout.phase.is_open and current.rollout.stop is None:
        raise ConflictError(f"rollout {rollout.id} was changed while its traffic was moved; it is decided again")
    if not rollout.stable_id:
        return
    labels = replace(
        steps.release_labels(written, rollout.stable_id),
        closed=rollout.id,
        closed_from=rollout.deployed_id,
        closed_at=world.now(),
    )
    split = dict(written.split)
    for loser in (rollout.deployed_id, *(arm.deployed_id for arm in rollout.arms)):
        split = give_to(split, loser, rollout.stable_id)
    world.endpoints.write_traffic(written, split, write_labels(written.labels, labels))
    raise ConflictError(f"rollout {rollout.id} was ended while its traffic was moved; the traffic was given back")


def confirm(turn: Turn, step: steps.Confirm) -> StoredRollout:
    shift = turn.rollout.shift
    assert shift is not None  # noqa: S101 (nothing to confirm without one)
    return _confirm(turn, shift)


def _confirm(turn: Turn, shift: Shift) -> StoredRollout:
    """The traffic stands; now the record, the ledger and the people."""
    rollout = turn.rollout
    is_watch = shift.phase is Phase.WATCHING
    after = rollout.moved(
        turn.world.now(),
        phase=shift.phase,
        stage=shift.stage,
        stage_since=shift.intended_at,
        phase_since=shift.intended_at if shift.phase != rollout.phase else rollout.phase_since,
        shift=None,
        resizes_failed=0,
        approved=False,
        aliases_due=rollout.aliases_due or is_watch,
    )
    if rollout.phase is Phase.EXPERIMENT and shift.phase is not Phase.EXPERIMENT:
        after = experiment.won(after, shift)
    telling = turn.telling(
        shift.decision, shift.sentence, checks=shift.checks, before=shift.before, after=dict(shift.to)
    )
    return turn.record(after, telling, "free" if is_watch else None)


def lower(turn: Turn, step: steps.Lower) -> StoredRollout:
    endpoint = turn.endpoint
    _write(turn, step.split, endpoint.labels)
    telling = turn.telling("reassert", step.sentence, "warning", before=dict(endpoint.split), after=step.split)
    return turn.record(turn.rollout.moved(turn.world.now()), telling)


def pause(turn: Turn, step: steps.Pause) -> StoredRollout:
    rollout, now = turn.rollout, turn.world.now()
    if rollout.hold:
        return turn.stored
    after = rollout.moved(now, hold=Hold(step.reason, step.by, now), shift=None)
    return turn.record(after, turn.telling("pause", f"Paused v{rollout.version}: {step.reason}", "warning"))


def ask_approval(turn: Turn, step: steps.AskApproval) -> StoredRollout:
    """Asked once: the entry is the message that the approvers get."""
    now = turn.world.now()
    after = turn.rollout.moved(now, consent=Consent(step.stage, now, step.until))
    return turn.record(after, turn.telling("ask", step.sentence, "warning"))


def ready(turn: Turn, step: steps.Ready) -> StoredRollout:
    """Said once; the partners' steps look for it."""
    after = turn.rollout.moved(turn.world.now(), ready=True)
    return turn.record(after, turn.telling("hold", step.sentence))


def ask(turn: Turn, step: steps.AskRollback) -> StoredRollout:
    ask_rollback(turn.world, turn.rollout, step.sentence, step.checks, step.deployed)
    return turn.stored


def supersede(turn: Turn, step: steps.Supersede) -> StoredRollout:
    world, now = turn.world, turn.world.now()
    other = world.store.get_rollout(step.other)
    if other and other.rollout.phase.is_open and other.rollout.stop is None:
        stop = Stop(Phase.SUPERSEDED, step.sentence, turn.rollout.id, now)
        telling = turn.telling("supersede", f"Superseding v{other.rollout.version}: {step.sentence}")
        record_transition(world, other, other.rollout.moved(now, stop=stop), telling)
    publish_due(world, [step.other])
    return turn.stored


def close(turn: Turn, step: steps.Close) -> StoredRollout:
    rollout, endpoint = turn.rollout, turn.situation.endpoint
    if step.release and endpoint is not None:
        holder = rollout.deployed_id if step.phase is Phase.PROMOTED else rollout.stable_id
        labels = write_labels(endpoint.labels, steps.release_labels(endpoint, holder))
        turn.world.endpoints.write_labels(endpoint, labels)
    after = rollout.moved(turn.world.now(), phase=step.phase, operation=None, shift=None, hold=None, aliases_due=True)
    decision, severity = _CLOSING[step.phase]
    if step.restored_at:
        decision, severity = "roll_back", "warning" if rollout.stop else "error"
    telling = turn.telling(decision, step.sentence, severity, checks=step.checks, restored_at=step.restored_at)
    return turn.record(after, telling, "free")


APPLY: dict[type[steps.Step], Callable[[Turn, Any], StoredRollout]] = {
    steps.Wait: wait,
    steps.CreateEndpoint: operate.create_endpoint,
    steps.Couple: couple,
    steps.CreatePool: operate.create_pool,
    steps.Copy: operate.copy,
    steps.Deploy: operate.deploy,
    steps.SetReplicas: operate.set_replicas,
    steps.Retry: operate.retry,
    steps.PutOff: operate.put_off,
    steps.Forget: forget,
    steps.Rebase: rebase,
    steps.Redeploy: operate.redeploy,
    steps.Reinstate: reinstate,
    steps.Move: move,
    steps.Confirm: confirm,
    steps.Lower: lower,
    steps.Pause: pause,
    steps.AskApproval: ask_approval,
    steps.Ready: ready,
    steps.AskRollback: ask,
    steps.Supersede: supersede,
    steps.Examine: examining.examine,
    steps.Examined: examining.examined,
    steps.Tend: shadow.tend,
    steps.Arrange: experiment.arrange,
    steps.Close: close,
}
"""Every kind of step, and who carries it out."""
