"""A world that is assumed before a rollout: what the stable serves, and what a candidate that is worse by so much would.

Values are taken as log-normal by their median and P95; a candidate that is worse multiplies them all by a factor (up or down), or the
odds of an error by one. How fast the engine's claims then grow is known, so the plan speaks of the very tests that will judge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from shared.policy.rollout import ERROR_RATE, Check
from shared.rollout.claims import Claim, Frozen, Mean, Odds, Own, OwnMean, is_busy, is_latency
from shared.rollout.statistics import plan
from shared.rollout.statistics.latency import QUANTILES

_NORMAL = NormalDist()
_Z95 = _NORMAL.inv_cdf(0.95)
USUAL_SPREAD = 0.6
"""σ of the logarithm of a latency that nobody measured: a P95 of 2.7 times the median."""
USUAL_USE = 0.7
"""How much of a limit on its P95 a latency is taken to use that nobody measured."""
_RAREST = 1e-6
"""Rarer events are planned as these: of none at all no multiple is more."""


@dataclass(frozen=True)
class Values:
    """Log-normal values of one metric, in its unit."""

    median: float
    spread: float
    """σ of the logarithm."""

    @classmethod
    def of(cls, p50: float, p95: float) -> Values:
        """By two quantiles, the second above the first."""
        return cls(p50, math.log(p95 / p50) / _Z95)

    def share_beyond(self, edge: float) -> float:
        return 1 - _NORMAL.cdf(math.log(edge / self.median) / self.spread) if edge > 0 else 1.0

    def quantile(self, q: float) -> float:
        return self.median * math.exp(self.spread * _NORMAL.inv_cdf(q))

    @property
    def mean(self) -> float:
        return self.median * math.exp(self.spread**2 / 2)

    @property
    def sigma(self) -> float:
        return self.mean * math.sqrt(math.expm1(self.spread**2))

    def times(self, factor: float) -> Values:
        return Values(self.median * factor, self.spread)


@dataclass(frozen=True)
class World:
    """What the stable serves."""

    rps: float
    """Requests per second of the whole endpoint."""
    error_rate: float
    values: Mapping[str, Values]

    def knows(self, check: Check) -> bool:
        return check.metric == ERROR_RATE or check.metric in self.values

    def frozen(self, check: Check) -> Frozen:
        """What the first judged minute would fix, if buckets were fine enough."""
        values = self.values.get(check.metric)
        if values is None:
            return Frozen(busy=is_busy(self.rps))
        edges = tuple(values.quantile(q) for q in QUANTILES) if is_latency(check) else ()
        return Frozen(edges, values.sigma, values.mean, is_busy(self.rps))

    def worse_share(self, factor: float) -> float:
        """The error rate of a candidate with so many times the odds of an error."""
        return plan.share_at(_within(self.error_rate), factor)

    def harm_growth(self, check: Check, claim: Claim, factor: float, weight: float) -> float:
        """Nats per candidate request of a claim of harm, for a candidate that is worse by ``factor``."""
        match claim:
            case Odds(test=test):
                stable, candidate = self._shares(check, claim, factor)
                ratio = candidate / (1 - candidate) / (stable / (1 - stable))
                return plan.harm_growth(stable, ratio, weight, test.null)
            case Own(test=test):
                _, candidate = self._shares(check, claim, factor)
                # KL(p ‖ limit) above the limit is that of the good ones below theirs.
                return plan.floor_growth(1 - candidate, 1 - test.null)
            case Mean(test=test):
                stable_values, values = self._values(check, factor)
                beyond = test.direction * (values.mean - stable_values.mean - test.margin)
                return (1 - weight) * max(beyond, 0.0) ** 2 / (2 * stable_values.sigma**2)
            case OwnMean(test=limit_test):
                _, values = self._values(check, factor)
                return _own_mean_growth(limit_test.direction * (values.mean - limit_test.limit), values.sigma)

    def no_harm_growth(self, check: Check, claim: Claim, weight: float) -> float:
        """Nats per candidate request of a claim of no harm, for a candidate that equals the stable."""
        match claim:
            case Odds(test=test):
                stable, _ = self._shares(check, claim, 1.0)
                return plan.no_harm_growth(stable, test.null, weight)
            case Own(test=test):
                return plan.floor_growth(self._shares(check, claim, 1.0)[0], test.null)
            case Mean(test=test):
                values, _ = self._values(check, 1.0)
                return (1 - weight) * test.margin**2 / (2 * values.sigma**2)
            case OwnMean(test=limit_test):
                values, _ = self._values(check, 1.0)
                return _own_mean_growth(limit_test.direction * (values.mean - limit_test.limit), values.sigma)

    def _shares(self, check: Check, claim: Odds | Own, factor: float) -> tuple[float, float]:
        """How often the stable and the candidate do what the claim counts."""
        if check.metric == ERROR_RATE:
            return _within(self.error_rate), _within(self.worse_share(factor))
        if claim.edge is None:
            raise ValueError(f"the claim {claim.key} of {check.metric} counts values and has no edge to count at")
        beyond = [values.share_beyond(claim.edge) for values in self._values(check, factor)]
        stable, candidate = (1 - share for share in beyond) if claim.below else beyond
        return _within(stable), _within(candidate)

    def _values(self, check: Check, factor: float) -> tuple[Values, Values]:
        stable = self.values[check.metric]
        return stable, stable.times(factor)


def usual_latency(check: Check) -> Values:
    """The latency of a stable that nobody measured: log-normal, using 70 % of the policy's limit, if it has one."""
    for z, limit in ((_Z95, check.p95_at_most), (_NORMAL.inv_cdf(0.99), check.p99_at_most), (0.0, check.p50_at_most)):
        if limit:
            return Values(USUAL_USE * limit / math.exp(z * USUAL_SPREAD), USUAL_SPREAD)
    return Values(100.0, USUAL_SPREAD)


def _within(share: float) -> float:
    """Neither none nor all, of which there are no odds."""
    return min(max(share, _RAREST), 1 - _RAREST)


def _own_mean_growth(beyond: float, sigma: float) -> float:
    """max over λ of λ d - λ²(σ² + d²)/2."""
    return beyond**2 / (2 * (sigma**2 + beyond**2)) if beyond > 0 else 0.0
