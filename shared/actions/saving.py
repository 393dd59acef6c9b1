"""Saving what a policy allows."""

from __future__ import annotations

from shared import log
from shared.actions.record import record_entry
from shared.actions.undoing import ACTOR, saving_entry
from shared.costs.audit import Audit
from shared.costs.saving import Saving, plan_savings
from shared.errors import RolloutsError
from shared.policy.schema import Policy
from shared.store.savings import StoredSaving
from shared.wiring import World


def apply_savings(world: World, result: Audit) -> list[Saving]:
    """Of models whose policy says ``savings: apply`` and enforces; what was done.

    Not of several endpoints that are one target: what looks idle there may have to carry all the traffic at once.
    """
    policies = [s.policy for s in world.store.policies() if s.policy.savings == "apply"]
    allowed = {p.model for p in policies if p.mode == "enforce" and not _has_several_endpoints(p)}
    if not allowed:
        return []
    done = []
    for saving in plan_savings(result, allowed, world.store.savings.undone()):
        # What it was is known before anything changes: whoever finds it changed can put it back.
        world.store.savings.put(_stored(saving))
        try:
            world.endpoints.set_replicas(saving.target, saving.deployed_id, *saving.after)
        except RolloutsError as exc:
            log.warning(f"{saving.model} v{saving.version} keeps its minimum of {saving.before[0]}: {exc}")
            continue
        done.append(saving)
        record_entry(world, saving_entry(world, saving, saving.sentence, ACTOR))
    return done


def _stored(saving: Saving) -> StoredSaving:
    return StoredSaving(
        saving.id,
        saving.model,
        saving.version,
        saving.target,
        saving.deployed_id,
        saving.before,
        saving.after,
    )


def _has_several_endpoints(policy: Policy) -> bool:
    experiment = policy.rollout.experiment
    return policy.rollout.blue_green is not None or (experiment is not None and experiment.is_sticky)
