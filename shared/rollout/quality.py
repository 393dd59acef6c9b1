"""Reported quality as histograms, and predictions beside their truths: pure.

Every value is sorted into buckets whose edges are the limits of the policy's checks and a fixed scale between them, so reports of different
reporters can be added, and what a check asks of a limit is exact.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator
from datetime import datetime

from shared.events.quality import Label, Reported
from shared.policy.rollout import Check, Labels
from shared.policy.schema import Policy
from shared.rollout.histogram import trimmed
from shared.rollout.observed import Histogram

SCALE = tuple(digit * 10.0**power for power in range(-4, 7) for digit in (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9))
"""Edges where no limit is."""
OF_A_SHARE = (0.25, 0.75)
"""Zeros lie below, ones above; any edge between them tells the two apart."""


def labels_of(policy: Policy, metric: str) -> Labels | None:
    """How a metric's truths are joined; None where it is no metric of delayed labels."""
    return next((c.labels for c in policy.rollout.checks if c.metric == metric and c.labels), None)


def edges_of(policy: Policy | None, metric: str) -> tuple[float, ...]:
    """The buckets of one metric: every limit, and what comes just above it, so that a value at its limit is within it."""
    checks = [check for check in policy.rollout.checks if check.metric == metric] if policy else []
    limits = {limit for check in checks for limit in _limits(check)}
    if policy and policy.rollout.experiment and policy.rollout.experiment.objective.metric == metric:
        objective = policy.rollout.experiment.objective
        limits |= {x for x in (objective.good_from, objective.good_to) if x is not None}
    scale = {0.0, *SCALE, *(-edge for edge in SCALE)}
    return tuple(sorted(scale | limits | {_above(limit) for limit in limits}))


def _limits(check: Check) -> Iterator[float]:
    yield from check.share_above
    yield from check.share_below
    yield from check.range or ()
    yield from (x for x in (check.p50_at_most, check.p95_at_most, check.p99_at_most) if x is not None)


def _above(limit: float) -> float:
    """The next number of six digits: edges are kept to so many."""
    step = 10.0 ** (math.floor(math.log10(abs(limit))) - 5) if limit else 1e-9
    return float(f"{limit + step:.6g}")


def as_histogram(reported: Reported, edges: tuple[float, ...]) -> Histogram:
    """One metric of a report, in our buckets."""
    match reported.form:
        case "values" | "count":
            return of_values(reported.values, edges)
        case "histogram":
            counts = _spread(reported.edges, reported.counts, edges)
            return _trimmed(Histogram(edges, counts, reported.mean, reported.deviation))
        case "share":
            return of_share(*reported.counts)
        case "mean":
            return Histogram((), (reported.number,), reported.mean, reported.deviation)


def of_values(values: Iterable[float], edges: tuple[float, ...]) -> Histogram:
    """Values in buckets; mean and deviation are exact."""
    values = tuple(values)
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[bisect.bisect_right(edges, value)] += 1
    mean = math.fsum(values) / len(values)
    return _trimmed(Histogram(edges, tuple(counts), mean, math.fsum((value - mean) ** 2 for value in values)))


def of_share(zeros: int, ones: int) -> Histogram:
    """So many times 0, so many times 1."""
    number = zeros + ones
    return Histogram(OF_A_SHARE, (zeros, 0, ones), ones / number, zeros * ones / number)


def _trimmed(whole: Histogram) -> Histogram:
    edges, counts = trimmed(whole.edges, whole.counts)
    return Histogram(tuple(edges), tuple(counts), whole.mean, whole.deviation)


def _spread(theirs: tuple[float, ...], counts: tuple[int, ...], edges: tuple[float, ...]) -> tuple[int, ...]:
    """Counts of foreign buckets in ours: evenly within a bucket, whole numbers, none lost. What is open stays beside its edge."""
    found = [0] * (len(edges) + 1)
    bounds = (-math.inf, *theirs, math.inf)
    for low, high, count in zip(bounds, bounds[1:], counts, strict=False):
        if not math.isfinite(low):
            found[bisect.bisect_left(edges, high)] += count
        elif not math.isfinite(high):
            found[bisect.bisect_right(edges, low)] += count
        else:
            _spread_one(found, edges, low, high, count)
    return tuple(found)


def _spread_one(found: list[int], edges: tuple[float, ...], low: float, high: float, count: int) -> None:
    first, last = bisect.bisect_right(edges, low), bisect.bisect_left(edges, high)
    given, upper = 0, low
    for place in range(first, last + 1):
        upper = min(edges[place], high) if place < len(edges) else high
        until = round(count * (upper - low) / (high - low))
        found[place] += until - given
        given = until


def ripe_at(asked: datetime, labels: Labels) -> datetime:
    """When a prediction is judged, with or without its truth."""
    return asked + labels.ripe_after


def outcome_of(labels: Labels, predicted: Label, truth: Label) -> float | None:
    """What one prediction was worth; None where the two cannot be compared."""
    if labels.outcome == "agrees":
        return float(_plain(predicted) == _plain(truth))
    if isinstance(predicted, str) or isinstance(truth, str):
        return None
    return abs(float(predicted) - float(truth))


def _plain(label: Label) -> str:
    """1, 1.0 and "1" are the same label, as they come through different programs."""
    if isinstance(label, bool):
        return str(label).lower()
    return f"{float(label):g}" if isinstance(label, int | float) else label


def outcome_histogram(labels: Labels, value: float, edges: tuple[float, ...]) -> Histogram:
    """One outcome in buckets."""
    return of_share(int(value == 0), int(value != 0)) if labels.outcome == "agrees" else of_values([value], edges)
