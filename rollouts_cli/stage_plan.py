"""What each stage of a policy will take, and the least harm that is found in it: estimates of medians, before a rollout.

Evidence grows by so many nats per request of the candidate and its bound is so many nats away (``shared.rollout.statistics.plan``).
No harm is gathered over all stages, as the engine does; harm is planned as if it began with the stage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rollouts_cli.assumed import World
from shared.policy.rollout import ERROR_RATE, Check, RolloutSpec
from shared.rollout.claims import Claim, harm_claims, no_harm_claims
from shared.rollout.statistics.process import threshold

_HARM_OVERHEAD, _NO_HARM_OVERHEAD = 0.9, 0.5
"""Nats at the median, as in ``shared.rollout.statistics.plan``."""
_LARGEST = 1_000.0
MINUTE = 60.0


@dataclass(frozen=True)
class Found:
    """The least that a check finds in a stage."""

    metric: str
    factor: float | None
    """Times the odds of an error, or times all values; below 1 downwards; None where not even a thousandfold is found."""
    share: float | None
    """The error rate that is; None for other metrics."""


@dataclass(frozen=True)
class PlannedStage:
    """One stage; seconds."""

    number: int
    traffic: int
    seconds: float
    """From the shift to the decision, lag included; infinite where it does not come."""
    judged_seconds: float
    """How much of it is judged when it is decided (the deadline where nothing is)."""
    bake_seconds: float
    waits_for: str
    """What is known last: a claim, or the bake time."""
    found: tuple[Found, ...]


@dataclass(frozen=True)
class Plan:
    """All stages before the last, and what is to be said of them."""

    stages: tuple[PlannedStage, ...]
    unknown: tuple[str, ...]
    """Metrics of which nobody said what the stable does; they are left out."""
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)


def plan_stages(spec: RolloutSpec, world: World) -> Plan:
    """The plan of a policy in a world."""
    checks = [check for check in spec.checks if check.gating and world.knows(check)]
    judged: list[tuple[float, float]] = []
    stages = []
    for index, stage in enumerate(spec.stages[:-1]):
        weight, last = stage.traffic / 100, index >= len(spec.stages) - 2
        seconds, waits_for = _until_decided(spec, world, checks, judged, index, last=last)
        bake, settle = stage.bake.total_seconds(), spec.metrics.settle.total_seconds()
        known = min(max(seconds, bake), spec.deadline.after.total_seconds())
        judged.append((weight, max(known - settle, 0.0)))
        requests = world.rps * weight * judged[-1][1]
        stages.append(
            PlannedStage(
                index + 1,
                stage.traffic,
                max(seconds, bake) + (spec.metrics.lag.total_seconds() if checks else 0.0),
                known,
                bake,
                waits_for if seconds > bake else "bake",
                tuple(least_harm(spec, world, checks, requests, weight)),
            )
        )
    unknown = tuple(check.metric for check in spec.checks if check.gating and not world.knows(check))
    return Plan(tuple(stages), unknown, tuple(_warnings(spec, world, checks, stages)))


def least_harm(
    spec: RolloutSpec, world: World, checks: Sequence[Check], requests: float, weight: float
) -> Iterator[Found]:
    """By check and direction, the least that so many candidate requests find."""
    for check in checks:
        for direction in _directions(check):
            excess = _excess_of(spec, world, check, len(checks), requests, weight, direction)
            factor = _least(excess)
            if factor is None:
                yield Found(check.metric, None, None)
            elif check.metric == ERROR_RATE:
                yield Found(check.metric, factor, world.worse_share(factor))
            else:
                yield Found(check.metric, factor**direction, None)


def _directions(check: Check) -> tuple[int, ...]:
    """Whether values may be too high (1), too low (-1), or both."""
    if check.metric == ERROR_RATE or check.metric.endswith("_ms"):
        return (1,)
    has_margin = check.margin is not None
    up = has_margin or check.range or check.share_above or check.mean_at_most is not None
    up = up or any(limit is not None for limit in (check.p50_at_most, check.p95_at_most, check.p99_at_most))
    down = has_margin or check.range or check.share_below or check.mean_at_least is not None
    return tuple(sign for sign, wanted in ((1, up), (-1, down)) if wanted)


def _excess_of(
    spec: RolloutSpec, world: World, check: Check, checks: int, requests: float, weight: float, direction: int
) -> Callable[[float], float]:
    """By factor: the nats that the best group of claims has beyond what it needs."""
    groups = harm_claims(check, world.frozen(check))
    alpha = spec.confidence.harm

    def excess(factor: float) -> float:
        beyond = -math.inf
        for name, claims in groups.items():
            growths = [world.harm_growth(check, claim, factor**direction, weight) for claim in claims]
            # An average gives each claim its part; where a limit must be broken and the stable be beaten, the slower one counts.
            parts, growth = (len(claims), max(growths)) if name == "relative" else (1, min(growths))
            needed = math.log(checks * len(groups) * parts * threshold(alpha)) + _HARM_OVERHEAD
            beyond = max(beyond, growth * requests - needed)
        return beyond

    return excess


def _least(excess: Callable[[float], float]) -> float | None:
    """The least factor that is found, by bisection: more harm is more evidence."""
    if excess(_LARGEST) < 0:
        return None
    low, high = 1.0, _LARGEST
    while high / low > 1.0001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if excess(middle) >= 0 else (middle, high)
    return high


def _until_decided(
    spec: RolloutSpec,
    world: World,
    checks: Sequence[Check],
    judged: Sequence[tuple[float, float]],
    index: int,
    *,
    last: bool,
) -> tuple[float, str]:
    """Seconds from the shift until every check has its evidence of no harm, without the lag, and the claim that is last."""
    settle, weight = spec.metrics.settle.total_seconds(), spec.stages[index].traffic / 100
    slowest, waits_for = 0.0, "bake"
    for check in checks:
        if spec.advance == "bake":
            seconds, name = _seconds(check.min_samples, world.rps * weight), f"{check.metric} samples"
        else:
            seconds, name = _until_no_harm(spec, world, check, judged, weight, last=last)
        # The first minute of a metric with values fixes what it is compared with.
        first = MINUTE if check.metric != ERROR_RATE and spec.advance == "evidence" and index == 0 else 0.0
        if settle + first + seconds > slowest:
            slowest, waits_for = settle + first + seconds, name
    return slowest, waits_for


def _until_no_harm(
    spec: RolloutSpec, world: World, check: Check, judged: Sequence[tuple[float, float]], weight: float, *, last: bool
) -> tuple[float, str]:
    slowest, slowest_name = 0.0, f"{check.metric}"
    groups = no_harm_claims(check, world.frozen(check), last=last)
    if not groups:
        return math.inf, f"{check.metric}, which has nothing to prove"
    for group, claims in groups.items():
        needed = math.log(threshold(spec.confidence.no_harm)) + _NO_HARM_OVERHEAD
        # Either of two would do, and each gives half of its evidence away.
        needed += math.log(len(claims))
        soonest = min(_claim_seconds(world, check, claim, judged, weight, needed) for claim in claims)
        if soonest > slowest:
            slowest, slowest_name = soonest, f"{check.metric} ({group.partition('-')[0]})"
    return slowest, slowest_name


def _claim_seconds(
    world: World, check: Check, claim: Claim, judged: Sequence[tuple[float, float]], weight: float, needed: float
) -> float:
    gathered = sum(
        world.no_harm_growth(check, claim, before) * world.rps * before * seconds for before, seconds in judged
    )
    growth = world.no_harm_growth(check, claim, weight)
    if gathered >= needed:
        return MINUTE
    return _seconds((needed - gathered) / growth, world.rps * weight) if growth > 0 else math.inf


def _seconds(requests: float, per_second: float) -> float:
    """In whole minutes, which are what is counted."""
    if per_second <= 0 or not math.isfinite(requests):
        return math.inf
    return math.ceil(requests / per_second / MINUTE) * MINUTE


def _warnings(
    spec: RolloutSpec, world: World, checks: Sequence[Check], stages: Sequence[PlannedStage]
) -> Iterator[str]:
    if not checks:
        yield "no gating check can be planned: nothing would be found in any stage"
    if not world.rps:
        yield "without traffic no stage is ever decided"
        return
    deadline = spec.deadline.after.total_seconds()
    for stage in stages:
        where = f"stage {stage.number} ({stage.traffic} %)"
        if math.isinf(stage.seconds):
            yield f"{where} is never decided: {stage.waits_for} cannot be shown at this stable, however long one waits"
        elif stage.seconds > deadline:
            yield f"{where} is not decided before its deadline: {stage.waits_for} needs longer at this traffic"
        for found in stage.found:
            if found.factor is None:
                yield f"{where} finds no harm of {found.metric} at all at this traffic"
