"""Candidate beside stable, one 2x2 table per tick: the test of errors, slow requests, values out of range.

Within a tick both arms see the same world: the same callers, the same time of day, the same broken upstream. Given the tick's totals, how
many of the bad requests were the candidate's depends on the odds ratio alone. Multiplied over ticks this is a likelihood ratio
that no drift of the base rate and no shift of traffic can inflate (the tie form of the safe logrank test: ter Schure et al. 2024;
Lindon & Malek 2022, arXiv 2011.03567).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from shared.rollout.statistics.hypergeometric import log_sums
from shared.rollout.statistics.process import CLIP, Process, Starts, begin

HARM_RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""How many times worse than the null harm may be; equal weights cost at most ln 8 nats."""
NO_HARM_RATIOS = (0.8, 0.65, 0.5, 0.35, 0.2, 0.05)
"""How far below the margin the truth may be."""


class Table(NamedTuple):
    """One tick of both arms. A named tuple, not a dataclass: histories of them are stored, and as JSON arrays they are a fifth as long."""

    stable: int
    """Requests."""
    stable_bad: int
    candidate: int
    candidate_bad: int

    @property
    def bad(self) -> int:
        return self.stable_bad + self.candidate_bad

    @property
    def informs(self) -> bool:
        """Whether both arms served: a tick of one alone compares nothing."""
        return self.stable > 0 and self.candidate > 0


@dataclass(frozen=True)
class OddsRatioTest:
    """A null on the odds ratio ψ = odds(candidate bad) / odds(stable bad), and the alternatives that are bet on.

    Alternatives above the null seek harm (null: ψ <= ``null`` in every tick), below it they seek no harm (null: ψ >= ``null`` in
    every tick). They lie on one side: with both, neither null would be tested.
    """

    null: float
    alternatives: tuple[float, ...]
    starts: Starts
    clip: float | None
    exact: bool = True
    """False: the bound without sums (``bounded_log_ratio``), for harm only."""

    def __post_init__(self) -> None:
        if self.null <= 0 or min(self.alternatives) <= 0:
            raise ValueError(
                f"odds ratios are positive; the null is {self.null:g}, the alternatives {self.alternatives}"
            )
        if min(self.alternatives) < self.null < max(self.alternatives):
            raise ValueError(f"alternatives lie on one side of the null {self.null:g}: {self.alternatives} are on both")
        if not self.exact:
            _refuse_unless_harm(min(self.alternatives), self.null)

    def begin(self) -> Process:
        """The process of this test before its first tick."""
        return begin(len(self.alternatives), self.starts, self.clip)

    def log_ratios(self, table: Table) -> tuple[float, ...] | None:
        """l of the tick for each alternative, for ``process.update``; None where an arm is empty."""
        if not table.informs:
            return None
        if not self.exact:
            return tuple(bounded_log_ratio(table, psi, self.null) for psi in self.alternatives)
        _refuse_impossible(table)
        null, *sums = log_sums(table.stable, table.candidate, table.bad, (self.null, *self.alternatives))
        x = table.candidate_bad
        return tuple([x * weight - (z - null) for weight, z in zip(self._weights, sums, strict=True)])

    @cached_property
    def _weights(self) -> tuple[float, ...]:
        """ln(ψ/ψ0) of each alternative: a test is made once and asked for years."""
        return tuple(math.log(psi / self.null) for psi in self.alternatives)


@lru_cache(256)
def harm(null: float = 1.0, ratios: tuple[float, ...] = HARM_RATIOS, *, exact: bool = True) -> OddsRatioTest:
    """The test for a rollback: null "the candidate's odds are at most ``null`` times the stable's, in every tick".

    E >= 1/alpha happens with probability at most alpha while that holds, whatever the base rate does and however traffic moves (the split may
    depend on the past). It holds under random routing whatever the dependence between requests that is common to both arms. Noise of
    one arm alone (a slow replica) is a difference, not noise; a ``null`` of 1.1 to 1.25 and the dispersion guard bear with it.
    """
    return OddsRatioTest(null, tuple(null * ratio for ratio in ratios), "all", CLIP, exact)


@lru_cache(256)
def no_harm(margin: float, ratios: tuple[float, ...] = NO_HARM_RATIOS) -> OddsRatioTest:
    """The test for an advance (non-inferiority): null "the candidate's odds are at least ``margin`` times the stable's, in every tick".

    A candidate that is margin-bad throughout ever reaches 1/alpha with probability at most alpha. One that turns bad after it has passed is
    found by ``harm``, not by this. All bets are placed at the first tick and none is clipped. Always the exact sums: see
    ``bounded_log_ratio``.
    """
    return OddsRatioTest(margin, tuple(margin * ratio for ratio in ratios), "first", None)


def log_ratio(table: Table, psi: float, null: float) -> float:
    """l(ψ; ψ0) = x_b ln(ψ/ψ0) - ln[Z(ψ)/Z(ψ0)], Z(ψ) = Σ_x C(n_b, x) C(n_a, m-x) ψ^x; 0 where the totals leave no choice.

    The conditional likelihood ratio of Fisher's noncentral hypergeometric. E[exp l] = 1 at ψ0, and at most 1 on the side of ψ0 away
    from ψ: the family has a monotone likelihood ratio (Lehmann & Romano, Testing Statistical Hypotheses, 3.4 and 4.5).
    """
    _refuse_impossible(table)
    if not table.informs:
        return 0.0
    at_null, at_psi = log_sums(table.stable, table.candidate, table.bad, (null, psi))
    return table.candidate_bad * math.log(psi / null) - (at_psi - at_null)


def bounded_log_ratio(table: Table, psi: float, null: float) -> float:
    """The sum-free variant for harm: x_b ln(ψ/ψ0) - m ln[(ψ n_b + n_a) / (ψ0 n_b + n_a)]; constant time, about 2 % slower evidence.

    For ψ >= ψ0 >= 1 E[exp l] <= 1 at and below ψ0: x_b given m is a sum of independent Bernoulli variables (its generating polynomial
    has real roots only), dominated in convex order by the binomial of its mean, which is at most m ψ0 n_b/(ψ0 n_b + n_a).
    For no harm it is not valid at all (the expectation exceeds 1 by orders of magnitude), so other ψ are refused.
    """
    _refuse_unless_harm(psi, null)
    _refuse_impossible(table)
    if not table.informs:
        return 0.0
    n_a, n_b = table.stable, table.candidate
    return table.candidate_bad * math.log(psi / null) - table.bad * math.log((psi * n_b + n_a) / (null * n_b + n_a))


def _refuse_unless_harm(psi: float, null: float) -> None:
    if not psi >= null >= 1:
        raise ValueError(
            f"without its sums the ratio of {psi:g} to {null:g} is no evidence: use the exact one, or alternatives >= null >= 1"
        )


def _refuse_impossible(table: Table) -> None:
    if not (0 <= table.stable_bad <= table.stable and 0 <= table.candidate_bad <= table.candidate):
        raise ValueError(
            f"{table} counts less than nothing or more bad requests than requests: drop the tick for both arms"
        )
