"""Fisher's noncentral hypergeometric distribution: how m bad requests fall on two arms, given the odds ratio ψ.

Of n_a requests of one arm and n_b of the other, m are bad together. That x of them are the second arm's has a probability
proportional to C(n_b, x) · C(n_a, m - x) · ψ^x, whatever the common base rate is (Fogel et al. in Johnson, Kemp, Kotz,
Univariate Discrete Distributions, 6.11). A base rate that drifts is thereby gone from the comparison.
"""

from __future__ import annotations

import math

_NEGLIGIBLE = 1e-18
"""A term this small beside the sum changes no digit of it, nor do the smaller ones that follow."""


def log_sum(n_a: int, n_b: int, m: int, psi: float) -> float:
    """ln Z(ψ) of Z(ψ) = Σ_x C(n_b, x) C(n_a, m-x) ψ^x, less a constant that n_a, n_b and m determine.

    Only differences between two ψ of one table mean something; leaving the constant out keeps them exact to the last digits. The sum
    begins at its largest term and goes both ways until terms are negligible: O(√m) of them, no overflow for any counts.
    """
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
    ways = -sum(math.lgamma(k + 1) for k in (mode, n_b - mode, m - mode, n_a - m + mode))
    return ways + mode * math.log(psi) + math.log(total)


def mean_and_variance(n_a: int, n_b: int, m: int, psi: float) -> tuple[float, float]:
    """The mean and variance of x for large samples, in closed form.

    The mean solves ψ = μ(n_a - m + μ) / ((n_b - μ)(m - μ)) (Cornfield 1956); the variance is N/(N-1) over the sum of the reciprocals of
    the four expected cells, which is exact at ψ = 1.
    """
    everything = n_a + n_b
    mean = admissible_root(psi - 1, -(n_a - m + psi * (m + n_b)), psi * m * n_b)
    cells = (mean, m - mean, n_b - mean, n_a - m + mean)
    if everything < 2 or min(cells) <= 0:
        return mean, 0.0
    return mean, everything / (everything - 1) / sum(1 / cell for cell in cells)


def admissible_root(a: float, b: float, c: float) -> float:
    """The root of ax² + bx + c that stays finite as a goes to 0, without cancellation; for c >= 0 and a real root."""
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    if b > 0:
        return -(b + root) / (2 * a)
    return 2 * c / (root - b) if root > b else 0.0


def _mode(n_a: int, n_b: int, m: int, psi: float) -> float:
    """Where a term is as large as the next one (Liao & Rosen 2001, The American Statistician 55)."""
    return admissible_root(psi - 1, m - n_a - (n_b + m + 2) * psi, (n_b + 1) * (m + 1) * psi)
