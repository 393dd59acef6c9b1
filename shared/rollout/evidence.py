"""What has been measured of a rollout in its present stage: small, mergeable, counted once.

Two generations of at most one window each are kept, merged: enough to judge the last one to two windows, in a few kilobytes however long
a stage lasts. A minute that was already counted is dropped, so a repeated or overlapping tick changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache

from pydantic import TypeAdapter

from shared.policy.rollout import ERROR_RATE, Metrics, RolloutSpec
from shared.rollout.agreement import heard_names
from shared.rollout.contest import Contesting, contest_minute
from shared.rollout.histogram import merge_histograms
from shared.rollout.observed import ArmMinute, Minute
from shared.rollout.proof import Proof, update_proof
from shared.rollout.statistics.arms import Contest


@dataclass(frozen=True)
class Evidence:
    """What ticks have gathered for one rollout; written by ticks only."""

    rollout: str
    stage_since: datetime
    """The shift it counts from; another one starts anew."""
    older: dict[str, ArmMinute] = field(default_factory=dict)
    newer: dict[str, ArmMinute] = field(default_factory=dict)
    newer_since: datetime | None = None
    judged_until: datetime | None = None
    """The end of the last minute that was read; everything before it is counted."""
    last_data: datetime | None = None
    """The end of the last minute in which the candidate served anything."""
    heard: dict[str, datetime] = field(default_factory=dict)
    """By metric: the end of the last minute that said something of the candidate. Requests may flow while a metric is silent."""
    error_since: datetime | None = None
    error: str = ""
    unread: timedelta = timedelta(0)
    """Minutes of this stage that were never read, after an outage longer than a tick reads back: they count as time, not as judged."""
    proof: Proof = field(default_factory=Proof)
    """For ``advance: evidence``; it outlives the stage."""
    contest: Contest | None = None
    """Of an experiment."""

    def arm(self, deployed_id: str) -> ArmMinute:
        """All that one arm served in both generations."""
        return merge_arms([g[deployed_id] for g in (self.older, self.newer) if deployed_id in g])

    def heard_of(self, metric: str) -> datetime:
        """When a metric last said something of the candidate; the beginning of the stage if it never did."""
        if not self.heard and self.last_data:
            return self.last_data  # written by the version before, which did not tell metrics apart
        return self.heard.get(metric, self.stage_since)


EVIDENCE = TypeAdapter(Evidence)


def merge_arms(arms: Iterable[ArmMinute]) -> ArmMinute:
    """The sum of several minutes of one arm."""
    arms = list(arms)
    metrics = {name for arm in arms for name in arm.values}
    return ArmMinute(
        requests=sum(arm.requests for arm in arms),
        errors=sum(arm.errors for arm in arms),
        values={
            name: merge_histograms([arm.values[name] for arm in arms if name in arm.values]) for name in sorted(metrics)
        },
    )


def _merge_maps(one: Mapping[str, ArmMinute], other: Mapping[str, ArmMinute]) -> dict[str, ArmMinute]:
    return {key: merge_arms([m[key] for m in (one, other) if key in m]) for key in sorted({*one, *other})}


@dataclass(frozen=True)
class Proving:
    """What ``advance: evidence`` needs to know of the trial."""

    spec: RolloutSpec
    control: str
    """The stable's deployed-model id; empty where there is none to compare with."""
    share: int
    """The candidate's percent in this stage."""
    policy: int = 0
    """The version of the policy that the rollout keeps at this moment."""


def gather(
    before: Evidence | None,
    rollout: str,
    stage_since: datetime,
    minutes: Iterable[Minute],
    candidate: str,
    policy: Metrics,
    proving: Proving | None = None,
    contesting: Contesting | None = None,
) -> Evidence:
    """The evidence with these minutes added, in whatever order and however often they come.

    Minutes before the shift has settled are dropped: caches are cold, and the minute of the shift mixes two splits.
    """
    evidence = before if before and before.stage_since == stage_since else _next_stage(before, rollout, stage_since)
    if proving:
        evidence = replace(evidence, proof=_of_this_trial(evidence.proof, proving))
    begin = stage_since + policy.settle
    for minute in sorted(minutes, key=lambda m: m.at):
        if minute.at - timedelta(minutes=1) < begin or (evidence.judged_until and minute.at <= evidence.judged_until):
            continue
        evidence = _add(evidence, minute, candidate, policy)
        if proving:
            evidence = replace(evidence, proof=_prove(evidence.proof, proving, minute, candidate))
        if contesting:
            evidence = replace(evidence, contest=contest_minute(evidence.contest, contesting, minute.arms))
    return evidence


def _next_stage(before: Evidence | None, rollout: str, stage_since: datetime) -> Evidence:
    """Counts begin anew with a stage; what was proven stays proven."""
    return Evidence(rollout, stage_since, proof=before.proof if before and before.rollout == rollout else Proof())


def _of_this_trial(proof: Proof, proving: Proving) -> Proof:
    """What was proven beside another stable, or of the checks of another policy, says nothing here."""
    if proof.control != proving.control or proof.policy not in (0, proving.policy):
        return Proof(proving.control, proving.policy)
    return proof if proof.policy else replace(proof, policy=proving.policy)


def _prove(proof: Proof, proving: Proving, minute: Minute, candidate: str) -> Proof:
    """A minute in which the candidate, or beside a stable the stable, served nothing says nothing."""
    served, stable = minute.arms.get(candidate), minute.arms.get(proving.control)
    if served is None or (proving.control and stable is None):
        return proof
    return update_proof(proof, proving.spec, stable, served, proving.share)


def _add(evidence: Evidence, minute: Minute, candidate: str, policy: Metrics) -> Evidence:
    begins = minute.at - timedelta(minutes=1)
    older, newer, since = evidence.older, evidence.newer, evidence.newer_since or begins
    if minute.at - since > policy.window:
        older = newer if minute.at - since <= 2 * policy.window else {}
        newer, since = {}, begins
    arms = {arm: _shortened(seen) for arm, seen in minute.arms.items()}
    served = arms.get(candidate, ArmMinute())
    spoke = [ERROR_RATE] if served.requests else []
    spoke += heard_names(candidate, arms)
    spoke += [metric for metric, values in served.values.items() if values.total]
    return replace(
        evidence,
        older=older,
        newer=_merge_maps(newer, arms),
        newer_since=since,
        judged_until=minute.at,
        last_data=minute.at if spoke else evidence.last_data,
        heard=evidence.heard | dict.fromkeys(spoke, minute.at),
        error_since=None,
        error="",
    )


def _shortened(arm: ArmMinute) -> ArmMinute:
    """The same with edges of six digits: written out in full, the edges of an exponential scale are most of a record."""
    return replace(arm, values={name: replace(v, edges=_digits(v.edges)) for name, v in arm.values.items()})


@lru_cache(maxsize=64)
def _digits(edges: tuple[float, ...]) -> tuple[float, ...]:
    short = tuple(float(f"{edge:.6g}") for edge in edges)
    return short if len(set(short)) == len(edges) else edges


def passed_over(evidence: Evidence, unread: timedelta) -> Evidence:
    """So much of the stage could not be read any more."""
    return replace(evidence, unread=evidence.unread + unread)


def looked_until(evidence: Evidence, until: datetime) -> Evidence:
    """Everything up to ``until`` was read, whether or not there was anything."""
    if evidence.judged_until and until <= evidence.judged_until:
        return evidence
    return replace(evidence, judged_until=until, error_since=None, error="")


def could_not_look(evidence: Evidence, now: datetime, error: str) -> Evidence:
    """The provider failed; nothing is learnt, and how long that lasts is counted."""
    return replace(evidence, error_since=evidence.error_since or now, error=error)
