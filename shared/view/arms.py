"""The arms of an experiment, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from shared.policy.schema import Policy
from shared.rollout.contest import CONTROL, counted
from shared.rollout.evidence import Evidence
from shared.rollout.record import Phase, Rollout


@dataclass(frozen=True)
class ArmRow:
    """One version in an experiment, the control among them."""

    name: str
    version: str
    deployed_id: str
    out: str
    """Why it is out; empty while it is in."""
    good: float | None
    """The share of good answers lately; None where nothing was measured."""
    samples: int


def arm_rows(rollout: Rollout, policy: Policy | None, evidence: Evidence | None) -> list[ArmRow]:
    """The control first; none where the rollout is no experiment."""
    spec = policy.rollout.experiment if policy else None
    if spec is None or not rollout.arms:
        return []
    is_now = evidence is not None and evidence.stage_since == rollout.stage_since and rollout.phase is Phase.EXPERIMENT
    found = []
    for name, version, id_, out in (
        (CONTROL, rollout.stable_version, rollout.stable_id, ""),
        *((arm.name, arm.version, arm.deployed_id, arm.out) for arm in rollout.arms),
    ):
        n, bad = counted(spec.objective, evidence.arm(id_)) if is_now and evidence and id_ else (0, 0)
        found.append(ArmRow(name, version, id_, out, (n - bad) / n if n else None, n))
    return found
