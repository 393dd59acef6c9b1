"""What nothing needs any more on one endpoint: fallbacks whose watch is over, candidates that were rolled back, replicas that were pinned.

Computed from the endpoint and the records alone, so it needs no memory of its own and finds what a crash left behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.policy.schema import Policy
from shared.policy.units import format_duration
from shared.rollout.capacity import ReplicaChange
from shared.rollout.labels import read_labels
from shared.rollout.names import deployed_model_id, stable_again_id
from shared.rollout.observed import DeployedModel, Endpoint
from shared.rollout.record import Phase, Rollout

GRACE = timedelta(minutes=10)
"""How long a rolled-back candidate stays deployed: its logs and replicas are what people look at first."""

MOST_ATTEMPTS = 10
"""Of ``rollout.deploy_attempts``."""
DRAWS = 3
"""How many ids per attempt are known again; a second draw is rare."""


@dataclass(frozen=True)
class Undeploy:
    deployed_id: str
    sentence: str


@dataclass(frozen=True)
class Resize:
    change: ReplicaChange
    sentence: str


Retirement = Undeploy | Resize


def plan_retirement(policy: Policy, endpoint: Endpoint, rollouts: Sequence[Rollout], now: datetime) -> list[Retirement]:
    """What to undeploy or resize; ``rollouts`` are all of this endpoint, also those that ended.

    Only deployed models that a rollout of ours made or replaced are ever touched, never one with traffic, never the stable, never a
    fallback in its watch.
    """
    trial = read_labels(endpoint.labels)
    if not trial.is_ours and not trial.model:
        return []  # with our model's name and no stable it is one of ours that has never served
    found: list[Retirement] = []
    # The arms of a sticky experiment have endpoints of their own, which go with them.
    for deployed in endpoint.group.main.deployed if endpoint.group else endpoint.deployed:
        needed = deployed.id in (trial.stable, trial.candidate, trial.fallback, *trial.arms) or endpoint.share(
            deployed.id
        )
        owner = next((r for r in rollouts if deployed.id in _deployed_by(r)), None)
        if not needed:
            found += _plan_unneeded(endpoint, deployed, owner, rollouts, now)
        elif trial.rollout == "" or deployed.id == trial.fallback:
            found += _plan_size(policy, deployed, trial.fallback, rollouts, now)
    return found


def _plan_unneeded(
    endpoint: Endpoint, deployed: DeployedModel, owner: Rollout | None, rollouts: Sequence[Rollout], now: datetime
) -> list[Retirement]:
    lost_arm = next((arm for r in rollouts for arm in r.arms if arm.deployed_id == deployed.id and arm.out), None)
    if owner and lost_arm and owner.stage_since and now - owner.updated_at >= GRACE:
        return [
            Undeploy(deployed.id, f"Undeployed v{deployed.version} from {endpoint.ref}: it is out of its experiment")
        ]
    if owner and owner.phase.is_open:
        return []  # of a watch too: its record is behind the endpoint, and says soon how it ended
    if any(r.phase.is_trial and r.stable_id == deployed.id for r in rollouts):
        return []
    if owner is None:
        # That of a trial which was rolled back stays needed by its label, until somebody has made another one the stable.
        is_stable = any(r.stable_id == deployed.id and (r.phase.is_open or r.phase is Phase.PROMOTED) for r in rollouts)
        lost = None if is_stable else next((r for r in rollouts if deployed.id in _earlier_attempts(r)), None)
        if lost:
            why = f"an earlier attempt of {lost.id} left it, and no rollout owns it"
            return [Undeploy(deployed.id, f"Undeployed v{deployed.version} from {endpoint.ref}: {why}")]
    former = next((r for r in rollouts if r.stable_id == deployed.id and r.phase is Phase.PROMOTED), None)
    if owner is None and former is None:
        return []
    since = max([r.phase_since for r in (owner, former) if r is not None])
    if owner and owner.phase in (Phase.ROLLED_BACK, Phase.FAILED) and now - since < GRACE:
        return []
    why = (
        f"it was {owner.phase.replace('_', ' ')}"
        if owner and owner.phase is not Phase.PROMOTED
        else "its watch is over"
    )
    return [Undeploy(deployed.id, f"Undeployed v{deployed.version} from {endpoint.ref}: {why} and nothing needs it")]


def _earlier_attempts(rollout: Rollout) -> set[str]:
    """The ids under which it was to be deployed before; a deployment that was given up may still have ended well."""
    attempts = range(1, rollout.attempt + 1)
    of_arms = {deployed_model_id(f"{rollout.id}/{arm.name}", attempt) for arm in rollout.arms for attempt in attempts}
    again = {stable_again_id(rollout.id, failed) for failed in range(MOST_ATTEMPTS)}
    own = {deployed_model_id(rollout.id, attempt, draw) for attempt in attempts for draw in range(DRAWS)}
    return of_arms | again | own


def _deployed_by(rollout: Rollout) -> tuple[str, ...]:
    return rollout.deployed_id, *(arm.deployed_id for arm in rollout.arms)


def _plan_size(
    policy: Policy, deployed: DeployedModel, fallback: str, rollouts: Sequence[Rollout], now: datetime
) -> list[Retirement]:
    """Minimum replicas back to what they were, once the time in which a rollback must find full strength is over."""
    standby = policy.rollout.standby
    concerned = [r for r in rollouts if deployed.id in (r.deployed_id, r.stable_id)]
    if any(r.phase.is_trial for r in concerned):
        return []  # the next trial has its own wishes
    ended = max((r.phase_since for r in concerned), default=now)
    if now - ended < standby.hold:
        return []
    usual = policy.machine.replicas.min
    wanted = standby.replicas if deployed.id == fallback else usual
    if deployed.min_replicas <= wanted or not any(deployed.id in r.pinned for r in rollouts):
        return []
    why = f"back to {wanted} replicas at least, {format_duration(standby.hold)} after the last change of traffic"
    change = ReplicaChange(deployed.id, wanted, max(deployed.max_replicas, wanted), deployed.min_replicas, why)
    return [Resize(change, f"v{deployed.version} {why}")]
