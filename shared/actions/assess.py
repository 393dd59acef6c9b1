"""One tick: observe everything in bulk, judge, publish what is due.

The number of calls to Google does not grow with the number of rollouts: one list of endpoints per region, one query per metric and
project; the store is read and written by the hundred. Nothing is moved here; hints go to ``rollout-due``, harm goes to ``alert-fired``.
With more rollouts than one tick has time for, it asks for several ticks instead, each for a share of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared import log, topics
from shared.actions.alerting import ask_rollback
from shared.actions.compared import compared_minutes, needs_shadow_step, shadow_minutes
from shared.actions.exports import read_exports
from shared.actions.policies import policy_of
from shared.actions.quality import copy_quality
from shared.actions.record import publish_due
from shared.actions.served import FARTHEST, Served, begin_of, beside_target, floor
from shared.batches import batches
from shared.errors import PermanentError, RolloutsError
from shared.events.rollout import RolloutChanged, rollout_changed_message
from shared.events.schedule import Tick, tick_message
from shared.policy.schema import Policy
from shared.process import without_collecting
from shared.rollout.contest import contesting
from shared.rollout.decide import Kind, decide
from shared.rollout.evidence import Evidence, Proving, could_not_look, gather, looked_until, passed_over
from shared.rollout.experimenting import needs_experiment_step
from shared.rollout.labels import read_labels
from shared.rollout.names import export_place, shadow_target
from shared.rollout.observed import Endpoint, TargetRef
from shared.rollout.record import Phase, Rollout
from shared.rollout.steps import has_drifted, has_lost_its_way_back
from shared.store.evidence_pages import Shard
from shared.store.mirrored import Compared
from shared.wiring import World

MOST = 6000
"""Rollouts in one tick; more are divided (``python -m bench scale`` measures how long a tick takes)."""
AT_ONCE = 500
"""Policies and rollouts' evidence that are read together: what a tick holds in memory does not grow with all of them."""
POLLED = 20
"""Operations looked at per tick, oldest first; success is seen in the list of endpoints anyway."""
OVERDUE = timedelta(minutes=2)
"""After which a notice that nobody marked as sent is announced again."""


@dataclass(frozen=True)
class TickResult:
    """What a tick saw and asked for."""

    rollouts: int
    due: tuple[str, ...]
    alerts: tuple[str, ...]


def assess_rollouts(world: World, tick: Tick) -> TickResult | None:
    """One tick; None when it was divided."""
    found = world.store.unsettled()
    if tick.shards == 1 and len(found) > MOST:
        _divide(world, tick, -(-len(found) // MOST))
        return None
    mine = [one.rollout for one in found.read(lambda id_: shard_of(id_, tick.shards) == tick.shard)]
    del found
    with without_collecting():
        return _assess(world, tick, mine)


def _assess(world: World, tick: Tick, mine: Sequence[Rollout]) -> TickResult:
    now = world.now()
    policies = _policies(world, mine)
    rollouts = [r for r in mine if r.id in policies]
    endpoints = _listing(world, rollouts)
    polled = _polled(rollouts)
    due: list[str] = []
    alerts: list[str] = []
    for rollout, evidence in _with_evidence(world, rollouts, policies, Shard(tick.shard, tick.shards), now):
        asks = _judge(world, rollout, policies[rollout.id], endpoints(), evidence, now)
        if asks == "alert":
            alerts.append(rollout.id)
        elif asks == "due" or rollout.id in polled:
            due.append(rollout.id)
    publish_due(world, due)
    if tick.shard == 0:
        _announce_again(world, now)
        copy_quality(world, now)
    # The heartbeat: a log-based metric counts this line, and its absence is alerted on (infra/metrics.yaml).
    log.info(
        f"assessed {len(rollouts)} rollouts: {len(due)} due, {len(alerts)} to roll back",
        heartbeat="assess_rollouts",
        open=sum(rollout.phase.is_open for rollout in rollouts),
    )
    return TickResult(len(rollouts), tuple(due), tuple(alerts))


def shard_of(rollout: str, shards: int) -> int:
    """Which share of the rollouts one belongs to; the same in every process."""
    return zlib.crc32(rollout.encode()) % shards


def _divide(world: World, tick: Tick, shards: int) -> None:
    """Ask for as many ticks as it takes; they share nothing but the store."""
    messages = [tick_message(Tick(tick.job, shard, shards)) for shard in range(shards)]
    world.publisher.publish_all(topics.SCHEDULE, messages, job=tick.job)
    log.info(f"asked for {shards} ticks, since there are more than {MOST} rollouts for one")


def _policies(world: World, rollouts: Sequence[Rollout]) -> dict[str, Policy]:
    """By rollout. One whose policy is lost is named and left alone."""
    keys = {r.id: (r.model, r.policy_version) for r in rollouts}
    wanted = set(keys.values())
    versions = {key: policy for key, policy in world.policies.items() if key in wanted}
    for some in batches(sorted(wanted - set(versions)), AT_ONCE):
        versions |= world.store.policy_versions(some)
    world.policies = dict(versions)
    for rollout in rollouts:
        if keys[rollout.id] in versions:
            continue
        try:
            versions[keys[rollout.id]] = policy_of(world, rollout)
        except PermanentError as exc:
            log.error(str(exc))
    return {id_: versions[key] for id_, key in keys.items() if key in versions}


def _listing(world: World, rollouts: Sequence[Rollout]) -> Callable[[], Mapping[TargetRef, Endpoint]]:
    """The endpoints, once they are asked for. Where they are many pages, they come while Cloud Monitoring is asked for what was served."""
    if len(rollouts) <= AT_ONCE:
        found = _endpoints(world, rollouts)
        return lambda: found
    pool = ThreadPoolExecutor(1, thread_name_prefix="endpoints")
    listed = pool.submit(_endpoints, world, rollouts)
    pool.shutdown(wait=False)
    return listed.result


def _endpoints(world: World, rollouts: Sequence[Rollout]) -> dict[TargetRef, Endpoint]:
    """All endpoints of every region in use; a region that does not answer is only late."""
    wanted = {r.target for r in rollouts} | {shadow_target(r.id, r.target) for r in rollouts if r.phase is Phase.SHADOW}
    names = {ref.endpoint for ref in wanted}
    found: dict[TargetRef, Endpoint] = {}
    for project, region in sorted({(r.target.project, r.target.region) for r in rollouts if r.phase.is_open}):
        try:
            found |= {e.ref: e for e in world.endpoints.list(project, region, names) if e.ref in wanted}
        except RolloutsError as exc:  # a project that may not be read among them: it must not stop the others
            log.warning(f"{project}/{region} cannot be read in this tick: {exc}")
    exports = sorted({r.target for r in rollouts if r.phase.is_open and export_place(r.target)})
    return found | {e.ref: e for e in read_exports(world, exports)}


def _with_evidence(
    world: World, rollouts: Sequence[Rollout], policies: Mapping[str, Policy], shard: Shard, now: datetime
) -> Iterator[tuple[Rollout, Evidence | None]]:
    """Every rollout with what is known of it, after what was served since the last tick is read, added and written back.

    Those of which nothing can be known come last: by then the endpoints are listed.
    """
    judged = {
        r.id: r
        for r in rollouts
        if r.stage_since
        and (
            r.phase in (Phase.SHADOW, Phase.EXPERIMENT)
            or (r.phase in (Phase.CANARY, Phase.WATCHING) and policies[r.id].rollout.checks)
        )
    }
    pages = world.store.evidence
    places = pages.place(shard, list(judged), now)
    served = Served(world, [judged[id_] for id_ in places.pages], policies, now)
    compared: dict[datetime, list[Compared]] = {}
    late = 0
    for numbers in batches(sorted(set(places.pages.values())), max(1, AT_ONCE // places.room)):
        for page in pages.read(places, numbers):
            before = {id_: page.of(id_) for id_ in page.rollouts}
            served.reach([(judged[id_], evidence) for id_, evidence in before.items()])
            shadowed = [(judged[id_], found) for id_, found in before.items() if judged[id_].phase is Phase.SHADOW]
            begins = [max(begin_of(rollout, found), floor(now - FARTHEST)) for rollout, found in shadowed]
            compared |= compared_minutes(world, begins, floor(now), compared)
            after = {
                id_: _gathered(judged[id_], policies[id_], found, served, compared, now)
                for id_, found in before.items()
            }
            late += not pages.write(page, {id_: found for id_, found in after.items() if found != before[id_]})
            yield from ((judged[id_], evidence) for id_, evidence in after.items())
    yield from ((r, None) for r in rollouts if r.id not in places.pages)
    if late:
        log.info(f"another tick was writing too; {late} pages of evidence are gathered by the next one")


def _gathered(
    rollout: Rollout,
    policy: Policy,
    before: Evidence | None,
    served: Served,
    compared: Mapping[datetime, Sequence[Compared]],
    now: datetime,
) -> Evidence:
    """What is known of one rollout with what was served since."""
    spec = policy.rollout.metrics
    until = min(floor(now - spec.lag), served.until(rollout.target.project))
    if rollout.phase is Phase.SHADOW:
        minutes = shadow_minutes(rollout, served.of, compared, until)
    else:
        minutes = [
            minute for minute in served.of(rollout.target, *beside_target(policy, rollout)) if minute.at <= until
        ]
    since = rollout.stage_since or now
    inside = [arm.deployed_id for arm in rollout.arms if not arm.out]
    is_experiment = rollout.phase is Phase.EXPERIMENT
    candidate = inside[0] if is_experiment and inside else rollout.deployed_id
    contest = contesting(policy, rollout) if is_experiment else None
    gathered = gather(before, rollout.id, since, minutes, candidate, spec, _proving(policy, rollout), contest)
    if error := served.error(rollout.target.project):
        return could_not_look(gathered, now, error)
    unread = floor(now - FARTHEST) - begin_of(rollout, before)
    if unread > timedelta(0):
        gathered = passed_over(gathered, unread)
    return looked_until(gathered, until)


def _proving(policy: Policy, rollout: Rollout) -> Proving | None:
    """Only a canary has a stable beside it; in a watch nothing but its limits can be proven."""
    if policy.rollout.advance != "evidence" or rollout.phase in (Phase.SHADOW, Phase.EXPERIMENT):
        return None
    control = rollout.stable_id if rollout.phase is Phase.CANARY else ""
    return Proving(policy.rollout, control, policy.rollout.stages[rollout.stage].traffic, rollout.policy_version)


def _judge(
    world: World,
    rollout: Rollout,
    policy: Policy,
    endpoints: Mapping[TargetRef, Endpoint],
    evidence: Evidence | None,
    now: datetime,
) -> str:
    """What is asked for: ``alert``, ``due`` or nothing."""
    decision = decide(policy, rollout, evidence, now)
    if (
        decision.kind is Kind.ROLL_BACK
        and policy.mode == "enforce"
        and _can_roll_back(rollout, decision.deployed or rollout.deployed_id, endpoints.get(rollout.target))
    ):
        ask_rollback(world, rollout, decision.sentence, decision.checks, decision.deployed)
        return "alert"
    return "due" if decision.is_due or _needs_step(rollout, policy, endpoints) else ""


def _can_roll_back(rollout: Rollout, loser: str, endpoint: Endpoint | None) -> bool:
    """Whether there is traffic to give back, and somebody to give it to; otherwise a step has to look at it.

    ``loser`` is a deployed model, or empty for all arms of an experiment. What somebody else has set to 0 % is not rolled back (an alert
    about it is only recorded), but its trial has to end all the same.
    """
    if endpoint is None:
        return False
    trial = read_labels(endpoint.labels)
    heir = trial.stable if trial.candidate or trial.arms else trial.fallback
    has_traffic = any(endpoint.share(one) for one in ([loser] if loser else trial.arms))
    return has_traffic and trial.rollout == rollout.id and endpoint.find(heir) is not None


def _polled(rollouts: Sequence[Rollout]) -> set[str]:
    waiting = [r for r in rollouts if r.operation is not None]
    return {r.id for r in sorted(waiting, key=lambda r: r.updated_at)[:POLLED]}


def _needs_step(rollout: Rollout, policy: Policy, endpoints: Mapping[TargetRef, Endpoint]) -> bool:
    """Whether the bulk view shows something that only a step can settle."""
    if (
        rollout.phase is Phase.QUEUED
        or rollout.aliases_due
        or rollout.shift
        or rollout.stop
        or policy.mode == "observe"
    ):
        return True
    if rollout.phase is Phase.SHADOW:
        return needs_shadow_step(rollout, endpoints)
    if policy.rollout.together and not rollout.hold:
        return True  # what becomes of the other variants is no part of this view
    endpoint = endpoints.get(rollout.target)
    if endpoint is None:
        return True
    if rollout.phase is Phase.EXPERIMENT:
        return needs_experiment_step(rollout, endpoint, drifted=has_drifted(policy, rollout, endpoint))
    if rollout.phase is Phase.DEPLOYING:
        return rollout.operation is None or endpoint.find(rollout.deployed_id) is not None
    trial = read_labels(endpoint.labels)
    if trial.rollout != rollout.id or endpoint.find(rollout.deployed_id) is None:
        return True
    return not rollout.hold and (
        has_drifted(policy, rollout, endpoint) or has_lost_its_way_back(policy, rollout, endpoint)
    )


def _announce_again(world: World, now: datetime) -> None:
    """Notices whose event was lost, or whose channel was down."""
    overdue = [n for n in world.store.unsent_notices() if now - n.at >= OVERDUE]
    world.publisher.publish_all(
        topics.ROLLOUT_CHANGED, [rollout_changed_message(RolloutChanged(n.rollout, n.id)) for n in overdue]
    )
