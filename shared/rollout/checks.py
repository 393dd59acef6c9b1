"""Judging one check on what was served: pure, and with the numbers in a sentence.

A limit is crossed for certain when what was seen would come at most once in a thousand looks if the truth were just at the limit (exact
binomial for shares and quantiles, normal for means). Seen above the limit but not for certain is inconclusive: it neither advances
nor rolls back. So is whatever a handful of samples shows: one failed request must not take a version back. That bound holds for one
look (``advance: bake``); ``advance: evidence`` puts one beside it that holds for all looks together (``proof``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from shared.policy.rollout import ERROR_RATE, Labels
from shared.policy.schema import Check
from shared.policy.units import format_duration
from shared.rollout.histogram import count_below, count_from, quantile
from shared.rollout.observed import ArmMinute, Histogram
from shared.rollout.record import CheckResult, Verdict
from shared.rollout.tails import binomial_tail, normal_tail

CERTAIN = 0.001
MEANINGFUL = 20
"""Samples below which nothing is certain: one failed request of one is "certain" beside a limit of 0.1 %, and a mean is not yet normal."""


@dataclass(frozen=True)
class Finding:
    """One limit of a check, held against what was seen."""

    what: str
    observed: float
    limit: float
    certain: bool
    """Whether so much beyond the limit is no accident."""
    above: bool = True
    """Whether more is worse."""
    percent: bool = False
    detail: str = ""
    stable: float | None = None

    @property
    def beyond(self) -> bool:
        return self.observed > self.limit if self.above else self.observed < self.limit

    @property
    def sentence(self) -> str:
        sign = (">" if self.beyond else "<=") if self.above else ("<" if self.beyond else ">=")
        show = _percent if self.percent else _number
        return f"{self.what} {show(self.observed)} {sign} {show(self.limit)} ({self.detail})"


def _percent(value: float) -> str:
    return f"{value * 100:.3g} %"


def _number(value: float) -> str:
    return f"{value:.4g}"


def judge_check(check: Check, candidate: ArmMinute, stable: ArmMinute | None) -> CheckResult:
    """The verdict of one check; ``stable`` is None where there is no control arm (all traffic, first version)."""
    samples = _samples(check, candidate)
    if check.labels and (few := _uncovered(check, check.labels, candidate)):
        return _result(check, Verdict.INCONCLUSIVE if samples else Verdict.NO_DATA, few, samples=samples)
    if not samples:
        return _result(check, Verdict.NO_DATA, f"{check.metric}: no data", samples=0)
    findings = list(_findings(check, candidate, stable))
    beyond = [f for f in findings if f.beyond]
    certain = [f for f in beyond if f.certain]
    if certain and samples >= min(check.min_samples, MEANINGFUL):
        return _from_finding(check, Verdict.FAIL, certain[0], samples)
    if samples < check.min_samples:
        few = f"{check.metric}: {samples} of {check.min_samples} samples"
        if not beyond:
            return _result(check, Verdict.INCONCLUSIVE, few, samples=samples)
        found = _from_finding(check, Verdict.INCONCLUSIVE, beyond[0], samples)
        return replace(found, sentence=f"{few}, of which {found.sentence}")
    if beyond:
        found = _from_finding(check, Verdict.INCONCLUSIVE, beyond[0], samples)
        return replace(found, sentence=f"{found.sentence}, which may be chance")
    unknown = _what_is_unknown(check, candidate, stable)
    if unknown:
        return _result(check, Verdict.INCONCLUSIVE, f"{check.metric}: {unknown}", samples=samples)
    if not findings:
        return _result(check, Verdict.PASS, f"{check.metric}: no stable to compare with", samples=samples)
    return _from_finding(check, Verdict.PASS, findings[0], samples)


def _uncovered(check: Check, labels: Labels, candidate: ArmMinute) -> str:
    """Why the truths that are known say nothing of the rest; empty where enough are known.

    Who complains is heard first: a few truths are no sample of all.
    """
    ripe = candidate.values.get(predicted_key(check.metric), Histogram()).total
    known = _samples(check, candidate)
    if not ripe or known / ripe >= labels.coverage:
        return ""
    covered = f"{known} of {ripe} truths known after {format_duration(labels.ripe_after)}"
    return f"{check.metric}: {covered} ({_percent(known / ripe)} < {_percent(labels.coverage)})"


def predicted_key(metric: str) -> str:
    """The metric under which it is counted how many predictions are ripe, with their truth or without."""
    return f"{metric}~predicted"


def _what_is_unknown(check: Check, candidate: ArmMinute, stable: ArmMinute | None) -> str:
    """What the check asks for and nobody can answer yet; not to know it is no pass."""
    if check.margin and stable is not None and (served := _samples(check, stable)) < check.min_samples:
        return f"{served} of {check.min_samples} samples of the stable to compare with"
    if check.metric == ERROR_RATE:
        return ""
    arms = [candidate] if stable is None or not check.margin else [candidate, stable]
    if _needs_buckets(check) and not all(arm.values[check.metric].edges for arm in arms):
        return "its distribution has no buckets, so only its mean is known"
    return ""


def _needs_buckets(check: Check) -> bool:
    limits = (check.p50_at_most, check.p95_at_most, check.p99_at_most, check.range)
    beside = bool(check.margin) and check.metric.endswith("_ms")
    return beside or bool(check.share_above or check.share_below) or any(limit is not None for limit in limits)


def _samples(check: Check, arm: ArmMinute) -> int:
    return arm.requests if check.metric == ERROR_RATE else arm.values.get(check.metric, Histogram()).total


def _result(check: Check, verdict: Verdict, sentence: str, samples: int) -> CheckResult:
    return CheckResult(check.metric, verdict, sentence, samples=samples, gating=check.gating)


def _from_finding(check: Check, verdict: Verdict, finding: Finding, samples: int) -> CheckResult:
    return CheckResult(
        check.metric,
        verdict,
        finding.sentence,
        observed=finding.observed,
        limit=finding.limit,
        stable=finding.stable,
        samples=samples,
        gating=check.gating,
    )


def _findings(check: Check, candidate: ArmMinute, stable: ArmMinute | None) -> Iterator[Finding]:
    if check.metric == ERROR_RATE:
        yield from _of_errors(check, candidate, stable)
        return
    values = candidate.values[check.metric]
    yield from _of_means(check, values)
    if values.edges:  # without buckets only the mean is known, and nothing may be concluded of the rest
        yield from _of_quantiles(check, values)
        yield from _of_shares(check, values)
    control = stable.values.get(check.metric) if stable else None
    if check.margin and control and control.total >= check.min_samples:
        if not check.metric.endswith("_ms"):
            yield from _means_beside(check, values, control)
        elif values.edges and control.edges:
            yield from _latencies_beside(check, values, control)


def _of_errors(check: Check, arm: ArmMinute, stable: ArmMinute | None) -> Iterator[Finding]:
    n, x = arm.requests, arm.errors
    if check.at_most is not None:
        yield _share(ERROR_RATE, x, n, check.at_most, "requests")
    if check.margin and stable and stable.requests >= check.min_samples:
        control = stable.errors / stable.requests
        limit = check.margin * max(control, check.floor)
        # Given all errors together, the candidate's are binomial; its share of them at the margin is the null (Lehmann & Romano 4.5).
        ratio = check.margin * n / (check.margin * n + stable.requests)
        certain = (
            binomial_tail(x, x + stable.errors, ratio) <= CERTAIN
            if control > check.floor
            else binomial_tail(x, n, limit) <= CERTAIN
        )
        detail = f"{x} of {n} requests, stable {_percent(control)}, margin {check.margin:g}x"
        yield Finding(
            f"{ERROR_RATE} beside the stable", x / n, limit, certain, percent=True, detail=detail, stable=control
        )


def _share(what: str, x: int, n: int, limit: float, of: str) -> Finding:
    return Finding(what, x / n, limit, binomial_tail(x, n, limit) <= CERTAIN, percent=True, detail=f"{x} of {n} {of}")


def _of_quantiles(check: Check, values: Histogram) -> Iterator[Finding]:
    for q, limit in ((0.5, check.p50_at_most), (0.95, check.p95_at_most), (0.99, check.p99_at_most)):
        if limit is not None:
            # No latency is exactly at its limit; of whole numbers many may be, and they are within it.
            over, n = count_from(values, limit, itself=check.metric.endswith("_ms")), values.total
            certain = binomial_tail(over, n, 1 - q) <= CERTAIN
            detail = f"{over} of {n} above {limit:g}"
            yield Finding(f"{check.metric} p{q * 100:g}", quantile(values, q), limit, certain, detail=detail)


def _of_means(check: Check, values: Histogram) -> Iterator[Finding]:
    error = _standard_error(values)
    detail = f"{values.total} samples"
    if check.mean_at_most is not None:
        certain = _z_tail(values.mean - check.mean_at_most, error) <= CERTAIN
        yield Finding(f"{check.metric} mean", values.mean, check.mean_at_most, certain, detail=detail)
    if check.mean_at_least is not None:
        certain = _z_tail(check.mean_at_least - values.mean, error) <= CERTAIN
        yield Finding(f"{check.metric} mean", values.mean, check.mean_at_least, certain, above=False, detail=detail)


def _of_shares(check: Check, values: Histogram) -> Iterator[Finding]:
    for edge, limit in sorted(check.share_above.items()):
        yield _share(
            f"{check.metric} above {edge:g}", count_from(values, edge, itself=False), values.total, limit, "values"
        )
    for edge, limit in sorted(check.share_below.items()):
        yield _share(f"{check.metric} below {edge:g}", count_below(values, edge), values.total, limit, "values")
    if check.range is not None:
        low, high = check.range
        outside = count_below(values, low) + count_from(values, high, itself=False)
        yield _share(f"{check.metric} outside {low:g} to {high:g}", outside, values.total, check.outside, "values")


def _latencies_beside(check: Check, values: Histogram, control: Histogram) -> Iterator[Finding]:
    """The P95 may be the margin times the stable's."""
    margin, p95 = check.margin or 1.0, quantile(control, 0.95)
    limit = margin * p95
    over, n = count_from(values, limit), values.total
    # The stable's P95 is an estimate too: given all slow ones together, the candidate's are binomial if both have the same share.
    slow = over + count_from(control, p95)
    certain = binomial_tail(over, slow, n / (n + control.total)) <= CERTAIN
    what, detail = f"{check.metric} p95 beside the stable", f"{over} of {n} above {margin:g}x the stable's {p95:.4g}"
    yield Finding(what, quantile(values, 0.95), limit, certain, detail=detail, stable=p95)


def _means_beside(check: Check, values: Histogram, control: Histogram) -> Iterator[Finding]:
    """Of any other metric the mean, in both directions: nobody knows which one is worse."""
    margin = check.margin or 1.0
    error = math.hypot(_standard_error(values), margin * _standard_error(control))
    detail = f"{values.total} samples, stable {control.mean:.4g}, margin {margin:g}x"
    what = f"{check.metric} mean beside the stable"
    low, high = sorted((control.mean / margin, control.mean * margin))
    certain_high = _z_tail(values.mean - high, error) <= CERTAIN
    certain_low = _z_tail(low - values.mean, error) <= CERTAIN
    yield Finding(what, values.mean, high, certain_high, detail=detail, stable=control.mean)
    yield Finding(what, values.mean, low, certain_low, above=False, detail=detail, stable=control.mean)


def _standard_error(values: Histogram) -> float:
    """Of the mean; unbounded for too few values, so that nothing about their mean is certain."""
    n = values.total
    return math.sqrt(values.deviation / (n - 1) / n) if n >= MEANINGFUL else math.inf


def _z_tail(difference: float, error: float) -> float:
    if error == 0:
        return 0.0 if difference > 0 else 1.0
    return normal_tail(difference / error)
