"""What came of the keys of a sticky experiment: the first outcome of each counts, for the arm that is the key's."""

from __future__ import annotations

from shared import log
from shared.events.quality import QualityReported
from shared.policy.schema import Policy
from shared.rollout.assigning import place_of, position_of, slot_at
from shared.rollout.names import arm_target
from shared.rollout.observed import TargetRef
from shared.rollout.quality import edges_of, of_values
from shared.rollout.record import Phase, Rollout
from shared.store.quality import FORGOTTEN, Addition, end_of_minute
from shared.wiring import World


def places_of(rollout: Rollout) -> set[TargetRef]:
    """The endpoint of a rollout and those of its arms."""
    return {rollout.target, *(arm_target(rollout.id, arm.name, rollout.target) for arm in rollout.arms)}


def is_by_key(policy: Policy, metric: str) -> bool:
    """Whether a metric is counted once for each key, and so not as it comes."""
    spec = policy.rollout.experiment
    return spec is not None and spec.is_sticky and spec.objective.metric == metric


def add_outcomes(world: World, addition: Addition, policy: Policy, rollout: Rollout, report: QualityReported) -> None:
    """Add what is new among the report's outcomes; ``rollout`` is the experiment that it names.

    A key that has its outcome is passed over, and so is one that is another arm's by its hash: who was moved to the control when an arm was
    dropped is no longer like those who were there from the start.
    """
    spec = policy.rollout.experiment
    for metric, outcomes in report.outcomes.items():
        if spec is None or not is_by_key(policy, metric) or rollout.phase is not Phase.EXPERIMENT:
            log.info(f"ignored: {metric} is not the objective of a sticky experiment that is under way")
            continue
        arms = [arm.deployed_id for arm in rollout.arms]
        shares = [spec.share] * len(arms)
        mine: dict[str, float] = {}
        for digest, value in outcomes.items():
            slot = slot_at(place_of(digest), shares)
            if (rollout.stable_id if slot is None else arms[slot]) == report.deployed_model:
                mine.setdefault(f"{rollout.id}~{position_of(digest):05x}", value)
        taken = world.store.quality.taken(list(mine))
        new = {place: value for place, value in mine.items() if place not in taken}
        if len(new) < len(outcomes):
            log.info(f"passed over {len(outcomes) - len(new)} outcomes of keys that have theirs, or are another arm's")
        if not new:
            continue
        now = world.now()
        addition.places |= dict.fromkeys(new, now + spec.within + FORGOTTEN)
        key = (rollout.target.region, rollout.target.endpoint, report.deployed_model, metric)
        addition.values[end_of_minute(now)][key].append(of_values(new.values(), edges_of(policy, metric)))
