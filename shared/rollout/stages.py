"""A policy's stages, as seen from a rollout."""

from __future__ import annotations

from shared.policy.schema import Policy
from shared.rollout.record import Phase, Rollout


def next_stage(rollout: Rollout, stages: int) -> int:
    """The stage that comes next: the last one at once for a first version, which has nobody beside it."""
    if rollout.phase is Phase.DEPLOYING and not rollout.stable_id:
        return stages - 1
    return min(rollout.stage + 1, stages - 1)


def approvers(policy: Policy, rollout: Rollout) -> tuple[str, ...]:
    """Who may agree to the next stage; none named means the operators."""
    rule = policy.rollout.stages[next_stage(rollout, len(policy.rollout.stages))].approval
    return tuple(rule.by) if rule else ()
