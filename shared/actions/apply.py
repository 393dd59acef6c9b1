"""Applying one step: the intent into the record, the call to Vertex AI, the answer into the record.

Between any two of these a crash only delays: the next look finds the intent and either its effect or none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import singledispatch

from shared import log
from shared.actions.alerting import ask_rollback
from shared.actions.policies import target_of
from shared.actions.record import Severity, Slot, Telling, publish_due, record_transition
from shared.errors import AlreadyExistsError, BusyError, ConflictError, NotFoundError, PermanentError, RefusedError
from shared.rollout import steps
from shared.rollout.labels import MODEL, write_labels
from shared.rollout.names import label_value
from shared.rollout.observed import Endpoint
from shared.rollout.record import Hold, Operation, Phase, Shift, Stop
from shared.rollout.split import give_to
from shared.store.store import StoredRollout
from shared.wiring import World

ACTOR = "advance_rollout"
_CLOSING = {
    Phase.REJECTED: "reject",
    Phase.FAILED: "fail",
    Phase.SUPERSEDED: "supersede",
    Phase.PROMOTED: "finish",
    Phase.ROLLED_BACK: "roll_back",
}


def apply_step(
    world: World, stored: StoredRollout, situation: steps.Situation, step: steps.Step, event: str
) -> StoredRollout:
    """Do it; the record as it is afterwards."""
    return _apply(step, world, stored, situation, event)


@singledispatch
def _apply(step: object, world: World, stored: StoredRollout, situation: steps.Situation, event: str) -> StoredRollout:
    raise TypeError(f"no way to apply {type(step).__name__}")


@_apply.register
def _(step: steps.Wait, world: World, stored: StoredRollout, situation: steps.Situation, event: str) -> StoredRollout:
    return stored


@_apply.register
def _(step: steps.Forget, world: World, stored: StoredRollout, situation: steps.Situation, event: str) -> StoredRollout:
    return world.store.transition(stored, stored.rollout.moved(world.now(), operation=None, shift=None))


@_apply.register
def _(step: steps.Rebase, world: World, stored: StoredRollout, situation: steps.Situation, event: str) -> StoredRollout:
    after = stored.rollout.moved(world.now(), stable_id=step.stable_id, stable_version=step.stable_version, shift=None)
    return record_transition(world, stored, after, Telling("note", step.sentence, event=event, actor=ACTOR))


@_apply.register
def _(
    step: steps.CreateEndpoint, world: World, stored: StoredRollout, situation: steps.Situation, event: str
) -> StoredRollout:
    ref = stored.rollout.target
    target = target_of(world, situation.policy, ref)
    if target is None:
        raise PermanentError(f"the policy of {stored.rollout.model} no longer names endpoint {ref}")
    op = Operation("create_endpoint", ref.endpoint, world.now(), detail=step.sentence)
    stored = _intend(world, stored, op, step.sentence, event)
    labels = {MODEL: label_value(situation.policy.model)}
    return _start(world, stored, lambda: world.endpoints.create(ref, target, labels))


@_apply.register
def _(step: steps.Deploy, world: World, stored: StoredRollout, situation: steps.Situation, event: str) -> StoredRollout:
    from shared.vertex.endpoints import DeploySpec

    rollout, policy, now = stored.rollout, situation.policy, world.now()
    target = target_of(world, policy, rollout.target)
    if target is None:
        raise PermanentError(f"the policy of {rollout.model} no longer names endpoint {rollout.target}")
    op = Operation("deploy", step.deployed_id, now, detail=step.sentence)
    after = rollout.moved(
        now,
        phase=Phase.DEPLOYING,
        operation=op,
        deployed_id=step.deployed_id,
        stable_id=step.stable_id,
        stable_version=step.stable_version,
        not_before=None,
        aliases_due=True,
    )
    telling = Telling("start", step.sentence, event=event, actor=ACTOR)
    slot: Slot | None = "take" if rollout.phase is Phase.QUEUED else None
    stored = record_transition(world, stored, after, telling, slot=slot)
    spec = DeploySpec(
        deployed_id=step.deployed_id,
        project=rollout.target.project,
        region=rollout.target.region,
        model=rollout.model,
        version=rollout.version,
        display_name=f"{rollout.model}-v{rollout.version}",
        machine=policy.machine,
        service_account=target.service_account,
        access_logging=target.access_logging,
        min_replicas=policy.machine.replicas.min,
    )
    return _start(world, stored, lambda: world.endpoints.deploy(rollout.target, spec))


@_apply.register
def _(
    step: steps.SetReplicas, world: World, stored: StoredRollout, situation: steps.Situation, event: str
) -> StoredRollout:
    change, rollout = step.change, stored.rollout
    op = Operation("set_replicas", change.deployed_id, world.now(), detail=step.sentence)
    pinned = {change.deployed_id: change.before} | rollout.pinned
    stored = _intend(world, replace(stored, rollout=replace(rollout, pinned=pinned)), op, step.sentence, event)
    return _start(
        world,
        stored,
        lambda: world.endpoints.set_replicas(rollout.target, change.deployed_id, change.minimum, change.maximum),
    )


def _intend(world: World, stored: StoredRollout, op: Operation, sentence: str, event: str) -> StoredRollout:
    telling = Telling("operate", sentence, event=event, actor=ACTOR, notice=False)
    return record_transition(world, stored, stored.rollout.moved(world.now(), operation=op), telling)


def _start(world: World, stored: StoredRollout, call: Callable[[], str]) -> StoredRollout:
    """The call, and its name into the record. What is known not to have happened is not waited out."""

    op = stored.rollout.operation
    assert op is not None  # noqa: S101 (just recorded)
    try:
        name = call()
    except AlreadyExistsError as exc:
        # Somebody, most likely an earlier attempt of ours whose answer was lost, has made it: it shows itself.
        log.info(f"{stored.rollout.id}: there already: {exc}")
        return stored
    except BusyError as exc:
        again = stored.rollout.moved(world.now(), operation=None, not_before=world.now() + steps.BUSY_BACK_OFF)
        world.store.transition(stored, again)
        raise BusyError(f"{op.detail} was put off: {exc}") from exc
    except (RefusedError, NotFoundError) as exc:
        return _refused(world, stored, op, exc)
    return world.store.transition(stored, replace(stored.rollout, operation=replace(op, name=name)))


def _refused(world: World, stored: StoredRollout, op: Operation, exc: PermanentError) -> StoredRollout:
    """Vertex AI said no, and why: nothing was made."""
    rollout, now = stored.rollout, world.now()
    if op.kind == "set_replicas":
        telling = Telling("pause", f"Paused v{rollout.version}: {op.detail} was refused: {exc}", "warning", actor=ACTOR)
        hold = Hold(f"{op.detail} was refused", "Vertex AI", now)
        return record_transition(world, stored, rollout.moved(now, operation=None, hold=hold), telling)
    telling = Telling("fail", f"Failed v{rollout.version}: Vertex AI refused: {exc}", "error", actor=ACTOR)
    after = rollout.moved(now, operation=None, phase=Phase.FAILED, aliases_due=True)
    return record_transition(world, stored, after, telling, slot="free")


@_apply.register
def _(step: steps.Retry, world: World, stored: StoredRollout, situation: steps.Situation, event: str) -> StoredRollout:
    rollout = stored.rollout
    after = rollout.moved(world.now(), operation=None, attempt=rollout.attempt + 1, not_before=step.not_before)
    telling = Telling("operate", step.sentence, "warning", event=event, actor=ACTOR)
    return record_transition(world, stored, after, telling)


@_apply.register
def _(step: steps.Move, world: World, stored: StoredRollout, situation: steps.Situation, event: str) -> StoredRollout:
    endpoint = situation.endpoint
    assert endpoint is not None  # noqa: S101 (there is no Move without one)
    now = world.now()
    shift = Shift(
        step.split, step.stage, step.phase, now, step.sentence, step.decision.value, step.checks, dict(endpoint.split)
    )
    intended = world.store.transition(stored, stored.rollout.moved(now, shift=shift))
    written = world.endpoints.write_traffic(endpoint, step.split, write_labels(endpoint.labels, step.labels))
    _give_back_if_closed(world, intended, written)
    return _confirm(world, intended, event)


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
    world.endpoints.write_traffic(
        written, give_to(written.split, rollout.deployed_id, rollout.stable_id), write_labels(written.labels, labels)
    )
    raise ConflictError(f"rollout {rollout.id} was ended while its traffic was moved; the traffic was given back")


@_apply.register
def _(
    step: steps.Confirm, world: World, stored: StoredRollout, situation: steps.Situation, event: str
) -> StoredRollout:
    return _confirm(world, stored, event)


def _confirm(world: World, stored: StoredRollout, event: str) -> StoredRollout:
    """The traffic stands; now the record, the ledger and the people."""
    rollout, now = stored.rollout, world.now()
    shift = rollout.shift
    assert shift is not None  # noqa: S101 (nothing to confirm without one)
    after = rollout.moved(
        now,
        phase=shift.phase,
        stage=shift.stage,
        stage_since=shift.intended_at,
        phase_since=shift.intended_at if shift.phase != rollout.phase else rollout.phase_since,
        shift=None,
        approved=False,
        aliases_due=rollout.aliases_due or shift.phase is Phase.WATCHING,
    )
    telling = Telling(
        shift.decision, shift.sentence, "info", shift.checks, shift.before, dict(shift.to), event=event, actor=ACTOR
    )
    return record_transition(world, stored, after, telling, slot="free" if shift.phase is Phase.WATCHING else None)


@_apply.register
def _(step: steps.Lower, world: World, stored: StoredRollout, situation: steps.Situation, event: str) -> StoredRollout:
    endpoint = situation.endpoint
    assert endpoint is not None  # noqa: S101 (drift is seen on one)
    world.endpoints.write_traffic(endpoint, step.split, endpoint.labels)
    telling = Telling(
        "reassert", step.sentence, "warning", before=dict(endpoint.split), after=step.split, event=event, actor=ACTOR
    )
    return record_transition(world, stored, stored.rollout.moved(world.now()), telling)


@_apply.register
def _(step: steps.Pause, world: World, stored: StoredRollout, situation: steps.Situation, event: str) -> StoredRollout:
    rollout, now = stored.rollout, world.now()
    if rollout.hold:
        return stored
    after = rollout.moved(now, hold=Hold(step.reason, step.by, now), shift=None)
    telling = Telling("pause", f"Paused v{rollout.version}: {step.reason}", "warning", event=event, actor=ACTOR)
    return record_transition(world, stored, after, telling)


@_apply.register
def _(
    step: steps.AskRollback, world: World, stored: StoredRollout, situation: steps.Situation, event: str
) -> StoredRollout:
    ask_rollback(world, stored.rollout, step.sentence, step.checks)
    return stored


@_apply.register
def _(
    step: steps.Supersede, world: World, stored: StoredRollout, situation: steps.Situation, event: str
) -> StoredRollout:
    other = world.store.get_rollout(step.other)
    if other and other.rollout.phase.is_open and other.rollout.stop is None:
        now = world.now()
        stop = Stop(Phase.SUPERSEDED, step.sentence, stored.rollout.id, now)
        telling = Telling(
            "supersede", f"Superseding v{other.rollout.version}: {step.sentence}", event=event, actor=ACTOR
        )
        record_transition(world, other, other.rollout.moved(now, stop=stop), telling)
    publish_due(world, [step.other])
    return stored


@_apply.register
def _(step: steps.Close, world: World, stored: StoredRollout, situation: steps.Situation, event: str) -> StoredRollout:
    rollout, endpoint = stored.rollout, situation.endpoint
    if step.release and endpoint is not None:
        holder = rollout.deployed_id if step.phase is Phase.PROMOTED else rollout.stable_id
        world.endpoints.write_labels(endpoint, write_labels(endpoint.labels, steps.release_labels(endpoint, holder)))
    after = rollout.moved(world.now(), phase=step.phase, operation=None, shift=None, hold=None, aliases_due=True)
    severity: Severity = (
        "info" if step.phase is Phase.PROMOTED else "error" if step.phase is Phase.FAILED else "warning"
    )
    telling = Telling(_CLOSING[step.phase], step.sentence, severity, step.checks, event=event, actor=ACTOR)
    return record_transition(world, stored, after, telling, slot="free")
