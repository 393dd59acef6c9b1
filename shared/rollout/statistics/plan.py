"""What a stage can find, and how long it takes: for a person who writes a policy.

Evidence grows by so many nats per request of the candidate; a bound is so many nats away. Both are known beforehand, so a policy can be
told that with six requests a minute only a fivefold error rate will be found within two hours. Estimates of medians (within a
third of simulations where a decision takes more than a handful of ticks), not guarantees.
"""

from __future__ import annotations

import math

from shared.rollout.statistics.hypergeometric import admissible_root
from shared.rollout.statistics.process import threshold

_HARM_OVERHEAD = 0.9
"""Nats for not knowing the size of the harm nor when it begins, at the median (5.5 nats at alpha = 1 %, one metric)."""
_NO_HARM_OVERHEAD = 0.5
"""The same for no harm, where all is bet at the first tick."""
_LARGEST = 1_000.0


def harm_growth(p: float, psi: float, weight: float, null: float = 1.0) -> float:
    """Nats per candidate request for harm beyond ``null``: I = r KL(p_a ‖ q_a) + KL(p_b ‖ q_b), r = n_a/n_b.

    ``p``: the stable's share of bad requests (p_a); ``psi``: the candidate's odds ratio, which gives p_b; ``weight``: its share of the
    traffic. q: the shares with the same total and the odds ratio ``null``, the nearest that the null explains. For small shares
    and null 1 this is p [psi ln psi - (psi + r) ln((psi + r)/(1 + r))]. 0 where there is no harm beyond the null.
    """
    return _growth(p, share_at(p, psi), weight, null) if psi > null else 0.0


def no_harm_growth(p: float, margin: float, weight: float) -> float:
    """Nats per candidate request for no harm beyond ``margin``, of a candidate that equals the stable: the same, with the margin as null."""
    return _growth(p, p, weight, margin) if margin > 1 else 0.0


def floor_growth(p: float, floor: float) -> float:
    """Nats per candidate request for "below the floor": KL(p ‖ floor) of two coins; 0 where p is not below it."""
    return _divergence(p, floor) if 0 <= p < floor < 1 else 0.0


def requests_to_roll_back(p: float, psi: float, weight: float, alpha: float = 0.01, metrics: int = 1) -> float:
    """Median candidate requests until harm of odds ratio ``psi`` is found: (ln(M/alpha) + 0.9)/I; infinite where there is none to find."""
    growth = harm_growth(p, psi, weight)
    return _nats_to_harm(alpha, metrics) / growth if growth > 0 else math.inf


def requests_to_advance(p: float, margin: float, weight: float, floor: float = 0.0, alpha: float = 0.05) -> float:
    """Median candidate requests until a candidate that equals the stable may advance: the margin or the floor, whichever is sooner.

    (ln(1/alpha) + 0.5)/growth; with a floor (``combine.either``) half of either evidence is given away, ln 2 more.
    """
    growth = max(no_harm_growth(p, margin, weight), floor_growth(p, floor))
    nats = math.log(threshold(alpha)) + _NO_HARM_OVERHEAD + (math.log(2) if floor else 0.0)
    return nats / growth if growth > 0 else math.inf


def detectable_odds_ratio(requests: float, p: float, weight: float, alpha: float = 0.01, metrics: int = 1) -> float:
    """The minimum detectable effect: the least odds ratio that so many candidate requests find, at the median; inf where none up to 1000.

    The inverse of ``requests_to_roll_back`` by bisection (it falls in ψ).
    """
    if requests_to_roll_back(p, _LARGEST, weight, alpha, metrics) > requests:
        return math.inf
    low, high = 1.0, _LARGEST
    while high / low > 1.0001:
        middle = math.sqrt(low * high)
        if requests_to_roll_back(p, middle, weight, alpha, metrics) > requests:
            low = middle
        else:
            high = middle
    return high


def share_at(p: float, psi: float) -> float:
    """The candidate's share of bad requests at that odds ratio; what a person is told instead of ψ."""
    return psi * p / (1 - p + psi * p) if math.isfinite(psi) else 1.0


def seconds_for(requests: float, rps: float, weight: float, tick: float = 60.0, least_ticks: int = 2) -> float:
    """How long so many candidate requests take, in whole ticks: at ``rps`` of the endpoint, of which the candidate has ``weight``.

    At least two ticks for harm (the clip), the stage's minimum to advance. Infinite without traffic.
    """
    per_tick = rps * weight * tick
    if per_tick <= 0 or not math.isfinite(requests):
        return math.inf
    return max(math.ceil(requests / per_tick), least_ticks) * tick


def _nats_to_harm(alpha: float, metrics: int) -> float:
    if metrics < 1:
        raise ValueError(f"{metrics} metrics find nothing: give the number of metrics that are combined, at least 1")
    return math.log(metrics * threshold(alpha)) + _HARM_OVERHEAD


def _growth(p_a: float, p_b: float, weight: float, null: float) -> float:
    if not 0 <= p_a < 1:
        raise ValueError(f"a share of bad requests of {p_a:g} is none: give one from 0 to below 1")
    if not 0 < weight < 1:
        raise ValueError(f"at a weight of {weight:g} there is nothing to compare: give one strictly between 0 and 1")
    r = (1 - weight) / weight
    bad = r * p_a + p_b
    q_b = admissible_root(null - 1, -(r - bad + null * (bad + 1)), null * bad)
    return r * _divergence(p_a, (bad - q_b) / r) + _divergence(p_b, q_b)


def _divergence(p: float, q: float) -> float:
    """KL(p ‖ q) of two coins, in nats; rounding may not make it negative."""
    if p in (0, 1):
        return -math.log(1 - q if p == 0 else q)
    return max(p * math.log(p / q) + (1 - p) * (math.log1p(-p) - math.log1p(-q)), 0.0)
