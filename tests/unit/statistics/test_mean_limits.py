"""A mean beside a limit of its own."""

from __future__ import annotations

import random
from typing import Literal

import pytest

from shared.rollout.statistics.means import MeanLimitTest, Moments, beyond, within
from shared.rollout.statistics.process import e_value, update

RUNS, TICKS = 400, 60


def _moments(generator: random.Random, mean: float, count: int) -> Moments:
    values = [generator.gauss(mean, 2.0) for _ in range(count)]
    centre = sum(values) / count
    return Moments(count, centre, sum((v - centre) ** 2 for v in values))


def _reaches(test: MeanLimitTest, mean: float, bound: float, seed: int, count: int = 20) -> bool:
    generator, process = random.Random(seed), test.begin()
    for _ in range(TICKS):
        process = update(process, test.log_ratios(_moments(generator, mean, count)))
        if e_value(process) >= bound:
            return True
    return False


def test_a_mean_at_its_limit_is_called_beyond_it_as_rarely_as_promised() -> None:
    assert (
        sum(_reaches(beyond(2.0, 10.0, 1), 10.0, 20, seed) for seed in range(RUNS))
        <= RUNS * 0.05 + 3 * (RUNS * 0.05) ** 0.5
    )


def test_a_mean_at_its_limit_is_called_within_it_as_rarely_as_promised() -> None:
    assert (
        sum(_reaches(within(2.0, 10.0, 1), 10.0, 20, seed) for seed in range(RUNS))
        <= RUNS * 0.05 + 3 * (RUNS * 0.05) ** 0.5
    )


@pytest.mark.parametrize(("worse", "mean"), [(1, 11.0), (-1, 9.0)])
def test_a_mean_beyond_its_limit_is_found(worse: Literal[1, -1], mean: float) -> None:
    assert all(_reaches(beyond(2.0, 10.0, worse), mean, 100, seed) for seed in range(20))


def test_a_mean_well_within_its_limit_is_shown_to_be() -> None:
    assert all(_reaches(within(2.0, 10.0, 1), 9.0, 20, seed) for seed in range(20))


def test_nothing_served_says_nothing() -> None:
    assert beyond(2.0, 10.0, 1).log_ratios(Moments(0, 0.0, 0.0)) is None


def test_a_deviation_of_zero_scales_nothing() -> None:
    with pytest.raises(ValueError, match="scales nothing"):
        beyond(0.0, 10.0, 1)
