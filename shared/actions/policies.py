"""The policy that a rollout keeps, and the targets that it names."""

from __future__ import annotations

from shared.errors import PermanentError
from shared.policy.schema import Policy, Target
from shared.rollout.copies import Place
from shared.rollout.names import export_place, export_target
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


def home_of(world: World, policy: Policy) -> Place:
    """Where the model's versions are registered: project and region of the first target."""
    first = target_ref(world, policy.targets[0])
    return first.project, first.region


def away_from(world: World, policy: Policy, ref: TargetRef) -> Place | None:
    """That place, where a target needs a copy of the version; files for devices are copied from anywhere."""
    home = home_of(world, policy)
    return None if home == (ref.project, ref.region) or export_place(ref) else home


def places_of(world: World, policy: Policy) -> list[Place]:
    """Where there are versions of the model: at home first, then wherever they are copied to."""
    refs = [target_ref(world, target) for target in policy.targets]
    away = [(ref.project, ref.region) for ref in refs if away_from(world, policy, ref)]
    return list(dict.fromkeys([home_of(world, policy), *away]))


def target_of(world: World, policy: Policy, ref: TargetRef) -> Target | None:
    """The policy's target for an endpoint."""
    return next((t for t in policy.targets if target_ref(world, t) == ref), None)
