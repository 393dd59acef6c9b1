"""Candidate beside stable by a mean: what a Cloud Monitoring distribution says exactly, whatever its buckets are.

A distribution carries count, mean and sum of squared deviations. A tick-stratified normal mixture needs no more, and finds a pure shift
of the level sooner than edges do; tails it does not see, and heavy ones weaken it: use edges for those.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from shared.rollout.observed import Histogram
from shared.rollout.statistics.process import CLIP, Process, Starts, begin

EFFECTS = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
"""Shifts that are bet on, in standard deviations of the baseline."""
_LEAST_VARIANCE = 1 / 16
"""Of the baseline's: a tick of a few equal values must not pass for a measurement without error. A larger variance only lowers E."""


class Moments(NamedTuple):
    """One arm in one tick."""

    total: int
    mean: float
    deviation: float
    """Sum of squared deviations from the mean."""

    @classmethod
    def of(cls, histogram: Histogram) -> Moments:
        """The exact part of a distribution."""
        return cls(histogram.total, histogram.mean, histogram.deviation)


@dataclass(frozen=True)
class MeanTest:
    """Null: in no tick does the candidate's mean lie beyond the stable's plus ``margin``, in ``direction``. Made by ``harm``, ``no_harm``."""

    sigma: float
    """Standard deviation of one value, from a baseline before the rollout; scales the alternatives, not the guarantee."""
    direction: Literal[1, -1] = 1
    """1: evidence for a higher mean; -1: for a lower one."""
    margin: float = 0.0
    """Added to the stable's mean, in the metric's unit, whatever the direction."""
    effects: tuple[float, ...] = EFFECTS
    starts: Starts = "all"
    clip: float | None = CLIP

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"a standard deviation of {self.sigma:g} scales nothing: measure the baseline for longer")

    def begin(self) -> Process:
        """The process of this test before its first tick."""
        return begin(len(self.effects), self.starts, self.clip)

    def log_ratios(self, stable: Moments, candidate: Moments) -> tuple[float, ...] | None:
        """l(λ) = λ h d - λ² h s²/2 for each alternative λ = ±effect/sigma; None where an arm is empty.

        h = n_a n_b/N, d = mean_b - margin - mean_a, s² = (ssd_a + ssd_b + h d²)/(N - 1). The mixture martingale of a normal mean (Robbins
        1970; mSPRT: Johari, Pekelis, Walsh 2015), stratified by tick so that drift common to both arms cancels, self-normalised by the
        tick's own variance. Asymptotic: normal for means of many values; measured false alarms at alpha = 1 %: at most 0.2 %.
        """
        everything = stable.total + candidate.total
        if not stable.total or not candidate.total:
            return None
        h = stable.total * candidate.total / everything
        d = candidate.mean - self.margin - stable.mean
        variance = (stable.deviation + candidate.deviation + h * d * d) / (everything - 1)
        variance = max(variance, self.sigma * self.sigma * _LEAST_VARIANCE)
        lambdas = (self.direction * effect / self.sigma for effect in self.effects)
        return tuple(lam * h * d - lam * lam * h * variance / 2 for lam in lambdas)


@lru_cache(256)
def harm(sigma: float, worse: Literal[1, -1] = 1, margin: float = 0.0) -> MeanTest:
    """The test for a rollback: null "in every tick the candidate's mean is at most ``margin`` worse than the stable's".

    ``worse`` says what harm is: 1 a higher mean, -1 a lower one. Formula and assumptions: ``MeanTest.log_ratios``. P(E ever reaches
    1/alpha) <= alpha, asymptotically.
    """
    return MeanTest(sigma, worse, worse * margin)


@lru_cache(256)
def no_harm(sigma: float, margin: float, worse: Literal[1, -1] = 1) -> MeanTest:
    """The test for an advance: null "in every tick the candidate's mean is at least ``margin`` worse than the stable's".

    The harm test mirrored about the margin, all bets at the first tick, no clip; the same formula, assumptions and guarantee.
    """
    better: Literal[1, -1] = -1 if worse == 1 else 1
    return MeanTest(sigma, better, worse * margin, starts="first", clip=None)


@dataclass(frozen=True)
class MeanLimitTest:
    """Null: in no tick does the candidate's mean lie beyond ``limit``, in ``direction``. Made by ``beyond`` and ``within``."""

    sigma: float
    """Standard deviation of one value, from a baseline; scales the alternatives, not the guarantee."""
    direction: Literal[1, -1]
    """1: evidence for a mean above the limit; -1: for one below it."""
    limit: float
    effects: tuple[float, ...] = EFFECTS
    starts: Starts = "all"
    clip: float | None = CLIP

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"a standard deviation of {self.sigma:g} scales nothing: measure the baseline for longer")

    def begin(self) -> Process:
        """The process of this test before its first tick."""
        return begin(len(self.effects), self.starts, self.clip)

    def log_ratios(self, candidate: Moments) -> tuple[float, ...] | None:
        """l(λ) = λ S - λ² V/2 with S = Σ (x - limit) = n d and V = Σ (x - limit)² = ssd + n d²; None where nothing was served.

        Self-normalised: for values that lie symmetrically about the limit exp l is a supermartingale whatever their distribution (de la
        Peña 1999, Annals of Probability 27); for others asymptotically, as means of many values are.
        """
        if not candidate.total:
            return None
        d = candidate.mean - self.limit
        total = candidate.total * d
        squares = candidate.deviation + candidate.total * d * d
        squares = max(squares, candidate.total * self.sigma * self.sigma * _LEAST_VARIANCE)
        lambdas = (self.direction * effect / self.sigma for effect in self.effects)
        return tuple(lam * total - lam * lam * squares / 2 for lam in lambdas)


@lru_cache(256)
def beyond(sigma: float, limit: float, worse: Literal[1, -1]) -> MeanLimitTest:
    """The test for a rollback: null "the mean is on the good side of ``limit`` in every tick"."""
    return MeanLimitTest(sigma, worse, limit)


@lru_cache(256)
def within(sigma: float, limit: float, worse: Literal[1, -1]) -> MeanLimitTest:
    """The test for an advance: null "the mean is on the bad side of ``limit`` in every tick"; all bets at the first, no clip."""
    better: Literal[1, -1] = -1 if worse == 1 else 1
    return MeanLimitTest(sigma, better, limit, starts="first", clip=None)
