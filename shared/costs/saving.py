"""What may be saved without asking: only what one call undoes, and only in part.

A minimum of replicas can be lowered and raised again in a minute, while everything serves. An undeployment cannot be taken back as quickly, and
another machine is another deployment; both are suggested and never done.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from shared.costs.audit import Audit
from shared.costs.findings import minimum, standby
from shared.costs.money import usd
from shared.rollout.observed import TargetRef

REVERSIBLE = frozenset({minimum.KIND, standby.PINNED})
LARGEST = 2
"""A minimum is at most halved by one audit; the next one sees what came of it."""


@dataclass(frozen=True)
class Saving:
    """One lowered minimum."""

    id: str
    """The finding's."""
    model: str
    """The policy's."""
    version: str
    target: TargetRef
    deployed_id: str
    before: tuple[int, int]
    """Minimum and maximum of the replicas."""
    after: tuple[int, int]
    saving: Decimal
    """What the whole finding saves a month."""

    @property
    def sentence(self) -> str:
        return (
            f"Lowered the minimum of {self.model} v{self.version} from {self.before[0]} to {self.after[0]} replicas:"
            f" the audit finds {usd(self.saving)} a month too much; `rollouts undo-saving {self.id}` puts it back"
        )


def plan_savings(audit: Audit, allowed: Collection[str], undone: Collection[str]) -> list[Saving]:
    """What the policies of ``allowed`` models agree to, without what a person has put back."""
    held = {one.key: one for one in audit.holdings}
    planned = []
    for finding in audit.findings:
        if (
            finding.kind not in REVERSIBLE
            or not finding.counted
            or finding.confidence != "high"
            or finding.saving is None
        ):
            continue
        holding = held[finding.claims[0]]
        endpoint, one, change = holding.endpoint, holding.deployed, dict(finding.change)
        if endpoint.policy not in allowed or finding.id in undone:
            continue
        lowest = max(change["min"], -(-one.minimum // LARGEST))
        if lowest < one.minimum:
            ref = TargetRef(endpoint.project, endpoint.region, endpoint.id)
            limits, then = (one.minimum, one.maximum), (lowest, max(lowest, one.maximum))
            planned.append(Saving(finding.id, endpoint.policy, one.version, ref, one.id, limits, then, finding.saving))
    return planned
