"""What a tick knows of shadows: served by their own endpoints, and compared with what the stable answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from shared.rollout.agreement import agreement_arms
from shared.rollout.evidence import merge_arms
from shared.rollout.names import shadow_target
from shared.rollout.observed import ArmMinute, Endpoint, Minute, TargetRef
from shared.rollout.record import Rollout
from shared.store.mirrored import Compared
from shared.wiring import World

MINUTE = timedelta(minutes=1)


def compared_minutes(
    world: World, begins: Sequence[datetime], until: datetime, known: Collection[datetime] = ()
) -> dict[datetime, list[Compared]]:
    """By the end of its minute, what was compared since the earliest of ``begins``: one query per minute that is not ``known``."""
    if not begins:
        return {}
    start = min(begins)
    count = max(int((until - start) / MINUTE), 0)
    ends = [start + MINUTE * (number + 1) for number in range(count)]
    return {end: world.store.mirrored.of_minute(end) for end in ends if end not in known}


def shadow_minutes(
    rollout: Rollout,
    served: Callable[[TargetRef], Sequence[Minute]],
    compared: Mapping[datetime, Sequence[Compared]],
    until: datetime,
) -> list[Minute]:
    """The stable's arm from its own endpoint, the candidate's from the shadow, and beside them how their answers agree."""
    shadow = shadow_target(rollout.id, rollout.target)
    arms: dict[datetime, dict[str, ArmMinute]] = {}
    for ref, deployed_id in ((rollout.target, rollout.stable_id), (shadow, rollout.deployed_id)):
        for minute in served(ref):
            if deployed_id in minute.arms:
                arms.setdefault(minute.at, {})[deployed_id] = minute.arms[deployed_id]
    for end, found in compared.items():
        counts = list(_arms(rollout, found))
        for key in {key for one in counts for key in one}:
            arms.setdefault(end, {})[key] = merge_arms(one[key] for one in counts if key in one)
    return [Minute(at, arms[at]) for at in sorted(arms) if at <= until]


def _arms(rollout: Rollout, found: Sequence[Compared]) -> Iterator[dict[str, ArmMinute]]:
    return (agreement_arms(rollout.deployed_id, one.counts) for one in found if one.rollout == rollout.id)


def needs_shadow_step(rollout: Rollout, endpoints: Mapping[TargetRef, Endpoint]) -> bool:
    """While answers are gathered there is nothing to do, unless somebody has changed who answers."""
    if rollout.stage_since is None or rollout.operation is not None:
        return True
    shadow = endpoints.get(shadow_target(rollout.id, rollout.target))
    endpoint = endpoints.get(rollout.target)
    is_as_it_was = (
        shadow is not None
        and shadow.share(rollout.deployed_id) == 100
        and endpoint is not None
        and endpoint.share(rollout.stable_id) == 100
    )
    return not is_as_it_was and not rollout.hold
