"""Tail probabilities beside exact sums."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rollout.tails import binomial_tail, normal_tail


def exactly(x: int, n: int, p: float) -> float:
    share = Fraction(p)
    return float(sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(max(x, 0), n + 1)))


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(-1, n + 1), st.just(n))), st.floats(0, 1))
def test_a_binomial_tail_is_the_exact_sum(seen: tuple[int, int], p: float) -> None:
    x, n = seen
    assert binomial_tail(x, n, p) == pytest.approx(exactly(x, n, p), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("x", "n", "p"), [(31, 250, 0.01), (5, 300, 0.001), (25, 300, 0.05), (210, 300, 0.65)])
def test_larger_samples_too(x: int, n: int, p: float) -> None:
    assert binomial_tail(x, n, p) == pytest.approx(exactly(x, n, p), rel=1e-8)


def test_the_lower_half_does_not_underflow() -> None:
    """One of a hundred thousand, where half are expected: certain, and the first term is below the smallest float."""
    assert binomial_tail(1, 100_000, 0.5) == 1.0
    assert binomial_tail(50_000, 100_000, 0.5) == pytest.approx(0.5, abs=0.002)
    assert binomial_tail(100_000, 100_000, 0.5) == 0.0


@given(st.integers(1, 2_000), st.floats(0.001, 0.999))
def test_more_is_never_likelier(n: int, p: float) -> None:
    tails = [binomial_tail(x, n, p) for x in range(0, n + 2, max(n // 20, 1))]
    assert all(0 <= tail <= 1 for tail in tails)
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(tails))


def test_the_edges() -> None:
    assert binomial_tail(0, 10, 0.1) == 1.0
    assert binomial_tail(1, 10, 0.0) == 0.0
    assert binomial_tail(10, 10, 1.0) == 1.0
    assert binomial_tail(11, 10, 1.0) == 0.0


@pytest.mark.parametrize(("z", "tail"), [(0, 0.5), (1.644854, 0.05), (3.090232, 0.001), (-1.644854, 0.95)])
def test_the_normal_tail_has_the_values_of_the_tables(z: float, tail: float) -> None:
    assert normal_tail(z) == pytest.approx(tail, abs=1e-7)
