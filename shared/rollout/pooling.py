"""Machines that several models share: a pool that is made before the first deployment on it, and deleted when nobody names it any more."""

from __future__ import annotations

from shared.rollout.deploying import plan_under_way, wait_for_attempt
from shared.rollout.names import pool_id
from shared.rollout.record import Phase
from shared.rollout.step_kinds import Close, CreatePool, Forget, Situation, Step


def plan_pool(s: Situation) -> Step | None:
    """What is missing of the pool; None when it is there, or none is wanted."""
    name, op, r = s.policy.machine.pool, s.rollout.operation, s.rollout
    if name is None:
        return None
    if s.pool is not None:
        if op is not None and op.kind == "create_pool":
            return Forget(f"pool {s.pool.id} is there")
        wanted = s.policy.machine.type
        if s.pool.machine_type != wanted:
            why = f"pool {s.pool.id} has {s.pool.machine_type}, the policy says {wanted}, and Vertex AI changes no pool's machine"
            return Close(Phase.REJECTED, f"Refused v{r.version}: {why}")
        return None
    if op is None:
        return wait_for_attempt(s) or CreatePool(pool_id(name), f"Creating pool {pool_id(name)} for v{r.version}")
    late, meanwhile = (
        f"Failed v{r.version}: pool {pool_id(name)} was not there",
        f"pool {pool_id(name)} is being created",
    )
    return plan_under_way(s, op, late, meanwhile)
