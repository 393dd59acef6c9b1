"""Capacity before share: nobody is given traffic that it could not carry, and nobody loses the machines to take it back."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shared.policy.schema import Machine
from shared.rollout.observed import DeployedModel


@dataclass(frozen=True)
class ReplicaChange:
    """New bounds for one deployed model (MutateDeployedModel)."""

    deployed_id: str
    minimum: int
    maximum: int
    before: int
    """Its minimum until now; given back when the trial is over."""
    why: str


def plan_candidate(
    candidate: DeployedModel, stable: DeployedModel | None, share: int, machine: Machine
) -> ReplicaChange | None:
    """The replicas that the candidate needs for ``share`` percent, from how many the stable has now for all of it."""
    if stable is None or stable.pool or candidate.pool:
        return None  # a pool's autoscaler looks at all the traffic that its models have together
    carrying = max(stable.present_replicas, 1)
    needed = min(
        max(math.ceil(carrying * share / 100), machine.replicas.min), max(machine.replicas.max, candidate.max_replicas)
    )
    if candidate.min_replicas >= needed:
        return None
    why = f"{needed} replicas for {share} % of what {carrying} carry now"
    return ReplicaChange(candidate.id, needed, max(candidate.max_replicas, needed), candidate.min_replicas, why)


def is_strong_enough(candidate: DeployedModel) -> bool:
    """Whether the replicas that were asked for are there; unknown counts as there, or a rollout could wait for ever."""
    if candidate.pool:
        return True
    return candidate.available_replicas is None or candidate.available_replicas >= candidate.min_replicas


def plan_pin(stable: DeployedModel, pinned: dict[str, int]) -> ReplicaChange | None:
    """Keep the stable at the strength with which it carries the traffic: its autoscaler would shrink it as its share falls."""
    if stable.pool:
        return None
    present = stable.present_replicas
    is_pinned = stable.id in pinned and stable.min_replicas > pinned[stable.id]
    if is_pinned or stable.min_replicas >= present:
        return None
    why = f"keeps its {present} replicas while another is on trial, so that a rollback is no outage"
    return ReplicaChange(stable.id, present, max(stable.max_replicas, present), stable.min_replicas, why)
