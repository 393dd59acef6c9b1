"""Endpoints, records, policies and alerts for the tests of the pure core: a usual one of each, and what a test changes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.events.alert import Alert
from shared.policy.schema import Policy
from shared.policy.validation import parse_policy
from shared.rollout.decide import Decision, Kind
from shared.rollout.labels import TrialLabels, write_labels
from shared.rollout.observed import ArmMinute, DeployedModel, Endpoint, Histogram, Minute, TargetRef
from shared.rollout.record import Phase, Rollout
from shared.rollout.steps import Situation

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
REF = TargetRef("shop", "us-central1", "churn-serving")
STABLE, CANDIDATE, THIRD = "1000000001", "1000000002", "1000000003"
TRIAL, EARLIER = "churn-v2-00000b", "churn-v1-00000a"
CHECK = {"metric": "error_rate", "at_most": "1%", "min_samples": 50}


def policy(rollout: dict[str, Any] | None = None, **others: Any) -> Policy:
    """A policy with the stages 10, 50 and 100 % and one check, of which a test changes what it is about."""
    written = {
        "model": "churn",
        "targets": [{"region": "us-central1", "endpoint": "churn-serving"}],
        "register": {"from": {"message": True}, "container": {"image": "churn"}},
        "machine": {"type": "n1-standard-2", "replicas": {"min": 1, "max": 5}},
        "rollout": {"advance": "bake", "checks": [CHECK]} | (rollout or {}),
    }
    return parse_policy(written | others, "test")


def deployed(id_: str, version: str, replicas: int = 1, available: int | None = None) -> DeployedModel:
    return DeployedModel(id_, "churn", version, replicas, max(replicas, 5), available)


MODELS = {STABLE: deployed(STABLE, "1"), CANDIDATE: deployed(CANDIDATE, "2"), THIRD: deployed(THIRD, "9")}
TRIAL_LABELS = TrialLabels(
    model="churn", rollout=TRIAL, stable=STABLE, candidate=CANDIDATE, since=NOW - HOUR, lag=timedelta(minutes=4)
)
WATCH_LABELS = replace(TRIAL_LABELS, stable=CANDIDATE, candidate="", fallback=STABLE)
RESTING_LABELS = TrialLabels(model="churn", stable=STABLE)


def endpoint(split: dict[str, int], labels: TrialLabels, *models: str) -> Endpoint:
    """With the models of the split, the stable and the candidate, unless a test names others."""
    there = models or tuple(sorted({STABLE, CANDIDATE, *split}))
    written = write_labels({"team": "growth"}, labels)
    return Endpoint(REF, "etag-1", written, split, tuple(MODELS[m] for m in there))


def on_trial(share: int = 10, **labels: Any) -> Endpoint:
    """The candidate has its share, the stable the rest."""
    return endpoint({STABLE: 100 - share, CANDIDATE: share}, replace(TRIAL_LABELS, **labels))


def in_watch(**labels: Any) -> Endpoint:
    """The former candidate has all the traffic, the former stable is the fallback."""
    return endpoint({CANDIDATE: 100}, replace(WATCH_LABELS, **labels))


def at_rest() -> Endpoint:
    return endpoint({STABLE: 100}, RESTING_LABELS)


def rollout(phase: Phase = Phase.CANARY, **changes: Any) -> Rollout:
    """The trial of v2 beside v1: in its first stage since an hour, unless a test says otherwise."""
    stage = {Phase.CANARY: 0, Phase.WATCHING: 2}.get(phase, -1)
    usual = Rollout(
        id=TRIAL,
        model="churn",
        version="2",
        target=REF,
        target_index=0,
        policy_version=1,
        phase=phase,
        created_at=NOW - 3 * HOUR,
        updated_at=NOW - HOUR,
        phase_since=NOW - HOUR,
        stage=stage,
        stage_since=NOW - HOUR if stage >= 0 else None,
        deployed_id="" if phase is Phase.QUEUED else CANDIDATE,
        stable_id="" if phase is Phase.QUEUED else STABLE,
        stable_version="" if phase is Phase.QUEUED else "1",
    )
    return replace(usual, **changes)


def alert(**changes: Any) -> Alert:
    """An open incident of Cloud Monitoring about the candidate, begun half an hour ago."""
    usual = Alert(
        source="monitoring",
        id="0.incident",
        state="open",
        project="shop",
        region="us-central1",
        endpoint="churn-serving",
        deployed_model=CANDIDATE,
        rollout=None,
        started_at=NOW - HOUR / 2,
        ended_at=None,
        sentence="5xx share is 12 %, limit 1 %",
        metric=None,
        observed="0.12",
        limit="0.01",
        policy_name=None,
        url=None,
        severity=None,
    )
    return replace(usual, **changes)


def situation(
    record: Rollout, seen: Endpoint | None, kind: Kind = Kind.HOLD, spec: Policy | None = None, **more: Any
) -> Situation:
    decision = more.pop("decision", Decision(kind, f"because of {kind.value}"))
    return Situation(spec or policy(), record, seen, decision, more.pop("now", NOW), **more)


def latencies(*values: float, edges: tuple[float, ...] = (10, 20, 50, 100, 200, 500)) -> Histogram:
    """The distribution of these values, as Cloud Monitoring would count them."""
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[sum(edge <= value for edge in edges)] += 1
    mean = sum(values) / len(values) if values else 0.0
    return Histogram(edges, tuple(counts), mean, sum((v - mean) ** 2 for v in values))


def served(requests: int = 0, errors: int = 0, **values: Histogram) -> ArmMinute:
    return ArmMinute(requests, errors, values)


def minute(at: datetime, candidate: ArmMinute | None = None, stable: ArmMinute | None = None) -> Minute:
    arms = {CANDIDATE: candidate, STABLE: stable}
    return Minute(at, {arm: seen for arm, seen in arms.items() if seen is not None})
