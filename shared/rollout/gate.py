"""The offline gate: what a version must show before any machine is paid for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.policy.gate import GateMetric
from shared.policy.schema import Policy
from shared.policy.units import format_duration
from shared.rollout.names import label_key
from shared.rollout.observed import ModelVersion
from shared.rollout.record import CheckResult, Verdict


@dataclass(frozen=True)
class GateResult:
    """``no_data`` means: wait, the evaluation may still come."""

    verdict: Verdict
    sentence: str
    checks: tuple[CheckResult, ...] = ()
    examined: str = ""
    """Which answers to a fixed set it was judged by; empty where the policy has none."""


def judge_gate(
    policy: Policy,
    candidate: ModelVersion,
    metrics: Mapping[str, float] | None,
    champion: Mapping[str, float] | None,
    since: datetime,
    now: datetime,
) -> GateResult:
    """Floors, no regression against the champion, and the labels that governance requires.

    ``metrics`` is None where no evaluation was imported; that is no data, waited for from ``since`` and then treated as the policy says.
    ``champion`` is None where there is none or it has no evaluation: then only the floors count.
    """
    lacking = [key for key in policy.register_.required_labels if label_key(key) not in candidate.labels]
    if lacking:
        return GateResult(Verdict.FAIL, f"required labels are missing: {', '.join(lacking)}")
    wanted = policy.gate.metrics
    if not wanted:
        fixed = policy.gate.fixed_set
        return GateResult(
            Verdict.PASS, f"its answers to {fixed.instances} are next" if fixed else "the policy has no gate"
        )
    seen = metrics or {}
    checks = tuple(c for metric in wanted if metric.name in seen for c in judge_metric(metric, seen, champion or {}))
    failed = [c for c in checks if c.verdict is Verdict.FAIL]
    if failed:
        return GateResult(Verdict.FAIL, "; ".join(c.sentence for c in failed), checks)
    lacking = [m.name for m in wanted if m.name not in seen]
    if lacking:
        return _without_evaluation(policy, lacking, since, now, checks)
    sentence = "; ".join(c.sentence for c in checks) or "no champion to compare with"
    return GateResult(Verdict.PASS, sentence, checks)


def _without_evaluation(
    policy: Policy, lacking: list[str], since: datetime, now: datetime, checks: tuple[CheckResult, ...]
) -> GateResult:
    names = ", ".join(lacking)
    if now - since < policy.gate.wait:
        return GateResult(
            Verdict.NO_DATA,
            f"waiting for the evaluation of {names} (at most {format_duration(policy.gate.wait)})",
            checks,
        )
    missing = f"no evaluation of {names} came within {format_duration(policy.gate.wait)}"
    if policy.gate.missing == "pass":
        return GateResult(Verdict.PASS, f"{missing}; the policy lets it pass", checks)
    return GateResult(Verdict.FAIL, missing, checks)


def judge_metric(
    metric: GateMetric, metrics: Mapping[str, float], champion: Mapping[str, float]
) -> Iterator[CheckResult]:
    """One result for each of its limits; ``metrics`` and what of them is the champion's are by name."""
    seen, before = metrics[metric.name], champion.get(metric.name)
    if metric.at_least is not None:
        yield _compare(metric.name, seen, metric.at_least, at_least=True)
    if metric.at_most is not None:
        yield _compare(metric.name, seen, metric.at_most, at_least=False)
    if before is None:
        return
    if metric.not_below_champion_by is not None:
        yield _compare(metric.name, seen, before - metric.not_below_champion_by, at_least=True, champion=before)
    if metric.not_above_champion_by is not None:
        yield _compare(metric.name, seen, before + metric.not_above_champion_by, at_least=False, champion=before)


def _compare(name: str, seen: float, limit: float, *, at_least: bool, champion: float | None = None) -> CheckResult:
    good = seen >= limit if at_least else seen <= limit
    sign = (">=" if good else "<") if at_least else ("<=" if good else ">")
    beside = f" (champion {champion:.4g})" if champion is not None else ""
    sentence = f"{name} {seen:.4g} {sign} {limit:.4g}{beside}"
    return CheckResult(
        name, Verdict.PASS if good else Verdict.FAIL, sentence, observed=seen, limit=limit, stable=champion
    )
