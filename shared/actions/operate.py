"""Starting long-running operations: the intent into the record, the call, and its name into the record.

Between any two of these a crash only delays: the next look finds the intent and either its effect or none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from shared import log
from shared.actions.policies import home_of, target_of
from shared.actions.pools import remember_pools
from shared.actions.record import Slot
from shared.actions.turn import Turn
from shared.errors import AlreadyExistsError, BusyError, NotFoundError, NotYetError, PermanentError, RefusedError
from shared.policy.schema import Target
from shared.rollout import steps
from shared.rollout.back_off import back_off
from shared.rollout.copies import copies
from shared.rollout.labels import MODEL, PAIR
from shared.rollout.names import deployed_name, green_target, label_value
from shared.rollout.observed import ModelVersion
from shared.rollout.record import Hold, Operation, Phase, Rollout
from shared.store.store import StoredRollout

if TYPE_CHECKING:
    from shared.vertex.endpoints import DeploySpec


def create_endpoint(turn: Turn, step: steps.CreateEndpoint) -> StoredRollout:
    blue, world = turn.rollout.target, turn.world
    ref = green_target(blue) if step.is_green else blue
    target = own_target(turn)
    op = Operation("create_endpoint", ref.endpoint, world.now(), detail=step.sentence)
    turn = _intend(turn, turn.rollout, op)
    labels = {MODEL: label_value(turn.rollout.model)} | ({PAIR: blue.endpoint} if step.is_green else {})
    return _start(turn, op, lambda: world.endpoints.create(ref, target, labels))


def create_pool(turn: Turn, step: steps.CreatePool) -> StoredRollout:
    world, ref, machine = turn.world, turn.rollout.target, turn.situation.policy.machine
    remember_pools(world, (ref.project, ref.region))
    op = Operation("create_pool", step.pool, world.now(), detail=step.sentence)
    turn = _intend(turn, turn.rollout, op)
    return _start(turn, op, lambda: world.pools.create(ref.project, ref.region, step.pool, machine))


def copy(turn: Turn, step: steps.Copy) -> StoredRollout:
    """The version into the target's place; looked for once more, since it is never wanted there twice."""
    world, ref, model = turn.world, turn.rollout.target, turn.rollout.model
    source = _at_home(turn)
    there = world.registry.versions(ref.project, ref.region, model)
    if turn.rollout.version in copies((source.project, source.region), model, there):
        return turn.stored
    op = Operation("copy", f"{model}@{turn.rollout.version}", world.now(), detail=step.sentence)
    turn = _intend(turn, turn.rollout, op)
    container = turn.situation.policy.register_.container
    return _start(
        turn,
        op,
        lambda: world.registry.copy(source, ref.project, ref.region, container, is_new_model=not there),
    )


def _at_home(turn: Turn) -> ModelVersion:
    """The rollout's version where it is registered; NotYetError where it cannot be read."""
    policy, rollout = turn.situation.policy, turn.rollout
    project, region = home_of(turn.world, policy)
    found = turn.world.registry.version(project, region, rollout.model, rollout.version)
    if found is None:
        raise NotYetError(f"{rollout.model}@{rollout.version} cannot be read in {project}/{region}")
    return found


def _copied_as(turn: Turn, version: str) -> str:
    """The number of a version's copy where the target is; empty where the version itself is there."""
    home, ref, model = turn.situation.away_from, turn.rollout.target, turn.rollout.model
    if home is None:
        return ""
    found = copies(home, model, turn.world.registry.versions(ref.project, ref.region, model))
    if version not in found:
        raise NotYetError(f"{ref.project}/{ref.region} has no copy of {model}@{version}")
    return found[version]


def deploy(turn: Turn, step: steps.Deploy) -> StoredRollout:
    """The trial begins here: it takes its place on the endpoint with the intent."""
    world, rollout = turn.world, turn.rollout
    now = world.now()
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
    slot: Slot | None = "take" if rollout.phase is Phase.QUEUED else None
    turn = turn.after(turn.record(after, turn.telling("start", step.sentence), slot))
    spec, place = deploy_spec(turn, step.deployed_id), turn.endpoint.vacant
    return _start(turn, op, lambda: world.endpoints.deploy(place, spec))


def redeploy(turn: Turn, step: steps.Redeploy) -> StoredRollout:
    """The stable's version again, strong enough for what is served now."""
    world, rollout = turn.world, turn.rollout
    op = Operation("deploy", step.deployed_id, world.now(), detail=step.sentence)
    after = rollout.moved(world.now(), operation=op, not_before=None)
    turn = turn.after(turn.record(after, turn.telling("operate", step.sentence, "warning")))
    usual = deploy_spec(turn, step.deployed_id, rollout.stable_version)
    spec = replace(
        usual,
        min_replicas=min(max(step.replicas, usual.min_replicas), usual.machine.replicas.max),
    )
    return _start(turn, op, lambda: world.endpoints.deploy(turn.endpoint.vacant, spec))


def deploy_spec(turn: Turn, deployed_id: str, version: str = "") -> DeploySpec:
    """The rollout's version, or the one that is named, as its policy says."""
    from shared.vertex.endpoints import DeploySpec

    policy, rollout, target = turn.situation.policy, turn.rollout, own_target(turn)
    version = version or rollout.version
    copied_as = _copied_as(turn, version)
    return DeploySpec(
        deployed_id=deployed_id,
        project=rollout.target.project,
        region=rollout.target.region,
        model=rollout.model,
        version=version,
        display_name=deployed_name(rollout.model, version, copied_as),
        machine=policy.machine,
        service_account=target.service_account,
        access_logging=target.access_logging,
        min_replicas=policy.machine.replicas.min,
        copied_as=copied_as,
        artifact_uri=_at_home(turn).artifact_uri if target.bucket else "",
    )


def begin(turn: Turn, rollout: Rollout, op: Operation, call: Callable[[], str]) -> StoredRollout:
    """An operation of a kind that needs nothing else: intent, call, name."""
    return _start(_intend(turn, rollout, op), op, call)


def set_replicas(turn: Turn, step: steps.SetReplicas) -> StoredRollout:
    change, rollout, world = step.change, turn.rollout, turn.world
    op = Operation("set_replicas", change.deployed_id, world.now(), detail=step.sentence)
    pinned = {change.deployed_id: change.before} | rollout.pinned
    place = turn.endpoint.place(change.deployed_id)
    turn = _intend(turn, replace(rollout, pinned=pinned), op)
    return _start(
        turn,
        op,
        lambda: world.endpoints.set_replicas(place, change.deployed_id, change.minimum, change.maximum),
    )


def retry(turn: Turn, step: steps.Retry) -> StoredRollout:
    attempt = turn.rollout.attempt + 1
    again = {"operation": None, "attempt": attempt, "not_before": step.not_before}
    after = turn.rollout.moved(turn.world.now(), **again, **({"deployed_id": ""} if step.is_elsewhere else {}))
    return turn.record(after, turn.telling("operate", step.sentence, "warning"))


def put_off(turn: Turn, step: steps.PutOff) -> StoredRollout:
    rollout = turn.rollout
    after = rollout.moved(
        turn.world.now(), operation=None, not_before=step.not_before, resizes_failed=rollout.resizes_failed + 1
    )
    return turn.record(after, turn.telling("operate", f"v{rollout.version}: {step.sentence}", "warning"))


def own_target(turn: Turn) -> Target:
    """What the policy says of the rollout's endpoint."""
    target = target_of(turn.world, turn.situation.policy, turn.rollout.target)
    if target is None:
        raise PermanentError(f"the policy of {turn.rollout.model} does not name endpoint {turn.rollout.target}")
    return target


def _intend(turn: Turn, rollout: Rollout, op: Operation) -> Turn:
    telling = turn.telling("operate", op.detail, notice=False)
    return turn.after(turn.record(rollout.moved(turn.world.now(), operation=op), telling))


def _start(turn: Turn, op: Operation, call: Callable[[], str]) -> StoredRollout:
    """The call, and its name into the record. What is known not to have happened is not waited out."""
    store, rollout, now = turn.world.store, turn.rollout, turn.world.now()
    try:
        name = call()
    except AlreadyExistsError as exc:
        # Somebody, most likely an earlier attempt of ours whose answer was lost, has made it: it shows itself.
        log.info(f"{rollout.id}: there already: {exc}")
        return turn.stored
    except BusyError as exc:
        busy = rollout.busy + 1
        later = now + back_off(rollout.id, busy, steps.BUSY_BACK_OFF)
        put_off = {"not_before": later, "busy": busy, "busy_since": rollout.busy_since or now}
        store.transition(turn.stored, rollout.moved(now, operation=None, **put_off))
        raise BusyError(f"{op.detail} was put off: {exc}") from exc
    except (RefusedError, NotFoundError) as exc:
        return _refused(turn, op, exc)
    taken = replace(rollout, operation=replace(op, name=name), busy=0, busy_since=None)
    return store.transition(turn.stored, taken)


def _refused(turn: Turn, op: Operation, exc: PermanentError) -> StoredRollout:
    """Vertex AI said no, and why: nothing was made."""
    rollout, now = turn.rollout, turn.world.now()
    if op.kind in ("undeploy", "delete_endpoint"):
        # Under way already, or gone: what is there says so at the next look.
        log.info(f"{rollout.id}: {op.detail}: refused: {exc}")
        return turn.stored
    if op.kind == "set_replicas" or (op.kind == "deploy" and op.subject != rollout.deployed_id):
        telling = turn.telling("pause", f"Paused v{rollout.version}: {op.detail} was refused: {exc}", "warning")
        hold = Hold(f"{op.detail} was refused", "Vertex AI", now)
        return turn.record(rollout.moved(now, operation=None, hold=hold), telling)
    telling = turn.telling("fail", f"Failed v{rollout.version}: Vertex AI refused: {exc}", "error")
    return turn.record(rollout.moved(now, operation=None, phase=Phase.FAILED, aliases_due=True), telling, "free")
