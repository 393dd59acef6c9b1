"""Carrying out what a rollout does about its shadow, and clearing away a shadow whose rollout has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from shared import log
from shared.actions.operate import begin, deploy_spec
from shared.actions.turn import Turn
from shared.errors import ConflictError, PermanentError
from shared.policy.schema import Target
from shared.rollout.labels import MODEL
from shared.rollout.names import label_value, shadow_target
from shared.rollout.observed import Endpoint, TargetRef
from shared.rollout.record import Operation, Phase
from shared.rollout.shadowing import SHADOW
from shared.rollout.steps import Tend
from shared.store.store import StoredRollout
from shared.wiring import World


def shadow_of(turn: Turn) -> TargetRef:
    return shadow_target(turn.rollout.id, turn.rollout.target)


def tend(turn: Turn, step: Tend) -> StoredRollout:
    """One step about the shadow."""
    return _TEND[step.action](turn, step)


def _start(turn: Turn, step: Tend) -> StoredRollout:
    """It takes its place on the endpoint: nobody else is on trial meanwhile."""
    after = turn.rollout.moved(
        turn.world.now(),
        phase=Phase.SHADOW,
        stable_id=step.stable_id,
        stable_version=step.stable_version,
        aliases_due=True,
    )
    return turn.record(after, turn.telling("start", step.sentence), "take")


def _create(turn: Turn, step: Tend) -> StoredRollout:
    ref, rollout = shadow_of(turn), turn.rollout
    op = Operation("create_endpoint", ref.endpoint, turn.world.now(), detail=step.sentence)
    labels = {SHADOW: rollout.id, MODEL: label_value(rollout.model)}
    target = Target(region=ref.region, endpoint=ref.endpoint)  # neither logged nor dedicated, whatever the policy's is
    return begin(turn, rollout, op, lambda: turn.world.endpoints.create(ref, target, labels))


def _deploy(turn: Turn, step: Tend) -> StoredRollout:
    ref, world, policy = shadow_of(turn), turn.world, turn.situation.policy
    op = Operation("deploy", step.deployed_id, world.now(), detail=step.sentence)
    spec = deploy_spec(turn, step.deployed_id)
    if policy.rollout.shadow:
        spec = replace(spec, min_replicas=policy.rollout.shadow.replicas, access_logging=False)
    rollout = replace(turn.rollout, deployed_id=step.deployed_id, not_before=None)
    return begin(turn, rollout, op, lambda: world.endpoints.deploy(ref, spec))


def _serve(turn: Turn, step: Tend) -> StoredRollout:
    """All the traffic of an endpoint that no user knows."""
    shadow = turn.situation.shadow
    if shadow is None:
        raise ConflictError(f"the shadow of {turn.rollout.id} is gone; it is decided again")
    turn.world.endpoints.write_traffic(shadow, {step.deployed_id: 100}, shadow.labels)
    return _begin(turn, step)


def _begin(turn: Turn, step: Tend) -> StoredRollout:
    """From now on its answers count."""
    now = turn.world.now()
    return turn.record(turn.rollout.moved(now, stage_since=now), turn.telling("note", step.sentence))


def _end(turn: Turn, step: Tend) -> StoredRollout:
    """Its evidence is no longer needed, and its attempts are not the production deployment's."""
    after = turn.rollout.moved(turn.world.now(), shadowed=True, stage_since=None, approved=False, attempt=1)
    return turn.record(after, turn.telling("advance", step.sentence, checks=step.checks))


def _undeploy(turn: Turn, step: Tend) -> StoredRollout:
    op = Operation("undeploy", step.deployed_id, turn.world.now(), detail=step.sentence)
    return begin(turn, turn.rollout, op, lambda: turn.world.endpoints.undeploy(shadow_of(turn), step.deployed_id))


def _delete(turn: Turn, step: Tend) -> StoredRollout:
    ref = shadow_of(turn)
    op = Operation("delete_endpoint", ref.endpoint, turn.world.now(), detail=step.sentence)
    return begin(turn, turn.rollout, op, lambda: turn.world.endpoints.delete(ref))


_TEND: dict[str, Callable[[Turn, Tend], StoredRollout]] = {
    "start": _start,
    "create": _create,
    "deploy": _deploy,
    "serve": _serve,
    "begin": _begin,
    "end": _end,
    "undeploy": _undeploy,
    "delete": _delete,
}


def sweep_shadow(world: World, endpoint: Endpoint) -> str:
    """Take away one step of a shadow whose rollout has ended, however it ended; what was done, "" for nothing."""
    owner = endpoint.labels[SHADOW]
    stored = world.store.get_rollout(owner)
    if stored and stored.rollout.phase is Phase.SHADOW:
        return ""
    why = f"its rollout {owner} is {stored.rollout.phase.value.replace('_', ' ') if stored else 'not in the store'}"
    try:
        if endpoint.deployed:
            # The last one of its endpoint: its traffic goes with it (UndeployModelRequest.traffic_split).
            for deployed in endpoint.deployed:
                world.endpoints.undeploy(endpoint.ref, deployed.id)
            return f"Undeployed the shadow on {endpoint.ref}: {why}"
        world.endpoints.delete(endpoint.ref)
    except PermanentError as exc:
        log.info(f"the shadow on {endpoint.ref} is being removed already: {exc}")
        return ""
    return f"Deleted the shadow endpoint {endpoint.ref}: {why}"
