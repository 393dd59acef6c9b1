"""Betting less where one arm is noisier than chance allows.

The tables assume that given a tick's totals only chance decides whose requests were bad. A slow replica or a noisy node moves one arm
from tick to tick beyond that. Past ticks show it; the bets of the next tick are then raised to a power below one. The power is known
before the tick, so the guarantee stands whatever it is (Jensen), and where noise is binomial it is 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shared.rollout.statistics.hypergeometric import squares_and_variances
from shared.rollout.statistics.process import Process, e_value, update
from shared.rollout.statistics.tables import OddsRatioTest, Table

PRIOR = 10.0
"""Variance of a dispersion of 1 that is believed before the first tick (c0)."""
DEAD_BAND = 1.5
"""Below this φ̂ is taken for chance."""
CAP = 20.0
"""No noisier than this: a candidate that is only sometimes terrible must still be found."""
KEPT = 120
"""Past ticks that are remembered, two kilobytes of JSON; two hours at one minute each."""

Counts = tuple[int, int, int, int]
"""A ``Table`` as it is remembered; read back from JSON as what it is there, in a third of the time."""


@dataclass(frozen=True)
class Guarded:
    """An e-process of tables with what its guard remembers; as JSON some hundred bytes and then 16 or so per tick kept."""

    process: Process
    kept: int = KEPT
    """How many ticks to keep; 0 guards nothing."""
    history: tuple[Counts, ...] = ()

    @property
    def e(self) -> float:
        """The evidence so far."""
        return e_value(self.process)


def guard(test: OddsRatioTest, kept: int = KEPT) -> Guarded:
    """The process of a test, guarded, before its first tick."""
    return Guarded(test.begin(), kept)


def update_guarded(state: Guarded, test: OddsRatioTest, table: Table) -> Guarded:
    """The state after one more tick: its bets at the power that the ticks before it justify. An empty arm changes nothing."""
    ratios = test.log_ratios(table)
    if ratios is None:
        return state
    process = update(state.process, ratios, power(state.history))
    history = (*state.history, table)[-state.kept :] if state.kept else ()
    return Guarded(process, state.kept, history)


def odds_ratio(history: Sequence[Counts]) -> float:
    """ψ̂ = (Σ x_b (n_a - x_a)/N + ½) / (Σ x_a (n_b - x_b)/N + ½): Mantel & Haenszel 1959, stratified by tick, drawn a little to 1."""
    for_b = math.fsum([x_b * (n_a - x_a) / (n_a + n_b) for n_a, x_a, n_b, x_b in history])
    for_a = math.fsum([x_a * (n_b - x_b) / (n_a + n_b) for n_a, x_a, n_b, x_b in history])
    return (for_b + 0.5) / (for_a + 0.5)


def dispersion(history: Sequence[Counts]) -> float:
    """φ̂ = (c0 + K/(K-1) Σ (x_t - μ_t(ψ̂))²) / (c0 + Σ v_t(ψ̂)): how much more x_b varies than chance makes it, 1 for no more.

    Residuals are taken anew at the present ψ̂: a constant difference between the arms is no dispersion. Measured over K ticks in which both
    arms served; 1 for fewer than two.
    """
    ticks = [tick for tick in history if tick[0] > 0 and tick[2] > 0]
    if len(ticks) < 2:
        return 1.0
    psi = odds_ratio(ticks)
    squares, variances = squares_and_variances(ticks, psi)
    return (PRIOR + len(ticks) / (len(ticks) - 1) * squares) / (PRIOR + variances)


def power(history: Sequence[Counts]) -> float:
    """η for the next tick: 1 while φ̂ < 1.5, else 1/min(φ̂, 20). It depends on past ticks only, which keeps E an e-process.

    Quasi-likelihood divides a log-likelihood by its dispersion (McCullagh & Nelder 1989, 9.2). The guard makes false alarms from noise of
    one arm rarer; it proves nothing about them, and noise that is strongly autocorrelated passes it.
    """
    phi = dispersion(history)
    return 1.0 if phi < DEAD_BAND else 1 / min(phi, CAP)
