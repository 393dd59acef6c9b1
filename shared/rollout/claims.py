"""What a check claims, as tests of evidence: each check expands into claims of harm and claims of no harm.

One ``margin`` of the policy becomes the nulls of several tests; the table is the documentation:

    what is claimed             test                                     null with margin m
    errors, shares: harm        odds ratio beside the stable             psi <= 1, and from 50 requests a second psi <= 1 + (m - 1)/5
    errors, shares: no harm     odds ratio beside the stable             psi >= m at the last stage, 1 + 2(m - 1) before it
                                or the share itself                      p >= floor (half of either evidence is given away)
    latency: harm               odds of being beyond the stable's        the same, averaged over the edges
                                P50, P75, P90, P95, P99
    latency: no harm            the same at P50 and P95, both            psi >= 1 + 3(m - 1)/2 at the last stage, 1 + 5(m - 1)/2 before it
    other metrics: harm         mean beside the stable, either way       |difference| <= (m - 1) * |stable's mean|
    other metrics: no harm      both directions                          |difference| >= (m - 1) * |stable's mean|
    absolute limit: harm        the candidate's own share, and, while    p <= limit, psi <= 1: a slowness that both share is
                                there is a stable, worse than it         nobody's regression
    absolute limit: no harm     the candidate's own share                p >= limit

What is borne grows with the traffic because what one arm alone suffers (a slow replica, a noisy node) does: little traffic cannot tell it
from chance, and much traffic finds every difference, however small. Which of the two holds is fixed, like all else, by the first judged minute.

Before the last stage a margin is wider: little traffic is exposed there, and it is what the next stage measures again. Everything that
the first judged minute fixes (edges, the standard deviation, the mean that a margin is a share of) is fixed by it and not tested on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from shared.policy.rollout import ERROR_RATE
from shared.policy.schema import Check
from shared.rollout.observed import ArmMinute, Histogram
from shared.rollout.statistics import binomial, latency, means, tables
from shared.rollout.statistics.binomial import ShareTest
from shared.rollout.statistics.means import MeanLimitTest, MeanTest, Moments
from shared.rollout.statistics.tables import OddsRatioTest, Table

BUSY = 50.0
"""Requests per second of both arms from which a fifth of the margin is borne before anything counts as harm."""
PROVEN_AT = (0.5, 0.95)
"""The quantiles at which a latency must be shown to be no worse; harm is looked for at more of them."""


@dataclass(frozen=True)
class Frozen:
    """What the first judged minute fixes for one check; all in the metric's unit."""

    edges: tuple[float, ...] = ()
    """The stable's quantiles, for a latency."""
    sigma: float = 0.0
    """Standard deviation of one value."""
    mean: float = 0.0
    """Of the stable: what a margin of a mean is a share of."""
    busy: bool = True
    """Whether the traffic is such that a fifth of the margin is borne; trials from before there was a choice bear it."""


@dataclass(frozen=True)
class Odds:
    """Candidate beside stable by how often something bad happens."""

    key: str
    test: OddsRatioTest
    edge: float | None = None
    below: bool = False

    def table(self, stable: ArmMinute, candidate: ArmMinute, metric: str) -> Table | None:
        one, other = (_bad(arm, metric, self.edge, below=self.below) for arm in (stable, candidate))
        return Table(*one, *other) if one and other else None


@dataclass(frozen=True)
class Own:
    """The candidate's own share beside a limit."""

    key: str
    test: ShareTest
    edge: float | None = None
    below: bool = False
    to_advance: bool = False

    def log_ratios(self, candidate: ArmMinute, metric: str) -> tuple[float, ...] | None:
        seen = _bad(candidate, metric, self.edge, below=self.below, to_advance=self.to_advance)
        return self.test.log_ratios(*seen) if seen else None


@dataclass(frozen=True)
class Mean:
    """Candidate beside stable by a mean."""

    key: str
    test: MeanTest

    def log_ratios(self, stable: ArmMinute, candidate: ArmMinute, metric: str) -> tuple[float, ...] | None:
        one, other = stable.values.get(metric), candidate.values.get(metric)
        return self.test.log_ratios(Moments.of(one), Moments.of(other)) if one and other else None


@dataclass(frozen=True)
class OwnMean:
    """The candidate's own mean beside a limit."""

    key: str
    test: MeanLimitTest

    def log_ratios(self, candidate: ArmMinute, metric: str) -> tuple[float, ...] | None:
        values = candidate.values.get(metric)
        return self.test.log_ratios(Moments.of(values)) if values else None


Claim = Odds | Own | Mean | OwnMean


def _bad(
    arm: ArmMinute, metric: str, edge: float | None, *, below: bool = False, to_advance: bool = False
) -> tuple[int, int] | None:
    """(how many, how many of them bad), as the claim counts them; None where nothing was served."""
    if metric == ERROR_RATE:
        return (arm.requests, arm.errors) if arm.requests else None
    values = arm.values.get(metric)
    if values is None or not values.total or not values.edges or edge is None:
        return None
    if below:
        certain, perhaps = (
            values.total - latency.perhaps_beyond(values, edge),
            values.total - latency.surely_beyond(values, edge),
        )
    else:
        certain, perhaps = latency.surely_beyond(values, edge), latency.perhaps_beyond(values, edge)
    return values.total, perhaps if to_advance else certain


def freeze(check: Check, stable: ArmMinute | None, candidate: ArmMinute) -> Frozen | None:
    """What this minute fixes; None while it says too little of the metric."""
    busy = is_busy(((stable.requests if stable else 0) + candidate.requests) / 60)
    if check.metric == ERROR_RATE:
        return Frozen(busy=busy)
    values = (stable or candidate).values.get(check.metric) or Histogram()
    if values.total < 2:
        return None
    sigma = (values.deviation / (values.total - 1)) ** 0.5 or max(abs(values.mean), 1.0) * 1e-6
    edges = latency.stable_edges(values) if is_latency(check) else ()
    return Frozen(edges, sigma, values.mean, busy)


def is_busy(rps: float) -> bool:
    """Whether so many requests per second, of both arms, find differences that are nobody's regression."""
    return rps >= BUSY


def is_latency(check: Check) -> bool:
    return check.metric.endswith("_ms")


def shares_limited(check: Check) -> Iterator[tuple[str, float, float, bool]]:
    """(name, limit, edge, whether below it is bad) of every absolute limit that is a share of values."""
    for q, at_most in ((0.5, check.p50_at_most), (0.95, check.p95_at_most), (0.99, check.p99_at_most)):
        if at_most is not None:
            yield f"p{q * 100:g}", 1 - q, at_most, False
    for edge, limit in sorted(check.share_above.items()):
        yield f"above-{edge:g}", limit, edge, False
    for edge, limit in sorted(check.share_below.items()):
        yield f"below-{edge:g}", limit, edge, True
    if check.range is not None:
        yield "range-above", check.outside, check.range[1], False
        yield "range-below", check.outside, check.range[0], True


def means_limited(check: Check) -> Iterator[tuple[str, float, Literal[1, -1]]]:
    """(name, limit, which direction is worse) of every limit on the mean."""
    if check.mean_at_most is not None:
        yield "mean-at-most", check.mean_at_most, 1
    if check.mean_at_least is not None:
        yield "mean-at-least", check.mean_at_least, -1


def harm_claims(check: Check, frozen: Frozen) -> dict[str, list[Claim]]:
    """Groups of claims that the candidate does harm; how a group is summed up stands in ``proof``."""
    null = 1 + ((check.margin or 1.0) - 1) / 5 if frozen.busy else 1.0
    groups: dict[str, list[Claim]] = {}
    if check.metric == ERROR_RATE:
        groups["relative"] = [Odds("harm", tables.harm(null))]
        if check.at_most is not None:
            groups["limit"] = [Own("over", binomial.above(check.at_most)), Odds("worse", tables.harm())]
        if check.margin is None:
            groups.pop("relative")
        return groups
    if check.margin and is_latency(check):
        groups["relative"] = [Odds(f"harm-{edge:g}", tables.harm(null), edge) for edge in frozen.edges]
    elif check.margin:
        far = (check.margin - 1) * abs(frozen.mean)
        groups["relative"] = [
            Mean("harm-up", means.harm(frozen.sigma, 1, far)),
            Mean("harm-down", means.harm(frozen.sigma, -1, far)),
        ]
    for name, limit, edge, below in shares_limited(check):
        groups[name] = [
            Own(f"over-{name}", binomial.above(limit), edge, below),
            Odds(f"worse-{name}", tables.harm(), edge, below),
        ]
    for name, limit, worse in means_limited(check):
        own = OwnMean(f"over-{name}", means.beyond(frozen.sigma, limit, worse))
        groups[name] = [own, Mean(f"worse-{name}", means.harm(frozen.sigma, worse))]
    return {name: claims for name, claims in groups.items() if claims}


def no_harm_claims(check: Check, frozen: Frozen, *, last: bool) -> dict[str, list[Claim]]:
    """Groups of claims that it does none; ``last`` is the stage before all the traffic."""
    groups: dict[str, list[Claim]] = {}
    beyond = (check.margin or 1.0) - 1
    if check.margin and check.metric == ERROR_RATE:
        psi = 1 + beyond * (1 if last else 2)
        groups["relative"] = [
            Odds(f"ni-{psi:g}", tables.no_harm(psi)),
            Own("floor", binomial.below(check.floor), to_advance=True),
        ]
    elif check.margin and is_latency(check):
        psi = 1 + beyond * (1.5 if last else 2.5)
        for edge in _proven_edges(frozen):
            groups[f"beyond-{edge:g}"] = [Odds(f"ni-{psi:g}-{edge:g}", tables.no_harm(psi), edge)]
    elif check.margin:
        far = beyond * abs(frozen.mean)
        groups["up"] = [Mean("ni-up", means.no_harm(frozen.sigma, far, 1))]
        groups["down"] = [Mean("ni-down", means.no_harm(frozen.sigma, far, -1))]
    if check.metric == ERROR_RATE and check.at_most is not None:
        groups["limit"] = [Own("under", binomial.below(check.at_most), to_advance=True)]
    for name, limit, edge, below in shares_limited(check):
        groups[name] = [Own(f"under-{name}", binomial.below(limit), edge, below, to_advance=True)]
    for name, limit, worse in means_limited(check):
        groups[name] = [OwnMean(f"under-{name}", means.within(frozen.sigma, limit, worse))]
    return groups


def _proven_edges(frozen: Frozen) -> tuple[float, ...]:
    """P50 and P95 among the frozen quantiles (which may share an edge)."""
    if len(frozen.edges) < len(latency.QUANTILES):
        return frozen.edges[:1] + frozen.edges[-1:] if len(frozen.edges) > 1 else frozen.edges
    return tuple(frozen.edges[latency.QUANTILES.index(q)] for q in PROVEN_AT)
