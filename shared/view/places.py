"""One version on all the targets of its policy: where each of its rollouts stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.policy.schema import Policy
from shared.rollout.observed import TargetRef
from shared.rollout.record import Rollout
from shared.view.standing import Standing, standing


@dataclass(frozen=True)
class Place:
    """One target of a version."""

    rollout: str
    target: TargetRef
    standing: Standing
    is_this: bool
    """The one that is looked at."""

    @property
    def text(self) -> str:
        """``us-central1/churn-serving  ◌ canary  2/3  10 %``."""
        t = self.target
        return f"{t.region}/{t.endpoint}  {self.standing.label[0]}  {self.standing.progress}"


def places(rollout: Rollout, policy: Policy | None, newest_first: Iterable[Rollout]) -> tuple[Place, ...]:
    """The rollouts of the same version in the order of delivery, the newest of each target; empty where there is one target alone."""
    found = {rollout.target: rollout}
    for other in newest_first:
        if (other.model, other.version) == (rollout.model, rollout.version):
            found.setdefault(other.target, other)
    if len(found) == 1:
        return ()
    ordered = sorted(found.values(), key=lambda r: (_rank(r.target, policy), str(r.target)))
    return tuple(
        Place(
            one.id,
            one.target,
            standing(one, policy if one.policy_version == rollout.policy_version else None),
            one.id == rollout.id,
        )
        for one in ordered
    )


def _rank(ref: TargetRef, policy: Policy | None) -> int:
    targets = policy.targets if policy else []
    mine = (
        index
        for index, one in enumerate(targets)
        if (one.region, one.endpoint) == (ref.region, ref.endpoint) and one.project in (None, ref.project)
    )
    return next(mine, len(targets))


def places_json(found: Sequence[Place]) -> list[dict[str, Any]]:
    """The same for programs; the keys stay."""
    return [
        {
            "rollout": one.rollout,
            "target": {"project": one.target.project, "region": one.target.region, "endpoint": one.target.endpoint},
            "state": one.standing.state.replace(" ", "_"),
            "stage": one.standing.stage,
            "share": one.standing.share,
        }
        for one in found
    ]
