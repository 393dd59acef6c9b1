"""Reported quality: taken into the store, read beside what Cloud Monitoring says, and copied there."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from shared import log
from shared.actions.outcomes import add_outcomes, is_by_key, places_of
from shared.actions.policies import policy_of
from shared.errors import ConflictError, RefusedError, TransientError
from shared.events.quality import Label, QualityReported
from shared.policy.rollout import Labels
from shared.policy.schema import Policy
from shared.rollout.checks import predicted_key
from shared.rollout.names import is_arm_target
from shared.rollout.observed import ArmMinute, Minute, TargetRef
from shared.rollout.quality import as_histogram, edges_of, labels_of, of_values, outcome_histogram, outcome_of, ripe_at
from shared.rollout.record import Phase, Rollout
from shared.store.quality import Addition, Awaited, end_of_minute
from shared.wiring import World

ATTEMPTS = 8
"""Documents of a minute that are tried before the report is put off."""
COPIED_BACK = 5
"""Minutes that a tick looks back for some that are not copied yet."""
_MINUTE = timedelta(minutes=1)
_KEPT = timedelta(hours=1)


def record_quality(world: World, report: QualityReported) -> bool:
    """Count a report, once; False where it is counted already or belongs to nothing of ours."""
    target = TargetRef(report.project or world.project, report.region, report.endpoint)
    rollout = _rollout(world, target, report.experiment)
    if rollout is None:
        log.info(f"ignored: no version was ever rolled out on {target}")
        return False
    policy = policy_of(world, rollout)
    name = hashlib.sha256(f"{target}\0{report.report_id}".encode()).hexdigest()[:32]
    for attempt in range(ATTEMPTS):
        if world.store.quality.has(target.project, name):
            log.info(f"ignored: report {report.report_id} is counted already")
            return False
        addition = _addition(world, policy, rollout.target, report, name)
        add_outcomes(world, addition, policy, rollout, report)
        try:
            world.store.quality.add(addition, world.now(), attempt)
        except ConflictError:
            continue  # another report of this minute, or of one of these predictions, was first
        return True
    raise ConflictError(f"report {report.report_id} met another in each of {ATTEMPTS} attempts")


def _rollout(world: World, target: TargetRef, experiment: str) -> Rollout | None:
    """Whose policy says how it is counted: the latest of the endpoint, or the sticky experiment that it belongs to."""
    if experiment:
        stored = world.store.get_rollout(experiment)
        return stored.rollout if stored and target in places_of(stored.rollout) else None
    latest = world.store.rollouts_of_target(target, limit=1)
    if latest or not is_arm_target(target):
        return latest[0] if latest else None
    return next((r for r in world.store.rollouts_in(Phase.EXPERIMENT) if target in places_of(r)), None)


def _addition(world: World, policy: Policy, target: TargetRef, report: QualityReported, name: str) -> Addition:
    """What the report adds, as things are known now."""
    now = world.now()
    addition = Addition(target.project, name)
    for metric, reported in report.metrics.items():
        if is_by_key(policy, metric):
            log.info(
                f"ignored: {metric} is the objective of a sticky experiment, of which one outcome per key is counted"
            )
            continue
        key = (target.region, target.endpoint, report.deployed_model, metric)
        addition.values[end_of_minute(now)][key].append(as_histogram(reported, edges_of(policy, metric)))
    for metric, labels, ids in _labelled(policy, report.predictions):
        due = end_of_minute(max(now, ripe_at(report.at or now, labels)))
        counted = (target.region, target.endpoint, report.deployed_model, predicted_key(metric))
        for one, predicted in _known(world, target, metric, ids):
            if one.predicted is not None:
                continue
            made = replace(one, deployed_model=report.deployed_model, predicted=predicted, due=due)
            addition.values[due][counted].append(of_values([0.0], (0.5,)))
            _join(addition, target, metric, labels, policy, made)
    for metric, labels, ids in _labelled(policy, report.truths):
        for one, truth in _known(world, target, metric, ids):
            if one.truth is not None:
                continue
            if one.due and one.due <= now:
                log.info(f"ignored: the truth of a prediction of {metric} came after it was judged")
                continue
            _join(addition, target, metric, labels, policy, replace(one, truth=truth))
    return addition


def _labelled(
    policy: Policy, reported: Mapping[str, Mapping[str, Label]]
) -> Iterator[tuple[str, Labels, Mapping[str, Label]]]:
    for metric, ids in reported.items():
        labels = labels_of(policy, metric)
        if labels is None:
            log.info(f"ignored: no check of {policy.model} has labels for {metric}")
            continue
        yield metric, labels, ids


def _known(world: World, target: TargetRef, metric: str, ids: Mapping[str, Label]) -> Iterator[tuple[Awaited, Label]]:
    names = {hashlib.sha256(f"{target}\0{metric}\0{id_}".encode()).hexdigest()[:32]: v for id_, v in ids.items()}
    known = world.store.quality.awaited(list(names))
    return ((known[name], label) for name, label in names.items())


def _join(addition: Addition, target: TargetRef, metric: str, labels: Labels, policy: Policy, one: Awaited) -> None:
    """Both are known: what it was worth is told in the minute in which the prediction is ripe."""
    addition.awaited.append(one)
    if one.predicted is None or one.truth is None or one.due is None:
        return
    worth = outcome_of(labels, one.predicted, one.truth)
    if worth is None:
        log.info(f"ignored: a prediction of {metric} and its truth are no two numbers")
        return
    key = (target.region, target.endpoint, one.deployed_model, metric)
    addition.values[one.due][key].append(outcome_histogram(labels, worth, edges_of(policy, metric)))


# -- beside what Cloud Monitoring says ----------------------------------------------------------------


def beside(
    measured: dict[tuple[str, str], list[Minute]],
    reported: Collection[Mapping[tuple[str, str], Minute]],
) -> dict[tuple[str, str], list[Minute]]:
    """What was measured, with what was reported. Of a metric that both have, the store's counts: Monitoring has a copy of it."""
    merged = {place: {minute.at: minute for minute in minutes} for place, minutes in measured.items()}
    for one in reported:
        for place, minute in one.items():
            by_time = merged.setdefault(place, {})
            by_time[minute.at] = _overlaid(by_time.get(minute.at), minute)
    return {place: [by_time[at] for at in sorted(by_time)] for place, by_time in merged.items()}


def _overlaid(measured: Minute | None, reported: Minute) -> Minute:
    arms = dict(measured.arms) if measured else {}
    for deployed, told in reported.arms.items():
        served = arms.get(deployed, ArmMinute())
        arms[deployed] = replace(served, values={**served.values, **told.values})
    return Minute(reported.at, arms)


# -- copied to Cloud Monitoring -------------------------------------------------------------------------


def copy_quality(world: World, now: datetime) -> int:
    """The last minutes that nobody has copied yet, for charts and alerts of others; how many series were written.

    A copy that fails is tried again by the next ticks, and then given up: decisions are made from the store.
    """
    written = 0
    for back in range(1, COPIED_BACK + 1):
        end = now.replace(second=0, microsecond=0) - _MINUTE * back
        reported = world.store.quality.of_minute(end)
        if not reported:
            continue  # nothing to copy is no reason to write: most ticks end here
        if world.store.is_marked("quality-copied", end.isoformat(), now):
            break
        try:
            for project, places in reported.items():
                written += world.quality_writer.write(project, end, places)
        except RefusedError as exc:
            log.warning(f"Cloud Monitoring takes no copy of the quality of {end:%H:%M}: {exc}")
        except TransientError as exc:
            log.info(f"the quality of {end:%H:%M} is copied to Cloud Monitoring by a later tick: {exc}")
            continue
        world.store.mark_once("quality-copied", end.isoformat(), now, _KEPT)
    return written
