"""Trials played on the pure core: minutes drawn at random, gathered, decided, moved; nothing else."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from local.draws import LATENCY_EDGES, ORDINARY, TOKEN_EDGES, Behaviour, draw_requests, draw_served
from shared.policy.schema import Policy
from shared.rollout.decide import Decision, Kind, decide
from shared.rollout.evidence import Evidence, Proving, gather, looked_until
from shared.rollout.observed import ArmMinute, Histogram, Minute, TargetRef
from shared.rollout.record import Phase, Rollout

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
STABLE, CANDIDATE = "1000000001", "1000000002"


def evidence_policy(checks: Sequence[dict[str, Any]], **rollout: Any) -> Policy:
    """A policy that advances by evidence, with nothing lagging."""
    return Policy.model_validate(
        {
            "model": "m",
            "targets": [{"region": "us-central1", "endpoint": "serving"}],
            "register": {"from": {"message": True}, "container": {"image": "image"}},
            "machine": {"type": "n1-standard-4"},
            "rollout": {
                "advance": "evidence",
                "metrics": {"lag": "0s", "settle": "1m"},
                "stages": [{"traffic": 10, "bake": "5m"}, {"traffic": 50, "bake": "5m"}, {"traffic": 100}],
                "checks": list(checks),
                **rollout,
            },
        }
    )


@dataclass(frozen=True)
class End:
    """How a trial ended, and after how many minutes."""

    kind: Kind | None
    minutes: int
    last: Decision
    evidence: Evidence


def histogram(values: Sequence[float], edges: tuple[float, ...]) -> Histogram:
    """Values as Cloud Monitoring would have them."""
    in_order = sorted(values)
    below = [0, *(bisect_left(in_order, edge) for edge in edges), len(values)]
    mean = sum(values) / len(values)
    return Histogram(edges, tuple(b - a for a, b in pairwise(below)), mean, sum([(v - mean) ** 2 for v in values]))


def serve(generator: random.Random, requests: int, behaviour: Behaviour) -> ArmMinute:
    """One minute of one arm."""
    served = draw_served(generator, requests, behaviour)
    latencies, tokens = histogram(served.latencies, LATENCY_EDGES), histogram(served.tokens, TOKEN_EDGES)
    return ArmMinute(requests, served.errors, {"latency_ms": latencies, "tokens": tokens})


def draw_minute(
    generator: random.Random, at: datetime, rps: float, share: float, stable: Behaviour, candidate: Behaviour
) -> Minute:
    """One minute of both, routed at random."""
    left, taken = draw_requests(generator, rps, share)
    arms = {STABLE: serve(generator, left, stable), CANDIDATE: serve(generator, taken, candidate)}
    return Minute(at, arms)


def begin_trial() -> Rollout:
    """A canary at its first share."""
    return Rollout(
        id="m-v2-000000",
        model="m",
        version="2",
        target=TargetRef("p", "us-central1", "serving"),
        target_index=0,
        policy_version=1,
        phase=Phase.CANARY,
        created_at=BEGAN,
        updated_at=BEGAN,
        phase_since=BEGAN,
        stage=0,
        stage_since=BEGAN,
        deployed_id=CANDIDATE,
        stable_id=STABLE,
    )


def play(
    policy: Policy,
    seed: int,
    rps: float = 10,
    candidate: Behaviour = ORDINARY,
    stable: Behaviour = ORDINARY,
    *,
    minutes: int = 240,
    real_share: float | None = None,
) -> End:
    """Until it is promoted, rolled back, or the minutes are over."""
    generator, rollout, at = random.Random(seed), begin_trial(), BEGAN
    evidence: Evidence | None = None
    decision = Decision(Kind.HOLD, "")
    for number in range(1, minutes + 1):
        at += timedelta(minutes=1)
        share = policy.rollout.stages[rollout.stage].traffic
        minute = draw_minute(generator, at, rps, real_share or share / 100, stable, candidate)
        proving = Proving(policy.rollout, STABLE, share)
        since = rollout.stage_since or at
        evidence = looked_until(
            gather(evidence, rollout.id, since, [minute], CANDIDATE, policy.rollout.metrics, proving), at
        )
        decision = decide(policy, rollout, evidence, at)
        if decision.kind in (Kind.ROLL_BACK, Kind.PROMOTE):
            return End(decision.kind, number, decision, evidence)
        if decision.kind is Kind.ADVANCE:
            rollout = rollout.moved(at, stage=rollout.stage + 1, stage_since=at)
    assert evidence is not None
    return End(None, minutes, decision, evidence)
