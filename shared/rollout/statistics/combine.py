"""Several metrics, one decision: averages to roll back, the least to advance.

Rolling back wants one claim, "something is worse", of which false alarms are bounded together. Advancing wants every claim, "nothing is
worse by more than its margin", of which each must hold by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from shared.rollout.statistics.process import threshold

SUSPICION = 5.0
"""E of harm from which a rollout no longer advances, though it is far from being taken back."""


@dataclass(frozen=True)
class Combined:
    """The evidence of several metrics as one number, and the metric that says most."""

    e: float
    metric: str


def combine_harm(e_values: Mapping[str, float], weights: Mapping[str, float] | None = None) -> Combined:
    """E = Σ w_m E_m with Σ w_m = 1 (equal weights unless given; others are scaled), and the culprit: the largest w_m E_m.

    Null: no metric is worse. Valid under any dependence between metrics, and the only admissible way of merging e-values under it (Vovk &
    Wang 2021; Wang 2024, arXiv 2409.19888); at least as strong as Bonferroni, about ln M nats slower than a single metric. The bound
    is on a false rollback; that the culprit itself is worse holds at alpha only where its own E reaches 1/(alpha w_m).
    """
    if not e_values:
        raise ValueError("no metric to combine: a rollout without checks has no evidence, decide it elsewhere")
    given = {metric: (weights or {}).get(metric, 0.0 if weights else 1.0) for metric in e_values}
    total = math.fsum(given.values())
    if min(given.values()) < 0 or total <= 0:
        raise ValueError(f"weights must not be negative and must not all be zero: {given}")
    parts = {metric: given[metric] / total * e for metric, e in e_values.items()}
    return Combined(math.fsum(parts.values()), max(parts, key=lambda metric: parts[metric]))


def combine_no_harm(e_values: Mapping[str, float]) -> Combined:
    """E = min_m E_m, and the metric that is still wanting evidence.

    Null: some metric is margin-bad in every tick. Under it that metric's E is an e-process and the minimum is no larger: level alpha without
    correction (intersection-union: Berger 1982, Technometrics 24).
    """
    if not e_values:
        raise ValueError("no metric to combine: a rollout without checks has no evidence, decide it elsewhere")
    weakest = min(e_values, key=lambda metric: e_values[metric])
    return Combined(e_values[weakest], weakest)


def both(e_slo: float, e_relative: float) -> float:
    """min(E_slo, E_rel): evidence that a limit is broken *and* that the candidate is worse than the stable.

    Null: either is not so. A slowness that both arms share breaks the limit and is no reason to take the candidate back.
    Intersection-union: level alpha without correction.
    """
    return min(e_slo, e_relative)


def either(e_relative: float, e_absolute: float) -> float:
    """(E_rel + E_abs)/2: evidence that the candidate is below max(floor, ψ1 x stable).

    Null: in every tick the candidate is above the floor and beyond the margin; both are e-processes under it, so their average is.
    Without the floor a share of 0.1 % cannot be certified against the stable in any useful time.
    """
    return (e_relative + e_absolute) / 2


def decide(
    e_harm: float,
    e_no_harm: Iterable[float],
    *,
    alpha: float = 0.01,
    alpha_advance: float = 0.05,
    ticks_in_stage: int,
    least_ticks: int = 5,
    suspicion: float = SUSPICION,
) -> Literal["roll_back", "advance", "hold"]:
    """Roll back at E_harm >= 1/alpha; advance when every E_no_harm >= 1/alpha_adv *now*, without suspicion and after the least ticks; else hold.

    P(ever rolled back | no metric worse) <= alpha; P(ever advanced | some metric margin-bad in every tick) <= alpha_adv, which the further
    conditions only lower. Nothing is latched: evidence that has gone is no longer evidence. Without any E_no_harm nothing advances.
    """
    if e_harm >= threshold(alpha):
        return "roll_back"
    least = min(e_no_harm, default=0.0)
    if least >= threshold(alpha_advance) and e_harm < suspicion and ticks_in_stage >= least_ticks:
        return "advance"
    return "hold"
