"""The policy that a rollout keeps, and the targets that it names."""

from __future__ import annotations

from shared.errors import PermanentError
from shared.policy.schema import Policy, Target
from shared.rollout.names import export_target
from shared.rollout.observed import TargetRef
from shared.rollout.record import Rollout
from shared.wiring import World


def policy_of(world: World, rollout: Rollout) -> Policy:
    """The version it started with: a changed policy is for the next rollout."""
    stored = world.store.policy(rollout.model, rollout.policy_version)
    if stored is None:
        raise PermanentError(
            f"rollout {rollout.id} keeps version {rollout.policy_version} of the policy of {rollout.model}, which is not in the store"
        )
    return stored.policy


def target_ref(world: World, target: Target) -> TargetRef:
    """The target by ids; a policy need not name the project it is used in."""
    project = target.project or world.project
    if target.bucket:
        return export_target(project, target.region, target.bucket, target.endpoint)
    return TargetRef(project, target.region, target.endpoint)


def target_of(world: World, policy: Policy, ref: TargetRef) -> Target | None:
    """The policy's target for an endpoint."""
    return next((t for t in policy.targets if target_ref(world, t) == ref), None)
