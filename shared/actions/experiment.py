"""Carrying out what an experiment does about its arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from shared import log
from shared.actions.operate import begin, deploy_spec, own_target
from shared.actions.turn import Turn
from shared.errors import ConflictError, PermanentError
from shared.rollout.labels import ARM, ARM_NAME, ARM_OF, MODEL
from shared.rollout.names import arm_target, label_value
from shared.rollout.observed import Endpoint
from shared.rollout.record import Arm, Operation, Phase, Rollout, Shift
from shared.rollout.steps import Arrange
from shared.rollout.sticking import is_arm_over
from shared.store.store import StoredRollout
from shared.wiring import World


def arrange(turn: Turn, step: Arrange) -> StoredRollout:
    """One step about the arms."""
    return _ARRANGE[step.action](turn, step)


def _start(turn: Turn, step: Arrange) -> StoredRollout:
    """It takes its place on the endpoint: nobody else is on trial meanwhile."""
    after = turn.rollout.moved(
        turn.world.now(),
        phase=Phase.EXPERIMENT,
        arms=step.arms,
        stable_id=step.stable_id,
        stable_version=step.stable_version,
        aliases_due=True,
    )
    return turn.record(after, turn.telling("start", step.sentence), "take")


def _create(turn: Turn, step: Arrange) -> StoredRollout:
    """An endpoint of one arm, like the main one in everything but its labels."""
    arm, rollout = _arm(step), turn.rollout
    ref = arm_target(rollout.id, arm.name, rollout.target)
    op = Operation("create_endpoint", ref.endpoint, turn.world.now(), detail=step.sentence)
    labels = {
        ARM: rollout.id,
        ARM_OF: rollout.target.endpoint,
        ARM_NAME: label_value(arm.name),
        MODEL: label_value(rollout.model),
    }
    return begin(turn, rollout, op, lambda: turn.world.endpoints.create(ref, own_target(turn), labels))


def _serve(turn: Turn, step: Arrange) -> StoredRollout:
    """All the traffic of an endpoint that no client is told of yet."""
    arm, group = _arm(step), turn.endpoint.group
    own = group.holder(arm.deployed_id) if group else None
    if own is None:
        raise ConflictError(f"arm {arm.name} of {turn.rollout.id} is gone; it is decided again")
    turn.world.endpoints.write_traffic(own, {arm.deployed_id: 100}, own.labels)
    return turn.stored


def _deploy(turn: Turn, step: Arrange) -> StoredRollout:
    arm, world = _arm(step), turn.world
    op = Operation("deploy", arm.deployed_id, world.now(), detail=step.sentence)
    of_arm = replace(turn.stored, rollout=replace(turn.rollout, version=arm.version))
    spec = deploy_spec(turn.after(of_arm), arm.deployed_id)
    arms = tuple(arm if one.name == arm.name else one for one in turn.rollout.arms)
    rollout = replace(turn.rollout, arms=arms, not_before=None)
    experiment = turn.situation.policy.rollout.experiment
    is_sticky = experiment is not None and experiment.is_sticky
    place = arm_target(rollout.id, arm.name, rollout.target) if is_sticky else rollout.target
    return begin(turn, rollout, op, lambda: world.endpoints.deploy(place, spec))


def _drop(turn: Turn, step: Arrange) -> StoredRollout:
    """The record follows the endpoint: this arm has given its share back."""
    after = dropped(turn.rollout, _arm(step).deployed_id, step.sentence)
    return turn.record(after.moved(turn.world.now()), turn.telling("drop", step.sentence, "warning"))


def _arm(step: Arrange) -> Arm:
    assert step.arm is not None  # noqa: S101 (the plan names one)
    return step.arm


def dropped(rollout: Rollout, deployed_id: str, why: str) -> Rollout:
    """The record without this arm."""
    arms = tuple(replace(arm, out=why) if arm.deployed_id == deployed_id else arm for arm in rollout.arms)
    return replace(rollout, arms=arms)


def won(rollout: Rollout, shift: Shift) -> Rollout:
    """The record is the winner's from here on."""
    winner = next(arm for arm in rollout.arms if arm.deployed_id == shift.winner or arm.deployed_id in shift.to)
    arms = tuple(arm if arm == winner or arm.out else replace(arm, out="did not win") for arm in rollout.arms)
    if shift.winner:  # on an endpoint of its own; it is deployed anew beside the control
        return replace(rollout, version=winner.version, deployed_id="", attempt=1, stage_since=None, arms=arms)
    return replace(rollout, version=winner.version, deployed_id=winner.deployed_id, arms=arms)


_ARRANGE: dict[str, Callable[[Turn, Arrange], StoredRollout]] = {
    "start": _start,
    "create": _create,
    "deploy": _deploy,
    "serve": _serve,
    "drop": _drop,
}


def sweep_arm(world: World, endpoint: Endpoint) -> str:
    """Take away one step of an arm's endpoint that no client is told of any more; what was done, "" for nothing."""
    owner = endpoint.labels[ARM]
    stored = world.store.get_rollout(owner)
    if stored and not is_arm_over(stored.rollout, endpoint.ref, world.now()):
        return ""
    why = f"its experiment {owner} " + ("needs it no more" if stored else "is not in the store")
    try:
        if endpoint.deployed:
            for deployed in endpoint.deployed:
                world.endpoints.undeploy(endpoint.ref, deployed.id)
            return f"Undeployed the arm on {endpoint.ref}: {why}"
        world.endpoints.delete(endpoint.ref)
    except PermanentError as exc:
        log.info(f"the arm on {endpoint.ref} is being removed already: {exc}")
        return ""
    return f"Deleted the arm's endpoint {endpoint.ref}: {why}"
