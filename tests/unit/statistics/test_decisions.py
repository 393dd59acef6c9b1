"""From evidence to decisions: several metrics, several arms, what a person is told."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.rollout.observed import Histogram
from shared.rollout.statistics import binomial, plan
from shared.rollout.statistics.arms import Contest, begin_contest, dropped, e_values, is_tie, update_contest, winner
from shared.rollout.statistics.combine import both, combine_harm, combine_no_harm, decide, either
from shared.rollout.statistics.dispersion import CAP, dispersion, guard, power, update_guarded
from shared.rollout.statistics.interval import Interval
from shared.rollout.statistics.means import MeanTest, Moments
from shared.rollout.statistics.process import e_value, update
from shared.rollout.statistics.tables import Table, harm


def test_the_culprit_is_the_metric_that_says_most_by_its_weight() -> None:
    found = combine_harm({"error_rate": 40.0, "latency_ms": 90.0}, {"error_rate": 3, "latency_ms": 1})
    assert found.e == pytest.approx(52.5)
    assert found.metric == "error_rate"
    assert combine_harm({"error_rate": 2.0, "unweighted": 500.0}, {"error_rate": 1}).e == 2.0


def test_an_advance_waits_for_the_weakest_metric() -> None:
    found = combine_no_harm({"error_rate": 40.0, "latency_ms": 19.0})
    assert (found.e, found.metric) == (19.0, "latency_ms")
    assert both(500.0, 0.4) == 0.4
    assert either(0.5, 99.5) == 50.0


@pytest.mark.parametrize("weights", [{"a": -1, "b": 2}, {"a": 0, "b": 0}, {"c": 1}])
def test_weights_that_are_none_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        combine_harm({"a": 1.0, "b": 1.0}, weights)


def test_without_metrics_there_is_nothing_to_combine_and_nothing_advances() -> None:
    for combine in (combine_harm, combine_no_harm):
        with pytest.raises(ValueError, match="no metric"):
            combine({})
    assert decide(1.0, [], ticks_in_stage=99) == "hold"


@pytest.mark.parametrize(
    ("e_harm", "e_no_harm", "in_stage", "decision"),
    [
        (100.0, 50.0, 9, "roll_back"),
        (99.9, 50.0, 9, "hold"),
        (4.9, 50.0, 5, "advance"),
        (4.9, 50.0, 4, "hold"),
        (5.0, 50.0, 9, "hold"),
        (0.1, 19.9, 9, "hold"),
    ],
)
def test_a_decision_at_each_of_its_bounds(e_harm: float, e_no_harm: float, in_stage: int, decision: str) -> None:
    assert decide(e_harm, [e_no_harm, 60.0], ticks_in_stage=in_stage) == decision


def test_limits_at_the_ends_of_the_scale_are_judged_where_they_can_be() -> None:
    """No error is allowed: one is much evidence and not infinite; "less than none" cannot be certified, nor "more than all" be found."""
    none = binomial.above(0.0)
    clean = update(none.begin(), none.log_ratios(1_000, 0))
    assert e_value(clean) == pytest.approx(1, abs=0.02)
    assert 5 < e_value(update(clean, none.log_ratios(1_000, 1))) <= 40
    for test, bad in ((binomial.below(0.0), 0), (binomial.above(1.0), 100)):
        assert e_value(update(test.begin(), test.log_ratios(100, bad))) == 1
    all_of_them = binomial.below(1.0)
    assert e_value(update(all_of_them.begin(), all_of_them.log_ratios(100, 60))) > 20
    assert none.log_ratios(0, 0) is None


@given(st.integers(0, 1_000_000), st.floats(0, 1), st.floats(0, 1))
def test_a_share_is_a_number_for_any_counts_and_limits(requests: int, share: float, limit: float) -> None:
    for test in (binomial.above(limit), binomial.below(limit)):
        ratios = test.log_ratios(requests, int(requests * share))
        assert ratios is None or all(map(math.isfinite, ratios))


def test_one_sample_evidence_is_worth_one_at_its_null_and_no_more_beyond() -> None:
    def worth(p: float, null: float, truth: float) -> float:
        chances = (math.comb(40, x) * truth**x * (1 - truth) ** (40 - x) for x in range(41))
        return math.fsum(c * math.exp(binomial.log_ratio(40, x, p, null)) for x, c in enumerate(chances))

    for p in binomial.above(0.05).alternatives:
        assert worth(p, 0.05, 0.05) == pytest.approx(1)
        assert worth(p, 0.05, 0.02) <= 1
    for p in binomial.below(0.05).alternatives:
        assert worth(p, 0.05, 0.05) == pytest.approx(1)
        assert worth(p, 0.05, 0.2) <= 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: binomial.log_ratio(5, 6, 0.1, 0.2), "6 bad of 5 requests cannot be: drop the tick"),
        (lambda: binomial.log_ratio(5, 1, 0.0, 0.2), "strictly between 0 and 1"),
        (lambda: binomial.split(1.0), "splits nothing"),
        (lambda: MeanTest(0.0), "measure the baseline for longer"),
        (lambda: begin_contest(["a", "a"]), "at least two different arms"),
        (lambda: plan.harm_growth(1.0, 2.0, 0.1), "from 0 to below 1"),
        (lambda: plan.harm_growth(0.1, 2.0, 1.0), "nothing to compare"),
        (lambda: plan.requests_to_roll_back(0.1, 2.0, 0.1, metrics=0), "at least 1"),
    ],
)
def test_what_cannot_be_is_refused(wrong: object, said: str) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=said):
        wrong()


def test_the_guard_sleeps_while_noise_is_chance_and_bets_less_when_it_is_not() -> None:
    assert power([]) == power([Table(540, 5, 60, 6)]) == power([Table(0, 0, 9, 1)] * 9) == 1
    constantly_worse = [Table(5_400, 54, 600, 20 + x % 3) for x in range(30)]
    assert dispersion(constantly_worse) < 1, "a constant difference is no noise"
    assert power(constantly_worse) == 1
    wild = [Table(54_000, 540, 6_000, 0 if x % 2 else 900) for x in range(30)]
    assert power(wild) == 1 / CAP


def test_the_guard_looks_at_past_ticks_only_and_keeps_so_many() -> None:
    test, state = harm(), guard(harm(), kept=3)
    seen = [Table(5_400, 54, 600, x) for x in (0, 25, 1, 22, 30)]
    for at, table in enumerate(seen):
        expected = update(state.process, test.log_ratios(table), power(seen[max(0, at - 3) : at]))
        state = update_guarded(state, test, table)
        assert state.process == expected
    assert state.history == tuple(seen[-3:])
    assert update_guarded(state, test, Table(5_400, 54, 0, 0)) == state


def test_moments_are_the_exact_part_of_a_distribution_and_a_tick_of_equal_values_is_not_exact() -> None:
    assert Moments.of(Histogram((1.0,), (2, 3), 4.5, 6.0)) == Moments(5, 4.5, 6.0)
    test = MeanTest(60.0)
    assert test.log_ratios(Moments(0, 0.0, 0.0), Moments(9, 1.0, 0.0)) is None
    ratios = test.log_ratios(Moments(1, 220.0, 0.0), Moments(1, 221.0, 0.0))
    assert ratios is not None
    assert max(ratios) < 0.01


@given(st.integers(1, 1_000_000), st.floats(-1e6, 1e6), st.floats(0, 1e15))
def test_means_are_numbers_for_any_counts(total: int, mean: float, deviation: float) -> None:
    test = MeanTest(60.0)
    state = update(test.begin(), test.log_ratios(Moments(540, 220.0, 1.9e6), Moments(total, mean, deviation)))
    assert math.isfinite(e_value(state))


def test_an_arm_that_served_nothing_leaves_its_pairs_as_they_are() -> None:
    before = begin_contest(["a", "b", "c"])
    after = update_contest(before, {"a": (100, 1), "b": (100, 30)})
    assert e_values(after)["a"]["b"] > 5 > e_values(after)["b"]["a"]
    assert after.better["a"]["c"] == before.better["a"]["c"]
    assert TypeAdapter(Contest).validate_json(TypeAdapter(Contest).dump_json(after)) == after


def test_an_arm_is_dropped_only_beyond_the_bound_of_all_pairs() -> None:
    pairs = {"a": {"b": 119.0, "c": 39.0}, "b": {"a": 0.1, "c": 1.0}, "c": {"a": 0.2, "b": 120.0}}
    assert winner(pairs) is None
    assert dropped(pairs) == {"b"}


def test_arms_are_tied_when_every_pair_is_surely_close() -> None:
    close, unknown = Interval(), Interval()
    for _ in range(3):
        close = close.updated(Table(500_000, 50_000, 500_000, 50_000))
    assert is_tie([close])
    assert not is_tie([close, unknown])
    assert not is_tie([])
    assert (unknown.bounds().low, unknown.bounds().high) == (0, math.inf), "nothing is known yet"
    assert unknown.updated(Table(9, 1, 0, 0)) == unknown.updated(Table(9, 0, 9, 0)) == unknown


def test_the_plan_says_what_can_be_found_in_a_time() -> None:
    """Twice the errors at 10 rps and 10 %: half an hour; at 1 rps two hours find hardly less than four times as many."""
    needed = plan.requests_to_roll_back(0.01, 2.0, 0.1)
    assert needed == pytest.approx(1_627, rel=0.05)
    assert plan.seconds_for(needed, 10, 0.1) == pytest.approx(28 * 60, abs=120)
    assert plan.requests_to_roll_back(0.01, 2.0, 0.1, metrics=3) / needed == pytest.approx(1.2, abs=0.01)
    assert 2 < plan.detectable_odds_ratio(120 * 6, 0.01, 0.1) < 4 < plan.detectable_odds_ratio(30 * 6, 0.01, 0.1)
    assert plan.detectable_odds_ratio(needed, 0.01, 0.1) == pytest.approx(2, abs=0.001)
    assert plan.share_at(0.01, 2.0) == pytest.approx(0.0198, abs=1e-4)


def test_the_growth_of_small_shares_is_that_of_counts() -> None:
    p, psi, r = 1e-5, 3.0, 9
    counts = p * (psi * math.log(psi) - (psi + r) * math.log((psi + r) / (1 + r)))
    assert plan.harm_growth(p, psi, 0.1) == pytest.approx(counts, rel=1e-3)


def test_what_can_never_be_found_takes_for_ever() -> None:
    assert plan.requests_to_roll_back(0.01, 1.0, 0.1) == math.inf
    assert plan.requests_to_roll_back(0.0, 2.0, 0.1) == math.inf
    assert plan.requests_to_advance(0.01, 1.0, 0.1) == math.inf
    assert plan.requests_to_advance(0.02, 1.0, 0.1, floor=0.01) == math.inf
    assert plan.detectable_odds_ratio(1, 0.01, 0.1) == math.inf
    assert plan.share_at(0.01, math.inf) == 1
    assert plan.seconds_for(math.inf, 10, 0.1) == plan.seconds_for(10, 0, 0.1) == math.inf
    assert plan.floor_growth(0.0, 0.01) == pytest.approx(0.01005, rel=1e-3)
    assert plan.seconds_for(1, 100, 0.5) == 120, "the clip asks for two ticks"


def test_the_package_needs_the_standard_library_alone() -> None:
    """A function pays for what it imports at each cold start."""
    package = Path(__file__).parents[3] / "shared/rollout/statistics"
    modules = [f"shared.rollout.statistics.{path.stem}" for path in package.glob("*.py") if path.stem != "__init__"]
    assert len(modules) == 11
    code = f"import sys; before = {{*sys.modules}}; import {', '.join(modules)}; print(*({{*sys.modules}} - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name.split(".")[0] for name in loaded} <= {*sys.stdlib_module_names, "shared"}
