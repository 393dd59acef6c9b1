"""One assessment of one rollout: a minute more of evidence, and the verdicts; and what the statistics import.

Three metrics (errors, a latency, tokens) at 100 requests per second, a tenth of them the candidate's. Two hours are gathered, minute by
minute, as a tick does: add the minute, update every table, judge. The time is one process's own (CPU), so that a busy machine says the same.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from bench.numbers import table
from local.draws import LATENCY_EDGES
from shared.policy.validation import parse_policy
from shared.rollout.decide import decide
from shared.rollout.evidence import EVIDENCE, Evidence, Proving, gather, looked_until
from shared.rollout.observed import ArmMinute, Histogram, Minute, TargetRef
from shared.rollout.record import Phase, Rollout

STABLE, CANDIDATE = "1000000001", "1000000002"
_BEGIN = datetime(2026, 3, 2, 12, tzinfo=UTC)
_TOKENS = tuple(float(edge) for edge in range(64, 401, 8))
_FOREIGN = """
import sys
before = set(sys.modules)
import shared.rollout.statistics.combine, shared.rollout.statistics.means, shared.rollout.statistics.latency
import shared.rollout.statistics.dispersion, shared.rollout.statistics.arms, shared.rollout.statistics.interval
found = {name.partition(".")[0] for name in set(sys.modules) - before}
print(",".join(sorted(name for name in found if name not in sys.stdlib_module_names and name != "shared")))
"""


@dataclass(frozen=True)
class Results:
    """What was measured."""

    minutes: int
    median_ms: float
    worst_ms: float
    tables: int
    """Running tests of one rollout."""
    state_bytes: int
    """Of all that is kept for one rollout, as JSON."""
    foreign: tuple[str, ...]
    """Packages beyond the standard library that the statistics import."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own settings."""
    parser.add_argument("--minutes", type=int, default=120, help="of evidence")
    parser.add_argument("--rps", type=float, default=100.0, help="of the whole endpoint")
    parser.add_argument("--seed", type=int, default=1)


def run(options: argparse.Namespace) -> Results:
    """Gather and judge, minute by minute."""
    random = Random(options.seed)
    policy = parse_policy(_policy(), "the bench's policy")
    target = TargetRef("shop", "us-central1", "serving")
    rollout = Rollout(
        id="m-v2-000001",
        model="m",
        version="2",
        target=target,
        target_index=0,
        policy_version=1,
        phase=Phase.CANARY,
        created_at=_BEGIN,
        updated_at=_BEGIN,
        phase_since=_BEGIN,
        stage=0,
        stage_since=_BEGIN,
        deployed_id=CANDIDATE,
        stable_id=STABLE,
    )
    proving = Proving(policy.rollout, STABLE, 10)
    evidence: Evidence | None = None
    took = []
    for number in range(2, options.minutes + 2):
        at = _BEGIN + timedelta(minutes=number)
        arms = {STABLE: _arm(random, options.rps * 54), CANDIDATE: _arm(random, options.rps * 6)}
        began = time.process_time()
        evidence = gather(evidence, rollout.id, _BEGIN, [Minute(at, arms)], CANDIDATE, policy.rollout.metrics, proving)
        evidence = looked_until(evidence, at)
        decide(policy, rollout, evidence, at + policy.rollout.metrics.lag)
        took.append((time.process_time() - began) * 1000)
    assert evidence is not None  # noqa: S101  (there is at least one minute)
    proof = evidence.proof
    foreign = subprocess.run([sys.executable, "-c", _FOREIGN], capture_output=True, text=True, check=True).stdout
    return Results(
        options.minutes,
        statistics.median(took),
        max(took),
        len(proof.guarded) + len(proof.plain),
        len(EVIDENCE.dump_json(replace(evidence))),
        tuple(name for name in foreign.strip().split(",") if name),
    )


def show(results: Results) -> str:
    """A table."""
    rows = [
        ["median of one assessment, ms", f"{results.median_ms:.1f}"],
        ["slowest, ms", f"{results.worst_ms:.1f}"],
        ["running tests", str(results.tables)],
        ["state of one rollout, bytes", str(results.state_bytes)],
        ["packages that the statistics import", ", ".join(results.foreign) or "none"],
    ]
    return table([f"over {results.minutes} minutes", ""], rows)


def as_json(results: Results) -> dict[str, object]:
    """For programs."""
    return {name: getattr(results, name) for name in Results.__dataclass_fields__}


def _policy() -> dict[str, object]:
    return {
        "model": "m",
        "targets": [{"region": "us-central1", "endpoint": "serving"}],
        "register": {"from": {"message": True}, "container": {"image": "sim/m"}},
        "machine": {"type": "n1-standard-2", "replicas": {"min": 1, "max": 4}},
        "rollout": {
            "advance": "evidence",
            "stages": [{"traffic": 10, "bake": "24h"}, {"traffic": 100}],
            "deadline": {"after": "48h", "then": "pause"},
            "checks": [
                {"metric": "error_rate", "at_most": "5%", "margin": "1.5x"},
                {"metric": "latency_ms", "p95_at_most": 400, "margin": "1.3x"},
                {"metric": "tokens", "range": [64, 400], "share_above": {"352": "5%"}, "margin": "1.2x"},
            ],
        },
    }


def _arm(random: Random, requests: float) -> ArmMinute:
    served = round(requests)
    errors = sum(random.random() < 0.01 for _ in range(served))
    latencies = [random.lognormvariate(4.38, 0.6) for _ in range(served)]
    tokens = [min(max(random.gauss(180, 50), 64), 400) for _ in range(served)]
    values = {"latency_ms": _histogram(LATENCY_EDGES, latencies), "tokens": _histogram(_TOKENS, tokens)}
    return ArmMinute(served, errors, values)


def _histogram(edges: tuple[float, ...], values: list[float]) -> Histogram:
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[sum(edge <= value for edge in edges)] += 1
    mean = statistics.fmean(values)
    return Histogram(edges, tuple(counts), mean, math.fsum((v - mean) ** 2 for v in values))
