"""Undeploying what nothing needs, giving back replicas that were pinned, deleting versions beyond the retention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from shared import log
from shared.actions.deleting import delete_versions
from shared.actions.examining import cancel_unneeded
from shared.actions.experiment import sweep_arm
from shared.actions.exports import read_exports
from shared.actions.policies import target_ref
from shared.actions.pools import delete_pools, has_pools
from shared.actions.record import record_entry
from shared.actions.shadow import sweep_shadow
from shared.errors import PermanentError, RolloutsError, TransientError
from shared.policy.schema import Policy, Target
from shared.rollout.labels import ARM, read_labels
from shared.rollout.names import label_value
from shared.rollout.observed import Endpoint
from shared.rollout.record import LedgerEntry, Rollout
from shared.rollout.retire import Retirement, Undeploy, plan_retirement
from shared.rollout.shadowing import SHADOW
from shared.wiring import World

PENDING = timedelta(minutes=30)
"""How long an undeployment that was asked for is left to itself before it is asked for again."""
LOOKED_AT = 50
"""The rollouts of an endpoint, newest first, that can still own something on it."""


def retire_models(world: World) -> list[Retirement]:
    """All endpoints whose labels name a model of ours; what was asked for.

    By the labels, not by the targets: an endpoint that a policy no longer names still has machines that somebody pays for.
    """
    policies = {s.model: s.policy for s in world.store.policies() if s.policy.mode == "enforce"}
    done: list[Retirement] = []
    for project, region in sorted({_place(world, target) for p in policies.values() for target in p.targets}):
        endpoints = _endpoints(world, project, region)
        if endpoints is None:
            continue
        _delete_old(world, policies.values(), (project, region), endpoints)
        _delete_pools(world, list(policies.values()), (project, region))
        _cancel_jobs(world, list(policies.values()), (project, region))
        folders = [target_ref(world, t) for p in policies.values() for t in p.targets if t.bucket]
        here = [ref for ref in folders if (ref.project, ref.region) == (project, region)]
        for endpoint in [*endpoints, *read_exports(world, here)]:
            policy = policies.get(read_labels(endpoint.labels).model)
            try:
                if SHADOW in endpoint.labels:
                    _sweep(world, endpoint, endpoint.labels[SHADOW], sweep_shadow(world, endpoint))
                    continue
                if ARM in endpoint.labels:
                    _sweep(world, endpoint, endpoint.labels[ARM], sweep_arm(world, endpoint))
                    continue
                done += _retire(world, policy, endpoint) if policy else []
            except TransientError as exc:
                log.warning(f"{endpoint.ref} is left for the next time: {exc}")
    return done


def _delete_old(
    world: World, policies: Iterable[Policy], place: tuple[str, str], endpoints: Sequence[Endpoint]
) -> None:
    for policy in policies:
        if policy.retention and place in {_place(world, target) for target in policy.targets}:
            delete_versions(world, policy, policy.retention, place, endpoints)


def _delete_pools(world: World, policies: Sequence[Policy], place: tuple[str, str]) -> None:
    """Only where a pool was ever made: everybody else is asked nothing."""
    if not has_pools(world, place):
        return
    try:
        delete_pools(world, policies, place)
    except RolloutsError as exc:
        log.warning(f"the pools of {place[0]}/{place[1]} are left for the next time: {exc}")


def _cancel_jobs(world: World, policies: Sequence[Policy], place: tuple[str, str]) -> None:
    here = [p for p in policies if place in {_place(world, target) for target in p.targets}]
    try:
        cancel_unneeded(world, here, place)
    except RolloutsError as exc:
        log.warning(f"the batch predictions of {place[0]}/{place[1]} are left for the next time: {exc}")


def _endpoints(world: World, project: str, region: str) -> list[Endpoint] | None:
    try:
        return world.endpoints.list(project, region)
    except RolloutsError as exc:  # a project that may not be read among them: it must not stop the others
        log.warning(f"{project}/{region} is left for the next time: {exc}")
        return None  # not the same as no endpoints: what is deployed is not known


def _place(world: World, target: Target) -> tuple[str, str]:
    ref = target_ref(world, target)
    return ref.project, ref.region


def _retire(world: World, policy: Policy, endpoint: Endpoint) -> list[Retirement]:
    are_all_serving = all(endpoint.share(d.id) for d in endpoint.deployed)
    if are_all_serving and not any(d.min_replicas > policy.machine.replicas.min for d in endpoint.deployed):
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
                world.endpoints.undeploy(endpoint.place(deployed_id), deployed_id)
            else:
                world.endpoints.set_replicas(
                    endpoint.place(deployed_id), deployed_id, step.change.minimum, step.change.maximum
                )
        except PermanentError as exc:
            log.warning(f"{step.sentence}: refused: {exc}")
            continue
        done.append(step)
        _record(world, endpoint, rollouts, deployed_id, step)
    return done


def _sweep(world: World, endpoint: Endpoint, owner: str, sentence: str) -> None:
    """A shadow whose rollout has ended, or an arm that is out; asked again at every run until it is gone."""
    if not sentence:
        return
    now = world.now()
    entry = LedgerEntry(
        id=label_value(f"retire-{endpoint.ref}-{int(now.timestamp())}"),
        rollout=owner,
        model=read_labels(endpoint.labels).model,
        at=now,
        decision="operate",
        sentence=sentence,
        target=str(endpoint.ref),
        actor="retire_models",
    )
    record_entry(world, entry, notice=False)


def _record(world: World, endpoint: Endpoint, rollouts: Sequence[Rollout], deployed_id: str, step: Retirement) -> None:
    now, trial = world.now(), read_labels(endpoint.labels)
    owner = next((r for r in rollouts if r.deployed_id == deployed_id), None)
    entry = LedgerEntry(
        id=label_value(f"retire-{endpoint.ref}-{deployed_id}-{type(step).__name__}-{int(now.timestamp())}"),
        rollout=owner.id if owner else trial.rollout,
        model=trial.model,
        at=now,
        decision="operate",
        sentence=step.sentence,
        target=str(endpoint.ref),
        actor="retire_models",
    )
    record_entry(world, entry, notice=False)
