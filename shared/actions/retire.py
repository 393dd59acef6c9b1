"""Undeploying what nothing needs, and giving back replicas that were pinned."""

from __future__ import annotations

from datetime import timedelta

from shared import log
from shared.actions.policies import target_ref
from shared.actions.record import record_entry
from shared.errors import PermanentError, TransientError
from shared.policy.schema import Policy
from shared.rollout.labels import read_labels
from shared.rollout.names import label_value
from shared.rollout.observed import Endpoint
from shared.rollout.record import LedgerEntry
from shared.rollout.retire import Retirement, Undeploy, plan_retirement
from shared.wiring import World

PENDING = timedelta(minutes=30)
"""How long an undeployment that was asked for is left to itself before it is asked for again."""
LOOKED_AT = 50
"""The rollouts of an endpoint, newest first, that can still own something on it."""


def retire_models(world: World) -> list[Retirement]:
    """All targets of all policies; what was asked for."""
    done: list[Retirement] = []
    listed: dict[tuple[str, str], dict[str, Endpoint]] = {}
    for stored in world.store.policies():
        if stored.policy.mode == "observe":
            continue
        for target in stored.policy.targets:
            ref = target_ref(world, target)
            place = (ref.project, ref.region)
            try:
                if place not in listed:
                    listed[place] = {e.ref.endpoint: e for e in world.endpoints.list(*place)}
                endpoint = listed[place].get(ref.endpoint)
                if endpoint is not None:
                    done += _retire(world, stored.policy, endpoint)
            except TransientError as exc:
                log.warning(f"{ref} is left for the next time: {exc}")
    return done


def _retire(world: World, policy: Policy, endpoint: Endpoint) -> list[Retirement]:
    if len(endpoint.deployed) < 2 and not any(d.min_replicas > policy.machine.replicas.min for d in endpoint.deployed):
        return []
    rollouts = world.store.rollouts_of_target(endpoint.ref, LOOKED_AT)
    done = []
    for step in plan_retirement(policy, endpoint, rollouts, world.now()):
        deployed_id = step.deployed_id if isinstance(step, Undeploy) else step.change.deployed_id
        if not world.store.mark_once(
            "retire", label_value(f"{endpoint.ref}-{deployed_id}-{type(step).__name__}"), world.now(), PENDING
        ):
            continue
        try:
            if isinstance(step, Undeploy):
                world.endpoints.undeploy(endpoint.ref, deployed_id)
            else:
                world.endpoints.set_replicas(endpoint.ref, deployed_id, step.change.minimum, step.change.maximum)
        except PermanentError as exc:
            log.warning(f"{step.sentence}: refused: {exc}")
            continue
        done.append(step)
        _record(world, policy, endpoint, deployed_id, step)
    return done


def _record(world: World, policy: Policy, endpoint: Endpoint, deployed_id: str, step: Retirement) -> None:
    now = world.now()
    owner = next(
        (r for r in world.store.rollouts_of_target(endpoint.ref, LOOKED_AT) if r.deployed_id == deployed_id), None
    )
    entry = LedgerEntry(
        id=label_value(f"retire-{endpoint.ref}-{deployed_id}-{type(step).__name__}-{int(now.timestamp())}"),
        rollout=owner.id if owner else read_labels(endpoint.labels).rollout,
        model=policy.model,
        at=now,
        decision="operate",
        sentence=step.sentence,
        target=str(endpoint.ref),
        actor="retire_models",
    )
    record_entry(world, entry, notice=False)
