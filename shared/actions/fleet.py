"""The fleet as it is now: endpoints of Vertex AI, a month of Cloud Monitoring, and what the store knows of roles.

One ListEndpoints per project and region, ten queries per project and three of the store, pages aside, however many endpoints there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import isnan
from typing import Any

from shared.actions.policies import target_ref
from shared.costs.fleet import Deployed, Endpoint, Fleet, Measured, Role, Span, Version
from shared.costs.prices import Hardware
from shared.metrics.hourly import HOUR, last_whole_hour
from shared.policy.schema import Policy
from shared.rollout import observed
from shared.rollout.labels import ARM, TrialLabels, read_labels
from shared.rollout.record import Phase, Rollout
from shared.rollout.shadowing import SHADOW
from shared.wiring import World

WINDOW = timedelta(days=30)
UNKNOWN = "unknown"
"""The machine of what is gone and was never seen by an audit; it has no price."""


def observe_fleet(world: World, machines: Mapping[str, Sequence[Any]]) -> Fleet:
    """Everything of the last thirty days. ``machines``: what stood behind deployed models, as the audit before knew it."""
    at = last_whole_hour(world.now())
    start = at - WINDOW
    policies = {stored.model: stored.policy for stored in world.store.policies()}
    rollouts = [stored.rollout for stored in world.store.unsettled_rollouts() if stored.rollout.phase.is_open]
    of_target = {(ref.project, ref.region, ref.endpoint): p for p in policies.values() for ref in _refs(world, p)}
    seer = _Seer(at, start, {r.id: r for r in rollouts}, machines)
    places = sorted({key[:2] for key in of_target} | _further(world))
    endpoints: list[Endpoint] = []
    for project in sorted({project for project, _ in places}):
        measured = world.hourly.measured(project, start, at)
        for region in (region for p, region in places if p == project):
            for found in world.endpoints.list(project, region):
                ref = found.ref
                policy = of_target.get((ref.project, ref.region, ref.endpoint)) or policies.get(
                    read_labels(found.labels).model
                )
                endpoints.append(seer.endpoint(found, policy, measured))
    versions = tuple(
        Version(v.project, v.region, v.model, v.version, v.created_at, v.aliases, v.labels)
        for v in world.store.indexed_versions()
        if v.created_at is not None
    )
    return Fleet(start, at, HOUR, tuple(endpoints), versions)


def _refs(world: World, policy: Policy) -> list[observed.TargetRef]:
    return [target_ref(world, target) for target in policy.targets]


def _further(world: World) -> set[tuple[str, str]]:
    """Regions of our own project in which no policy has a target: ``AUDIT_REGIONS``, separated by commas."""
    named = world.environment.get("AUDIT_REGIONS", "").split(",")
    return {(world.project, region.strip()) for region in named if region.strip()}


class _Seer:
    """Turns what was read into what is audited."""

    def __init__(
        self,
        at: datetime,
        start: datetime,
        rollouts: Mapping[str, Rollout],
        machines: Mapping[str, Sequence[Any]],
    ) -> None:
        self._at, self._start, self._open, self._machines = at, start, rollouts, machines
        self._by_deployed = {(str(r.target), r.deployed_id): r for r in rollouts.values() if r.deployed_id}

    def endpoint(
        self,
        found: observed.Endpoint,
        policy: Policy | None,
        measured: Mapping[tuple[str, str, str], Measured],
    ) -> Endpoint:
        ref, trial = found.ref, read_labels(found.labels)
        deployed = [
            self._deployed(
                found, trial, policy, one, measured.get((ref.region, found.place(one.id).endpoint, one.id), Measured())
            )
            for one in found.deployed
        ]
        there = {one.id for one in deployed}
        beside = found.group.arms if found.group else ()
        both = (found.pair.blue, found.pair.green) if found.pair else (found, *beside)
        places = {(one.ref.region, one.ref.endpoint) for one in both if one}
        gone = [
            self._gone(ref, key[2], series)
            for key, series in measured.items()
            if key[:2] in places and key[2] not in there
        ]
        return Endpoint(
            ref.project,
            ref.region,
            ref.endpoint,
            found.created_at or self._start,
            found.display_name,
            dict(found.labels),
            policy.model if policy else "",
            _p95_target(policy),
            None,
            (*deployed, *(one for one in gone if one is not None)),
        )

    def _deployed(
        self,
        endpoint: observed.Endpoint,
        trial: TrialLabels,
        policy: Policy | None,
        one: observed.DeployedModel,
        measured: Measured,
    ) -> Deployed:
        ref, share = endpoint.ref, endpoint.share(one.id)
        rollout = self._by_deployed.get((str(ref), one.id)) or self._open.get(trial.rollout)
        role = self._role(endpoint, trial, one, share)
        standby = policy.rollout.standby if policy and role == "fallback" else None
        since = trial.since
        return Deployed(
            one.id,
            one.model,
            one.version,
            Hardware(ref.region, one.machine_type or UNKNOWN, one.accelerator, one.accelerator_count, one.spot),
            share,
            max(one.min_replicas, 1),
            max(one.max_replicas, one.min_replicas, 1),
            one.created_at or self._start,
            role,
            _stage(role, share),
            target=(one.autoscale_percent or 60) / 100,
            spans=_spans(role, share, trial, rollout, one),
            standby_hold_until=since + standby.hold if standby and since else None,
            standby_until=since + standby.keep if standby and since else None,
            standby_replicas=standby.replicas if standby else 1,
            rollout=_maker(endpoint) or trial.rollout or trial.closed,
            rollout_open=rollout is not None or _maker(endpoint) in self._open,
            measured=measured,
        )

    def _role(self, endpoint: observed.Endpoint, trial: TrialLabels, one: observed.DeployedModel, share: int) -> Role:
        if SHADOW in endpoint.labels:
            return "shadow"
        rollout = self._by_deployed.get((str(endpoint.ref), one.id))
        if one.id == trial.candidate or (rollout is not None and rollout.phase != Phase.WATCHING):
            return "candidate"
        if one.id == trial.fallback and not share:
            return "fallback"
        return "stable" if share else "forgotten"

    def _gone(self, ref: observed.TargetRef, deployed_id: str, measured: Measured) -> Deployed | None:
        """One that was undeployed: it was there from its first to its last measured hour."""
        hours = [place for place, value in enumerate(measured.replicas or ()) if not isnan(value)]
        if not hours:
            return None
        machine, gpu, count, spot, model, version = self._machines.get(
            f"{ref}/{deployed_id}", (UNKNOWN, "", 0, False, UNKNOWN, "")
        )
        return Deployed(
            deployed_id,
            model,
            version,
            Hardware(ref.region, machine, gpu, count, spot),
            0,
            1,
            1,
            self._start + hours[0] * HOUR,
            "gone",
            until=self._start + (hours[-1] + 1) * HOUR,
            measured=measured,
        )


def _p95_target(policy: Policy | None) -> float | None:
    """The strictest 95th percentile among the checks of the latency."""
    checks = policy.rollout.checks if policy else []
    limits = [c.p95_at_most for c in checks if c.metric == "latency_ms" and c.p95_at_most is not None]
    return min(limits, default=None)


def _maker(endpoint: observed.Endpoint) -> str:
    """The rollout whose shadow an endpoint is, or one of its arms'."""
    return endpoint.labels.get(SHADOW, "") or endpoint.labels.get(ARM, "")


def _stage(role: Role, share: int) -> str:
    return f"{share} %" if role == "candidate" else ""


def _spans(
    role: Role, share: int, trial: TrialLabels, rollout: Rollout | None, one: observed.DeployedModel
) -> tuple[Span, ...]:
    """The roles that are known from what stands now; earlier stages of a rollout are counted with its first."""
    begin = one.created_at
    if begin is None:
        return ()
    if role == "candidate" and rollout is not None and rollout.stage_since is not None and share:
        return Span(begin, "candidate", "deploying"), Span(rollout.stage_since, "candidate", _stage(role, share))
    if trial.since is None or trial.since <= begin or rollout is None or rollout.phase != Phase.WATCHING:
        return ()
    if role == "fallback":
        return Span(begin, "stable"), Span(trial.since, "fallback")
    if role == "stable" and rollout.deployed_id == one.id:
        return Span(begin, "candidate", "trial"), Span(trial.since, "stable")
    return ()
