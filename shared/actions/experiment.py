"""Carrying out what an experiment does about its arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from shared.actions.operate import begin, deploy_spec
from shared.actions.turn import Turn
from shared.rollout.record import Arm, Operation, Phase, Rollout, Shift
from shared.rollout.steps import Arrange
from shared.store.store import StoredRollout


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


def _deploy(turn: Turn, step: Arrange) -> StoredRollout:
    arm, world = _arm(step), turn.world
    op = Operation("deploy", arm.deployed_id, world.now(), detail=step.sentence)
    of_arm = replace(turn.stored, rollout=replace(turn.rollout, version=arm.version))
    spec = deploy_spec(turn.after(of_arm), arm.deployed_id)
    arms = tuple(arm if one.name == arm.name else one for one in turn.rollout.arms)
    rollout = replace(turn.rollout, arms=arms, not_before=None)
    return begin(turn, rollout, op, lambda: world.endpoints.deploy(rollout.target, spec))


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
    winner = next(arm for arm in rollout.arms if arm.deployed_id in shift.to)
    arms = tuple(arm if arm == winner or arm.out else replace(arm, out="did not win") for arm in rollout.arms)
    return replace(rollout, version=winner.version, deployed_id=winner.deployed_id, arms=arms)


_ARRANGE: dict[str, Callable[[Turn, Arrange], StoredRollout]] = {"start": _start, "deploy": _deploy, "drop": _drop}
