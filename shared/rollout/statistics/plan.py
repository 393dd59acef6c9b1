"""What a stage can find, and how long it takes: for a person who writes a policy.

Evidence grows by so many nats per request of the candidate; a bound is so many nats away. Both are known beforehand, so a policy can be
told that with six requests a minute only a fivefold error rate will be found within two hours. Estimates of medians (within a
third of simulations where a decision takes more than a handful of ticks), not guarantees.
"""

from __future__ import annotations

import math

from shared.rollout.statistics.process import threshold

_HARM_OVERHEAD = 0.9
"""Nats for not knowing the size of the harm nor when it begins, at the median (5.5 nats at alpha = 1 %, one metric)."""
_NO_HARM_OVERHEAD = 0.5
"""The same for no harm, where all is bet at the first tick."""
_LARGEST = 1_000.0


def harm_growth(p: float, psi: float, weight: float) -> float:
    """Nats per candidate request for harm: I(ψ) = p [ψ ln ψ - (ψ + r) ln((ψ + r)/(1 + r))], r = n_a/n_b.

    ``p``: the stable's share of bad requests; ``psi``: the candidate's odds ratio; ``weight``: its share of the traffic. The expected
    log likelihood ratio of the conditional test with small shares (Poisson).
    """
    r = _ratio(p, weight)
    return p * (psi * math.log(psi) - (psi + r) * math.log((psi + r) / (1 + r)))


def no_harm_growth(p: float, margin: float, weight: float) -> float:
    """Nats per candidate request for no harm beyond ``margin``, of a candidate that equals the stable: p [(1 + r) ln((ψ1 + r)/(1 + r)) - ln ψ1]."""
    r = _ratio(p, weight)
    return p * ((1 + r) * math.log((margin + r) / (1 + r)) - math.log(margin))


def floor_growth(p: float, floor: float) -> float:
    """Nats per candidate request for "below the floor": KL(p ‖ floor) of two coins; 0 where p is not below it."""
    if not 0 <= p < floor < 1:
        return 0.0
    return (p * math.log(p / floor) if p else 0.0) + (1 - p) * (math.log1p(-p) - math.log1p(-floor))


def requests_to_roll_back(p: float, psi: float, weight: float, alpha: float = 0.01, metrics: int = 1) -> float:
    """Median candidate requests until harm of odds ratio ``psi`` is found: (ln(M/alpha) + 0.9)/I(ψ); infinite where there is none to find."""
    growth = harm_growth(p, psi, weight) if psi > 1 else 0.0
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


def _ratio(p: float, weight: float) -> float:
    """r = n_a/n_b."""
    if not 0 <= p < 1:
        raise ValueError(f"a share of bad requests of {p:g} is none: give one from 0 to below 1")
    if not 0 < weight < 1:
        raise ValueError(f"at a weight of {weight:g} there is nothing to compare: give one strictly between 0 and 1")
    return (1 - weight) / weight
