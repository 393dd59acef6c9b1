"""The offline gate with what it needs from the Model Registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.actions.indexing import merged_metrics
from shared.policy.schema import Policy
from shared.rollout.aliases import CHAMPION, desired_aliases
from shared.rollout.gate import GateResult, judge_gate
from shared.rollout.observed import ModelVersion
from shared.rollout.record import Rollout
from shared.wiring import World


def assess_gate(
    world: World, policy: Policy, candidate: ModelVersion, rollouts: Sequence[Rollout], since: datetime
) -> GateResult:
    """At most two reads: the evaluations of the candidate and of the champion."""
    if not policy.gate.metrics:
        return judge_gate(policy, candidate, None, None, since, world.now())
    champion = desired_aliases(rollouts, len(policy.targets)).get(CHAMPION)
    wants_champion = any(
        m.not_below_champion_by is not None or m.not_above_champion_by is not None for m in policy.gate.metrics
    )
    before = None
    if champion and wants_champion and champion != candidate.version:
        before = _metrics(world, ModelVersion(candidate.project, candidate.region, candidate.model, champion))
    return judge_gate(policy, candidate, _metrics(world, candidate), before, since, world.now())


def _metrics(world: World, version: ModelVersion) -> Mapping[str, float] | None:
    """All metrics of all evaluations, the newest winning; None where there is no evaluation."""
    found = world.registry.evaluations(version)
    if not found:
        return None
    return merged_metrics(found)
