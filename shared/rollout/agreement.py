"""Judging a shadow: how often the candidate's answers agree with the stable's, as checks beside those of errors and latency.

What agrees is counted like requests and errors, under the deployed model's id and the comparison's name, so minutes of it are added,
merged and dropped as everything else that was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shared.policy.rollout import ERROR_RATE
from shared.policy.schema import Check, Policy
from shared.policy.shadow import SAME_SCHEMA, Comparison, Shadow
from shared.rollout.checks import CERTAIN, MEANINGFUL, Finding
from shared.rollout.observed import ArmMinute
from shared.rollout.record import CheckResult, Verdict
from shared.rollout.tails import binomial_tail

SERVED = (ERROR_RATE, "latency_ms")
"""What Vertex AI measures of a shadow too. A metric of the user's own is reported for what users were answered, so nobody reports it here."""


def shadow_checks(policy: Policy) -> list[Check]:
    """The policy's checks that can be judged of a shadow."""
    return [check for check in policy.rollout.checks if check.metric in SERVED]


def comparisons_of(shadow: Shadow) -> list[Comparison]:
    """All that is compared, the schema among it."""
    schema = Comparison(name=SAME_SCHEMA, kind="exact", at_least=shadow.same_schema, min_samples=MEANINGFUL)
    return [schema, *shadow.compare]


def agreement_key(deployed_id: str, name: str) -> str:
    """Where the counts of one comparison stand among the arms."""
    return f"{deployed_id}/{name}"


def agreement_arms(deployed_id: str, counts: Mapping[str, tuple[int, int]]) -> dict[str, ArmMinute]:
    """Counts as arms: a prediction is a request, one that disagrees an error."""
    return {agreement_key(deployed_id, name): ArmMinute(requests=n, errors=x) for name, (n, x) in counts.items()}


def heard_names(candidate: str, arms: Mapping[str, ArmMinute]) -> Iterator[str]:
    """The comparisons that said something in these arms."""
    for key, arm in arms.items():
        deployed_id, _, name = key.partition("/")
        if deployed_id == candidate and name and arm.requests:
            yield name


def judge_agreement(comparison: Comparison, seen: ArmMinute) -> CheckResult:
    """The verdict on one comparison."""
    n, x, name = seen.requests, seen.errors, comparison.name
    if not n:
        return CheckResult(name, Verdict.NO_DATA, f"{name}: no answers compared", gating=comparison.gating)
    limit = comparison.at_least
    found = Finding(
        name,
        (n - x) / n,
        limit,
        binomial_tail(x, n, 1 - limit) <= CERTAIN,
        above=False,
        percent=True,
        detail=f"{n - x} of {n} answers agree",
    )
    verdict, sentence = Verdict.PASS, found.sentence
    if found.beyond:
        is_enough = n >= min(comparison.min_samples, MEANINGFUL)
        verdict = Verdict.FAIL if found.certain and is_enough else Verdict.INCONCLUSIVE
        sentence = sentence if verdict is Verdict.FAIL else f"{sentence}, which may be chance"
    elif n < comparison.min_samples:
        verdict, sentence = Verdict.INCONCLUSIVE, f"{name}: {n} of {comparison.min_samples} answers compared"
    return CheckResult(name, verdict, sentence, found.observed, limit, samples=n, gating=comparison.gating)
