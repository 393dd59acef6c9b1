"""Fisher's noncentral hypergeometric distribution: how m bad requests fall on two arms, given the odds ratio ψ.

Of n_a requests of one arm and n_b of the other, m are bad together. That x of them are the second arm's has a probability
proportional to C(n_b, x) · C(n_a, m - x) · ψ^x, whatever the common base rate is (Fogel et al. in Johnson, Kemp, Kotz,
Univariate Discrete Distributions, 6.11). A base rate that drifts is thereby gone from the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

_NEGLIGIBLE = 1e-18
"""A term this small beside the sum changes no digit of it, nor do the smaller ones that follow."""
_STIRLING = 40
"""From where on four terms of Stirling's series are exact in double precision."""


_WIDE = 300
"""Terms beyond which a sum that stops at negligible ones is faster than the whole polynomial."""
_FARTHEST = 600.0
"""ln of the largest power of ψ that a polynomial may hold; e^709 is the largest number. A coefficient that is too small for a number adds
nothing even to that power."""


def log_sum(n_a: int, n_b: int, m: int, psi: float) -> float:
    """ln Z(ψ) of Z(ψ) = Σ_x C(n_b, x) C(n_a, m-x) ψ^x, less a constant that n_a, n_b and m determine.

    Only differences between two ψ of one table mean something; leaving the constant out keeps them exact to the last digits.
    """
    return log_sums(n_a, n_b, m, (psi,))[0]


def log_sums(n_a: int, n_b: int, m: int, psis: Sequence[float]) -> list[float]:
    """``log_sum`` at several ψ of one table. A narrow table is one polynomial in ψ, whose coefficients all of them share, and with them the
    claims of one minute that count alike."""
    least, most = max(0, m - n_a), min(n_b, m)
    middle = min(max(int(_mode(n_a, n_b, m, 1.0)), least), most)
    up_to, down_to = (most - middle) * math.log(max(psis)), (least - middle) * math.log(min(psis))
    if max(up_to, down_to) > _FARTHEST or max(most - middle, middle - least) > _WIDE:
        return [_wide_log_sum(n_a, n_b, m, psi, middle) for psi in psis]
    up, down = _coefficients(n_a, n_b, m, middle)
    found = []
    for psi in psis:
        above = below = 0.0
        for coefficient in up:
            above = above * psi + coefficient
        inverse = 1 / psi
        for coefficient in down:
            below = below * inverse + coefficient
        found.append(math.log(above + below) + middle * math.log(psi))
    return found


@lru_cache(32)
def _coefficients(n_a: int, n_b: int, m: int, middle: int) -> tuple[list[float], list[float]]:
    """Of ψ^(x - middle) for x from the largest down to ``middle``, and of ψ^(middle - x) from the least up to below it, then 0."""
    least, most = max(0, m - n_a), min(n_b, m)
    up, down = [1.0], [0.0]
    term = 1.0
    for x in range(middle, most):
        term *= (n_b - x) * (m - x) / ((x + 1) * (n_a - m + x + 1))
        up.append(term)
    term = 1.0
    for x in range(middle, least, -1):
        term *= x * (n_a - m + x) / ((n_b - x + 1) * (m - x + 1))
        down.append(term)
    up.reverse()
    down.reverse()
    return up, down


def _wide_log_sum(n_a: int, n_b: int, m: int, psi: float, middle: int) -> float:
    """The sum begins at its largest term and goes both ways until terms are negligible: O(√m) of them, no overflow for any counts."""
    least, most = max(0, m - n_a), min(n_b, m)
    mode = min(max(int(_mode(n_a, n_b, m, psi)), least), most)
    total = term = 1.0
    for x in range(mode, most):
        term *= psi * (n_b - x) * (m - x) / ((x + 1) * (n_a - m + x + 1))
        total += term
        if term < _NEGLIGIBLE * total:
            break
    term = 1.0
    for x in range(mode, least, -1):
        term *= x * (n_a - m + x) / (psi * (n_b - x + 1) * (m - x + 1))
        total += term
        if term < _NEGLIGIBLE * total:
            break
    far = mode - middle
    ways = (
        _log_factorial_step(middle, far)
        + _log_factorial_step(n_b - middle, -far)
        + _log_factorial_step(m - middle, -far)
        + _log_factorial_step(n_a - m + middle, far)
    )
    return mode * math.log(psi) - ways + math.log(total)


def _log_factorial_step(k: int, step: int) -> float:
    """ln (k + step)! - ln k!, to the last digits: of two values of ``lgamma`` near a million the difference has lost nine.

    Stirling's series, with the large parts of both subtracted by hand (DLMF 5.11.1).
    """
    if k + step < 0:
        raise ValueError(f"no factorial of {k + step}")
    if min(k, k + step) < _STIRLING:
        return math.lgamma(k + step + 1) - math.lgamma(k + 1)
    a, b = k + 1.0, k + step + 1.0
    return step * math.log(a) + (b - 0.5) * math.log1p(step / a) - step + _stirling(b) - _stirling(a)


def _stirling(z: float) -> float:
    """What Stirling's formula lacks of ln Γ(z), for large z."""
    squared = z * z
    return (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * squared)) / squared) / squared) / z


def mean_and_variance(n_a: int, n_b: int, m: int, psi: float) -> tuple[float, float]:
    """The mean and variance of x for large samples, in closed form.

    The mean solves ψ = μ(n_a - m + μ) / ((n_b - μ)(m - μ)) (Cornfield 1956); the variance is N/(N-1) over the sum of the reciprocals of
    the four expected cells, which is exact at ψ = 1.
    """
    everything = n_a + n_b
    mean = admissible_root(psi - 1, -(n_a - m + psi * (m + n_b)), psi * m * n_b)
    of_a, good_b, good_a = m - mean, n_b - mean, n_a - m + mean
    if everything < 2 or mean <= 0 or of_a <= 0 or good_b <= 0 or good_a <= 0:
        return mean, 0.0
    return mean, everything / (everything - 1) / (1 / mean + 1 / of_a + 1 / good_b + 1 / good_a)


def squares_and_variances(tables: Iterable[tuple[int, int, int, int]], psi: float) -> tuple[float, float]:
    """Σ (x_b - mean)² and Σ variance over tables (n_a, x_a, n_b, x_b), with ``mean_and_variance`` of each.

    Each claim of harm asks this of half an hour of ticks in every tick, so the common case stands here without a call: a third of the time.
    """
    twice, four, sqrt = 2 * psi, 4 * psi * (psi - 1), math.sqrt
    squares = variances = 0.0
    for n_a, x_a, n_b, x_b in tables:
        m = x_a + x_b
        product = m * n_b
        slope = n_a - m + psi * (m + n_b)
        square = slope * slope - four * product
        if product > 0 and slope > 0 and square > 0:
            mean = twice * product / (sqrt(square) + slope)
            of_a, good_b, good_a = m - mean, n_b - mean, n_a - m + mean
            if of_a > 0 and good_b > 0 and good_a > 0:
                everything = n_a + n_b
                squares += (x_b - mean) ** 2
                variances += everything / (everything - 1) / (1 / mean + 1 / of_a + 1 / good_b + 1 / good_a)
                continue
        mean, variance = mean_and_variance(n_a, n_b, m, psi)
        squares += (x_b - mean) ** 2
        variances += variance
    return squares, variances


def admissible_root(a: float, b: float, c: float) -> float:
    """The root of ax² + bx + c that stays finite as a goes to 0, without cancellation; for c >= 0 and a real root."""
    square = b * b - 4 * a * c
    root = math.sqrt(square) if square > 0 else 0.0
    if b > 0:
        return -(b + root) / (2 * a)
    return 2 * c / (root - b) if root > b else 0.0


def _mode(n_a: int, n_b: int, m: int, psi: float) -> float:
    """Where a term is as large as the next one (Liao & Rosen 2001, The American Statistician 55)."""
    return admissible_root(psi - 1, m - n_a - (n_b + m + 2) * psi, (n_b + 1) * (m + 1) * psi)
