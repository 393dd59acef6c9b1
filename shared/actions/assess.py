"""One tick: observe everything in bulk, judge, publish what is due.

The number of calls to Google does not grow with the number of rollouts: one list of endpoints per region, one query per metric and
project, one read of the store. Nothing is moved here; hints go to ``rollout-due``, harm goes to ``alert-fired``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared import log, topics
from shared.actions.alerting import ask_rollback
from shared.actions.policies import policy_of
from shared.actions.record import publish_due
from shared.errors import PermanentError, RolloutsError, TransientError
from shared.events.rollout import RolloutChanged, rollout_changed_message
from shared.policy.schema import Policy
from shared.rollout.decide import Kind, decide
from shared.rollout.evidence import Evidence, Proving, could_not_look, gather, looked_until, passed_over
from shared.rollout.labels import read_labels
from shared.rollout.observed import Endpoint, Minute, TargetRef
from shared.rollout.record import Phase, Rollout
from shared.rollout.steps import has_drifted
from shared.store.store import StoredRollout
from shared.wiring import World

FARTHEST = timedelta(hours=1)
"""How far back a tick reads at most; after a longer pause the older minutes are not judged."""
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


def assess_rollouts(world: World) -> TickResult:
    """One tick."""
    now = world.now()
    stored = world.store.unsettled_rollouts()
    policies = _policies(world, stored)
    rollouts = [s.rollout for s in stored if s.rollout.id in policies]
    endpoints = _endpoints(world, rollouts)
    evidence = _evidence(world, rollouts, policies, now)
    due, alerts = _judge(world, rollouts, policies, endpoints, evidence, now)
    publish_due(world, due)
    _announce_again(world, now)
    # The heartbeat: a log-based metric counts this line, and its absence is alerted on (infra/metrics.yaml).
    log.info(
        f"assessed {len(rollouts)} rollouts: {len(due)} due, {len(alerts)} to roll back",
        heartbeat="assess_rollouts",
        open=sum(rollout.phase.is_open for rollout in rollouts),
    )
    return TickResult(len(rollouts), tuple(due), tuple(alerts))


def _policies(world: World, stored: Sequence[StoredRollout]) -> dict[str, Policy]:
    """By rollout; each version is read once. A rollout whose policy is lost is named and left alone."""
    versions: dict[tuple[str, int], Policy] = {}
    found: dict[str, Policy] = {}
    for rollout in (s.rollout for s in stored):
        key = (rollout.model, rollout.policy_version)
        try:
            if key not in versions:
                versions[key] = policy_of(world, rollout)
        except PermanentError as exc:
            log.error(str(exc))
            continue
        found[rollout.id] = versions[key]
    return found


def _endpoints(world: World, rollouts: Sequence[Rollout]) -> dict[TargetRef, Endpoint]:
    """All endpoints of every region in use; a region that does not answer is only late."""
    found: dict[TargetRef, Endpoint] = {}
    for project, region in sorted({(r.target.project, r.target.region) for r in rollouts if r.phase.is_open}):
        try:
            found |= {e.ref: e for e in world.endpoints.list(project, region)}
        except RolloutsError as exc:  # a project that may not be read among them: it must not stop the others
            log.warning(f"{project}/{region} cannot be read in this tick: {exc}")
    return found


def _evidence(
    world: World, rollouts: Sequence[Rollout], policies: Mapping[str, Policy], now: datetime
) -> dict[str, Evidence]:
    """Read what was served since the last tick, add it, write it back."""
    judged = [
        r
        for r in rollouts
        if r.phase in (Phase.CANARY, Phase.WATCHING) and r.stage_since and policies[r.id].rollout.checks
    ]
    shards = world.store.evidence([r.id for r in judged])
    before = {r.id: shards.of(r.id) for r in judged}
    served, errors = _served(world, judged, policies, before, now)
    after: dict[str, Evidence] = {}
    for rollout in judged:
        since = rollout.stage_since or now
        spec = policies[rollout.id].rollout.metrics
        key = (rollout.target.region, rollout.target.endpoint)
        until = _floor(now - spec.lag)
        minutes = [m for m in served.get(rollout.target.project, {}).get(key, []) if m.at <= until]
        proving = _proving(policies[rollout.id], rollout)
        gathered = gather(before[rollout.id], rollout.id, since, minutes, rollout.deployed_id, spec, proving)
        error = errors.get(rollout.target.project)
        if error:
            after[rollout.id] = could_not_look(gathered, now, error)
            continue
        unread = _floor(now - FARTHEST) - _begin(rollout, before[rollout.id])
        if unread > timedelta(0):
            gathered = passed_over(gathered, unread)
        after[rollout.id] = looked_until(gathered, until)
    changed = {k: v for k, v in after.items() if v != before[k]}
    ended = {s for shard in shards.stored.values() for s in shard.body["rollouts"]} - set(after)
    if lost := world.store.write_evidence(shards, changed, ended):
        log.info(f"another tick was writing too; {lost} shards are gathered by the next one")
    return after


def _proving(policy: Policy, rollout: Rollout) -> Proving | None:
    """Only a canary has a stable beside it; in a watch nothing but its limits can be proven."""
    if policy.rollout.advance != "evidence":
        return None
    control = rollout.stable_id if rollout.phase is Phase.CANARY else ""
    return Proving(policy.rollout, control, policy.rollout.stages[rollout.stage].traffic)


Served = dict[str, dict[tuple[str, str], list[Minute]]]


def _served(
    world: World,
    judged: Sequence[Rollout],
    policies: Mapping[str, Policy],
    before: Mapping[str, Evidence | None],
    now: datetime,
) -> tuple[Served, dict[str, str]]:
    """By project: the minutes of every endpoint, or why they could not be read."""
    by_project: dict[str, list[Rollout]] = defaultdict(list)
    for rollout in judged:
        by_project[rollout.target.project].append(rollout)
    served: Served = {}
    errors: dict[str, str] = {}
    for project, rollouts in by_project.items():
        end = _floor(now - min(policies[r.id].rollout.metrics.lag for r in rollouts))
        start = max(min(_begin(r, before[r.id]) for r in rollouts), _floor(now - FARTHEST))
        if start >= end:
            served[project] = {}
            continue
        metrics = {check.metric for r in rollouts for check in policies[r.id].rollout.checks}
        try:
            served[project] = dict(world.metrics.minutes(project, start, end, metrics))
        except TransientError as exc:
            errors[project] = str(exc)
            log.warning(f"metrics of {project} cannot be read in this tick: {exc}")
    return served, errors


def _begin(rollout: Rollout, evidence: Evidence | None) -> datetime:
    since = _floor(rollout.stage_since or rollout.created_at)
    if evidence and evidence.stage_since == rollout.stage_since and evidence.judged_until:
        return max(since, evidence.judged_until)
    return since


def _floor(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _judge(
    world: World,
    rollouts: Sequence[Rollout],
    policies: Mapping[str, Policy],
    endpoints: Mapping[TargetRef, Endpoint],
    evidence: Mapping[str, Evidence],
    now: datetime,
) -> tuple[list[str], list[str]]:
    due: list[str] = []
    alerts: list[str] = []
    polled = _polled(rollouts)
    for rollout in rollouts:
        policy = policies[rollout.id]
        decision = decide(policy, rollout, evidence.get(rollout.id), now)
        endpoint = endpoints.get(rollout.target)
        if decision.kind is Kind.ROLL_BACK and policy.mode == "enforce" and _can_roll_back(rollout, endpoint):
            ask_rollback(world, rollout, decision.sentence, decision.checks)
            alerts.append(rollout.id)
        elif decision.is_due or rollout.id in polled or _needs_step(rollout, policy, endpoint):
            due.append(rollout.id)
    return due, alerts


def _can_roll_back(rollout: Rollout, endpoint: Endpoint | None) -> bool:
    """Whether there is traffic to give back, and somebody to give it to; otherwise a step has to look at it."""
    if endpoint is None:
        return False
    trial = read_labels(endpoint.labels)
    return trial.rollout == rollout.id and bool(trial.candidate or trial.fallback)


def _polled(rollouts: Sequence[Rollout]) -> set[str]:
    waiting = [r for r in rollouts if r.operation is not None]
    return {r.id for r in sorted(waiting, key=lambda r: r.updated_at)[:POLLED]}


def _needs_step(rollout: Rollout, policy: Policy, endpoint: Endpoint | None) -> bool:
    """Whether the bulk view shows something that only a step can settle."""
    if (
        rollout.phase is Phase.QUEUED
        or rollout.aliases_due
        or rollout.shift
        or rollout.stop
        or policy.mode == "observe"
    ):
        return True
    if endpoint is None:
        return True
    if rollout.phase is Phase.DEPLOYING:
        return rollout.operation is None or endpoint.find(rollout.deployed_id) is not None
    trial = read_labels(endpoint.labels)
    if trial.rollout != rollout.id or endpoint.find(rollout.deployed_id) is None:
        return True
    return not rollout.hold and has_drifted(policy, rollout, endpoint)


def _announce_again(world: World, now: datetime) -> None:
    """Notices whose event was lost, or whose channel was down."""
    overdue = [n for n in world.store.unsent_notices() if now - n.at >= OVERDUE]
    world.publisher.publish_all(
        topics.ROLLOUT_CHANGED, [rollout_changed_message(RolloutChanged(n.rollout, n.id)) for n in overdue]
    )
