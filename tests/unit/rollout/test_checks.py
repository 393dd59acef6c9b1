"""Judging one check: five verdicts, and sentences that a person can agree with."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy.schema import Check
from shared.rollout.checks import CERTAIN, MEANINGFUL, judge_check
from shared.rollout.observed import ArmMinute, Histogram
from shared.rollout.record import CheckResult, Verdict
from tests.unit.rollout.worlds import latencies, served

PASS, FAIL, INCONCLUSIVE, NO_DATA = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NO_DATA


def errors(n: int, x: int, stable: tuple[int, int] | None = None, **limits: Any) -> CheckResult:
    check = Check.model_validate({"metric": "error_rate", "min_samples": 50} | limits)
    return judge_check(check, served(n, x), served(*stable) if stable else None)


def values(metric: str, seen: Histogram, stable: Histogram | None = None, **limits: Any) -> CheckResult:
    check = Check.model_validate({"metric": metric, "min_samples": 50} | limits)
    control = None if stable is None else ArmMinute(stable.total, 0, {metric: stable})
    return judge_check(check, ArmMinute(seen.total, 0, {metric: seen}), control)


def test_an_error_rate_far_above_its_limit_fails_with_the_numbers() -> None:
    found = errors(250, 31, at_most="1%")
    assert found == CheckResult(
        "error_rate", FAIL, "error_rate 12.4 % > 1 % (31 of 250 requests)", observed=0.124, limit=0.01, samples=250
    )


def test_an_error_rate_at_its_limit_passes_with_the_numbers() -> None:
    found = errors(200, 2, at_most="1%")
    assert (found.verdict, found.sentence) == (PASS, "error_rate 1 % <= 1 % (2 of 200 requests)")


def test_above_the_limit_but_not_for_certain_is_inconclusive() -> None:
    found = errors(200, 3, at_most="1%")
    assert (found.verdict, found.observed) == (INCONCLUSIVE, 0.015)
    assert found.sentence == "error_rate 1.5 % > 1 % (3 of 200 requests), which may be chance"


def test_fewer_than_the_minimum_samples_are_no_pass() -> None:
    found = errors(49, 0, at_most="1%")
    assert (found.verdict, found.sentence, found.samples) == (INCONCLUSIVE, "error_rate: 49 of 50 samples", 49)
    assert errors(50, 0, at_most="1%").verdict is PASS


def test_one_failed_request_takes_no_version_back() -> None:
    """Beside a limit of 0.1 % one of one is "certain"; it is too small a sample all the same."""
    found = errors(1, 1, at_most="0.1%")
    assert found.verdict is INCONCLUSIVE
    assert found.sentence == "error_rate: 1 of 50 samples, of which error_rate 100 % > 0.1 % (1 of 1 requests)"
    assert errors(MEANINGFUL - 1, MEANINGFUL - 1, at_most="1%").verdict is INCONCLUSIVE
    assert errors(3, 3, at_most="1%", min_samples=3).verdict is FAIL, "the policy said that three are enough"


def test_harm_that_is_certain_does_not_wait_for_the_minimum_samples() -> None:
    assert errors(MEANINGFUL, MEANINGFUL, at_most="1%").verdict is FAIL


def test_no_request_is_no_data_not_zero() -> None:
    found = errors(0, 0, at_most="1%")
    assert (found.verdict, found.sentence, found.observed) == (NO_DATA, "error_rate: no data", None)
    assert values("tokens", Histogram(), p95_at_most=1).verdict is NO_DATA


def test_a_limit_of_0_is_crossed_by_the_first_error_of_a_sufficient_sample() -> None:
    assert errors(50, 1, at_most=0).verdict is FAIL
    assert errors(50, 0, at_most=0).verdict is PASS


def test_what_decides_nothing_is_judged_and_marked() -> None:
    assert not errors(250, 31, at_most="1%", gating=False).gating


@given(st.integers(1, 3_000), st.floats(0, 1), st.floats(0.001, 0.2))
def test_more_errors_are_never_a_better_verdict(n: int, part: float, limit: float) -> None:
    fewer, more = int(n * part / 2), int(n * part)
    assert errors(n, fewer, at_most=limit).verdict.weight <= errors(n, more, at_most=limit).verdict.weight


def test_a_candidate_at_its_limit_is_taken_back_at_most_once_in_a_thousand_looks() -> None:
    """Brute force beside the promise; two in a thousand would be seen here as forty."""
    chance = random.Random(7)
    looks = 4_000
    seen = [sum(chance.random() < 0.02 for _ in range(300)) for _ in range(looks)]
    failed = sum(errors(300, x, at_most="2%").verdict is FAIL for x in seen)
    assert failed <= looks * CERTAIN * 2


# Beside the stable


def test_an_error_rate_beside_the_stable_fails_beyond_its_margin() -> None:
    found = errors(1_000, 80, (9_000, 180), margin="1.5x")
    assert (found.verdict, found.stable) == (FAIL, 0.02)
    assert found.sentence == ("error_rate beside the stable 8 % > 3 % (80 of 1000 requests, stable 2 %, margin 1.5x)")


def test_within_the_margin_it_passes_and_a_little_beyond_it_is_chance() -> None:
    assert errors(1_000, 30, (9_000, 180), margin="1.5x").verdict is PASS
    assert errors(1_000, 35, (9_000, 180), margin="1.5x").verdict is INCONCLUSIVE


def test_twice_almost_nothing_is_still_almost_nothing() -> None:
    """The stable has no error at all; the floor of 0.5 % times the margin is what the candidate may have."""
    assert errors(1_000, 7, (9_000, 0), margin="1.5x").verdict is PASS
    assert errors(1_000, 40, (9_000, 0), margin="1.5x").verdict is FAIL


def test_a_stable_that_has_served_too_little_is_no_stable_to_pass_beside() -> None:
    """Not to know how the stable does is ignorance, and ignorance does not advance."""
    found = errors(1_000, 8, (20, 0), margin="1.5x", at_most="1%")
    assert (found.verdict, found.sentence) == (
        INCONCLUSIVE,
        "error_rate: 20 of 50 samples of the stable to compare with",
    )
    assert errors(1_000, 7, (50, 0), margin="1.5x", at_most="1%").verdict is PASS, "now it has served enough"
    assert errors(1_000, 100, (20, 0), margin="1.5x", at_most="1%").verdict is FAIL, "its absolute limit stands"


def test_where_there_is_no_control_arm_a_margin_has_nothing_to_say() -> None:
    found = errors(1_000, 8, None, margin="1.5x")
    assert (found.verdict, found.sentence) == (PASS, "error_rate: no stable to compare with")


def test_two_equal_latencies_are_rarely_told_apart_although_the_stables_p95_is_an_estimate_too() -> None:
    chance = random.Random(3)
    edges = tuple(10 * 1.1**n for n in range(40))
    draws = [
        [latencies(*(chance.lognormvariate(4, 0.5) for _ in range(n)), edges=edges) for n in (400, 60)]
        for _ in range(400)
    ]
    failed = sum(values("latency_ms", one, other, margin="1x").verdict is FAIL for one, other in draws)
    assert failed <= 3


def test_a_latency_beside_the_stable_is_judged_by_its_p95() -> None:
    usual, slow = latencies(*[30.0] * 480, *[70.0] * 20), latencies(*[30.0] * 150, *[300.0] * 50)
    found = values("latency_ms", slow, usual, margin="1.2x")
    assert found.verdict is FAIL
    assert found.sentence.startswith("latency_ms p95 beside the stable ")
    assert "(50 of 200 above 1.2x the stable's" in found.sentence
    assert values("latency_ms", usual, usual, margin="1.2x").verdict is PASS


@pytest.mark.parametrize(("sign", "edges"), [(1, (0, 50, 100)), (-1, (-100, -50, 0))])
def test_another_metric_beside_the_stable_is_judged_by_its_mean_in_both_directions(
    sign: int, edges: tuple[float, ...]
) -> None:
    def around(mean: float) -> Histogram:
        return latencies(*(sign * (mean + n % 5) for n in range(300)), edges=edges)

    assert values("score", around(30), around(30), margin="1.2x").verdict is PASS
    assert values("score", around(40), around(30), margin="1.2x").verdict is FAIL
    assert values("score", around(22), around(30), margin="1.2x").verdict is FAIL
    found = values("score", around(40), around(30), margin="1.2x")
    assert f"stable {sign * 32}, margin 1.2x" in found.sentence


# Quantiles, means, shares


@pytest.mark.parametrize(("name", "q"), [("p50_at_most", "p50"), ("p95_at_most", "p95"), ("p99_at_most", "p99")])
def test_a_quantile_beyond_its_limit_fails_with_the_count_above(name: str, q: str) -> None:
    limits: dict[str, Any] = {name: 100}
    found = values("latency_ms", latencies(*[150.0] * 200), **limits)
    assert (found.verdict, found.limit) == (FAIL, 100)
    assert found.sentence.startswith(f"latency_ms {q} ")
    assert found.sentence.endswith(" > 100 (200 of 200 above 100)")
    assert values("latency_ms", latencies(*[60.0] * 200), **limits).verdict is PASS


def test_a_latency_in_the_bucket_that_begins_at_its_limit_is_beyond_it() -> None:
    """One hair above 100 ms is no P95 of at most 100 ms, and the bucket from 100 to 200 is full of them."""
    assert values("latency_ms", latencies(*[101.0] * 200), p95_at_most=100).verdict is FAIL


def test_a_whole_number_at_its_limit_is_within_it() -> None:
    assert values("tokens", latencies(*[100.0] * 200), p95_at_most=100).verdict is not FAIL
    assert values("tokens", latencies(*[100.0] * 200), range=[20, 100]).verdict is PASS


def test_a_few_slow_requests_may_be_chance() -> None:
    found = values("latency_ms", latencies(*[60.0] * 93, *[150.0] * 7), p95_at_most=100)
    assert found.verdict is INCONCLUSIVE
    assert found.sentence.endswith("(7 of 100 above 100), which may be chance")


def test_a_mean_is_held_to_its_limits_with_its_standard_error() -> None:
    spread = latencies(*(8 + n % 5 for n in range(200)), edges=(5, 10, 15))
    assert values("compression", spread, mean_at_least=9).verdict is PASS
    below = values("compression", spread, mean_at_least=12)
    assert (below.verdict, below.sentence) == (FAIL, "compression mean 10 < 12 (200 samples)")
    above = values("compression", spread, mean_at_most=9)
    assert (above.verdict, above.sentence) == (FAIL, "compression mean 10 > 9 (200 samples)")
    assert values("compression", spread, mean_at_most=9.9).verdict is INCONCLUSIVE


def test_values_that_are_all_the_same_have_a_mean_without_doubt() -> None:
    same = latencies(*[10.0] * 60)
    assert values("compression", same, mean_at_least=12).verdict is FAIL
    assert values("compression", same, mean_at_least=10).verdict is PASS


def test_a_handful_of_values_has_no_certain_mean() -> None:
    assert values("compression", latencies(*[10.0] * 5), mean_at_least=12, min_samples=1).verdict is INCONCLUSIVE


@pytest.mark.parametrize(
    ("limits", "seen", "sentence"),
    [
        ({"share_above": {50: "5%"}}, [150.0], "tokens above 50 25 % > 5 % (50 of 200 values)"),
        ({"share_below": {20: "5%"}}, [12.0], "tokens below 20 25 % > 5 % (50 of 200 values)"),
        ({"range": [20, 100]}, [300.0], "tokens outside 20 to 100 25 % > 1 % (50 of 200 values)"),
        ({"range": [20, 100]}, [12.0], "tokens outside 20 to 100 25 % > 1 % (50 of 200 values)"),
    ],
)
def test_too_many_values_beyond_an_edge_fail(limits: dict[str, Any], seen: list[float], sentence: str) -> None:
    found = values("tokens", latencies(*[30.0] * 150, *seen * 50), **limits)
    assert (found.verdict, found.sentence) == (FAIL, sentence)
    assert values("tokens", latencies(*[30.0] * 200), **limits).verdict is PASS


@pytest.mark.parametrize(
    "limits",
    [{"p95_at_most": 9}, {"range": [1, 9]}, {"share_above": {9: "5%"}}, {"share_below": {9: "5%"}}],
    ids=lambda limits: str(*limits),
)
def test_without_buckets_a_limit_on_them_cannot_be_passed(limits: dict[str, Any]) -> None:
    found = values("tokens", Histogram((), (100,), 5.0, 100.0), **limits)
    assert found.verdict is INCONCLUSIVE


def test_without_buckets_the_mean_is_known_still() -> None:
    bare = Histogram((), (100,), 5.0, 100.0)
    assert values("tokens", bare, mean_at_most=6).verdict is PASS
    assert values("tokens", bare, mean_at_most=4).verdict is FAIL
    assert "only its mean is known" in values("tokens", bare, share_above={9: "5%"}).sentence
    assert values("latency_ms", bare, bare, margin="2x").verdict is INCONCLUSIVE
    assert values("latency_ms", latencies(*[30.0] * 60), bare, margin="2x").verdict is INCONCLUSIVE
    assert values("score", bare, Histogram((), (100,), 50.0, 100.0), margin="2x").verdict is FAIL


@given(
    st.lists(st.integers(0, 700).map(float), min_size=1, max_size=80),
    st.lists(st.integers(0, 700).map(float), max_size=80),
)
def test_every_verdict_has_a_sentence_with_its_metric_and_its_samples(one: list[float], other: list[float]) -> None:
    limits: dict[str, Any] = {"p50_at_most": 50, "p99_at_most": 400, "range": [10, 500], "margin": "1.3x"}
    for metric in ("latency_ms", "tokens"):
        found = values(metric, latencies(*one), latencies(*other), **limits)
        assert found.sentence.startswith(metric)
        assert found.samples == len(one)
        assert found.observed is None or math.isfinite(found.observed)
