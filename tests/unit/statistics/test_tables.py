"""The guarantee of a single table, by enumeration of everything that could have happened."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rollout.statistics.hypergeometric import log_sum, mean_and_variance, squares_and_variances
from shared.rollout.statistics.tables import (
    HARM_RATIOS,
    NO_HARM_RATIOS,
    OddsRatioTest,
    Table,
    bounded_log_ratio,
    harm,
    log_ratio,
    no_harm,
)

SMALL = [(n_a, n_b, m) for n_a in (1, 3, 9) for n_b in (1, 2, 9) for m in range(n_a + n_b + 1)] + [
    (54, 6, 5),
    (30, 30, 20),
]


def chances(n_a: int, n_b: int, m: int, psi: float) -> dict[Table, float]:
    """Every table of these totals with its probability at the odds ratio ψ, by whole numbers of ways."""
    ways = {
        Table(n_a, m - x, n_b, x): math.comb(n_b, x) * math.comb(n_a, m - x) * psi**x
        for x in range(max(0, m - n_a), min(n_b, m) + 1)
    }
    total = math.fsum(ways.values())
    return {table: way / total for table, way in ways.items()}


def expected_ratio(ratio: Callable[[Table], float], n_a: int, n_b: int, m: int, psi: float) -> float:
    return math.fsum(chance * math.exp(ratio(table)) for table, chance in chances(n_a, n_b, m, psi).items())


@pytest.mark.parametrize("null", [1.0, 1.1, 1.5])
@pytest.mark.parametrize("ratio", HARM_RATIOS)
def test_harm_is_worth_one_at_its_null_and_no_more_below(null: float, ratio: float) -> None:
    for totals in SMALL:
        at = [expected_ratio(lambda t: log_ratio(t, null * ratio, null), *totals, psi=null * s) for s in (1, 0.7, 0.2)]
        assert at[0] == pytest.approx(1, abs=1e-10)
        assert max(at) <= 1 + 1e-10


@pytest.mark.parametrize("margin", [1.3, 1.5, 2.0])
@pytest.mark.parametrize("ratio", NO_HARM_RATIOS)
def test_no_harm_is_worth_one_at_its_margin_and_no_more_beyond(margin: float, ratio: float) -> None:
    for totals in SMALL:
        at = [
            expected_ratio(lambda t: log_ratio(t, margin * ratio, margin), *totals, psi=margin * s)
            for s in (1, 1.5, 20)
        ]
        assert at[0] == pytest.approx(1, abs=1e-10)
        assert max(at) <= 1 + 1e-10


@pytest.mark.parametrize("null", [1.0, 1.1, 1.5])
@pytest.mark.parametrize("ratio", HARM_RATIOS)
def test_without_its_sums_harm_is_worth_no_more_than_one_either(null: float, ratio: float) -> None:
    for totals in SMALL:
        at = [
            expected_ratio(lambda t: bounded_log_ratio(t, null * ratio, null), *totals, psi=null * s) for s in (1, 0.5)
        ]
        assert max(at) <= 1 + 1e-10


def test_without_its_sums_no_harm_would_be_worth_anything_so_it_is_refused() -> None:
    """The trap: the very same formula, with an alternative below the null, is no evidence at all."""
    psi, null = 1.0, 2.0

    def formula(table: Table) -> float:
        n_a, n_b = table.stable, table.candidate
        return table.candidate_bad * math.log(psi / null) - table.bad * math.log((psi * n_b + n_a) / (null * n_b + n_a))

    for bad, least in ((60, 1.01), (300, 10), (600, 1e6)):
        worth = expected_ratio(formula, 540, 60, bad, null)
        assert worth > least, "a candidate that is margin-bad would pass, the sooner the more requests are bad"
        exact = expected_ratio(lambda t: log_ratio(t, psi, null), 540, 60, bad, null)
        assert exact == pytest.approx(1, abs=1e-9)
    with pytest.raises(ValueError, match="is no evidence: use the exact one"):
        bounded_log_ratio(Table(30, 25, 30, 25), psi, null)
    with pytest.raises(ValueError, match="is no evidence"):
        OddsRatioTest(null, (psi,), "first", None, exact=False)
    with pytest.raises(ValueError, match="is no evidence"):
        bounded_log_ratio(Table(30, 25, 30, 25), 0.9, 0.8)
    assert no_harm(1.5).exact


def test_harm_without_sums_is_bet_on_by_the_same_test() -> None:
    table = Table(540, 5, 60, 3)
    exact, bounded = harm().log_ratios(table), harm(exact=False).log_ratios(table)
    assert exact is not None
    assert bounded is not None
    assert bounded[2] == bounded_log_ratio(table, 2.0, 1.0)
    assert bounded == pytest.approx(exact, abs=0.5)


counts = st.one_of(st.integers(0, 30), st.integers(0, 3_000), st.integers(0, 1_000_000))


@st.composite
def any_table(draw: st.DrawFn, most: int = 1_000_000) -> Table:
    n_a, n_b = draw(counts) % (most + 1), draw(counts) % (most + 1)
    return Table(n_a, draw(st.integers(0, n_a)), n_b, draw(st.integers(0, n_b)))


odds = st.sampled_from([0.05, 0.3, 0.9, 1.0, 1.1, 2.0, 10.0, 150.0])


@given(any_table(), odds, odds)
def test_a_ratio_is_a_number_for_any_counts(table: Table, psi: float, null: float) -> None:
    ratio = log_ratio(table, psi, null)
    assert math.isfinite(ratio)
    assert abs(ratio) <= (table.bad + 1) * abs(math.log(psi / null)) + 1e-6


@given(any_table(3_000), odds, odds)
def test_it_does_not_matter_which_arm_or_which_kind_of_request_is_counted(
    table: Table, psi: float, null: float
) -> None:
    n_a, x_a, n_b, x_b = table
    ratio = log_ratio(table, psi, null)
    assert log_ratio(Table(n_b, x_b, n_a, x_a), 1 / psi, 1 / null) == pytest.approx(ratio, abs=1e-7)
    assert log_ratio(Table(n_a, n_a - x_a, n_b, n_b - x_b), 1 / psi, 1 / null) == pytest.approx(ratio, abs=1e-7)


@given(any_table(200), odds, odds)
def test_a_sum_from_its_mode_is_the_whole_sum(table: Table, psi: float, other: float) -> None:
    n_a, n_b, m = table.stable, table.candidate, table.bad
    possible = range(max(0, m - n_a), min(n_b, m) + 1)
    with localcontext() as context:
        context.prec = 50  # 150 to the power of 142 is no float
        one, two = (
            sum(
                (Decimal(math.comb(n_b, x) * math.comb(n_a, m - x)) * Decimal(at) ** x for x in possible), Decimal()
            ).ln()
            for at in (psi, other)
        )
        expected = float(one - two)
    assert log_sum(n_a, n_b, m, psi) - log_sum(n_a, n_b, m, other) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n_a", "n_b", "m"), [(540_000, 60_000, 6_000), (300_000, 300_000, 60_000), (540, 60, 330)])
@pytest.mark.parametrize("psi", [0.2, 1.25, 5.0, 100.0])
def test_six_hundred_thousand_requests_a_minute_lose_no_digit(n_a: int, n_b: int, m: int, psi: float) -> None:
    """Beside the same sum with fifty digits, over all terms."""
    with localcontext() as context:
        context.prec = 50
        term = at_one = at_psi = Decimal(1)
        power = step = Decimal(psi)
        for x in range(min(n_b, m)):
            term = term * ((n_b - x) * (m - x)) / ((x + 1) * (n_a - m + x + 1))
            at_one += term
            at_psi += term * power
            power *= step
        exact = float(at_psi.ln() - at_one.ln())
    assert log_sum(n_a, n_b, m, psi) - log_sum(n_a, n_b, m, 1.0) == pytest.approx(exact, rel=1e-12, abs=1e-11)


@given(any_table(), odds)
def test_the_mean_for_large_samples_lies_among_what_is_possible(table: Table, psi: float) -> None:
    mean, variance = mean_and_variance(table.stable, table.candidate, table.bad, psi)
    slack = 1e-9 * (table.bad + 1)
    assert max(0, table.bad - table.stable) - slack <= mean <= min(table.candidate, table.bad) + slack
    assert 0 <= variance <= (table.bad + 1) ** 2


def test_the_mean_for_large_samples_is_near_the_exact_one() -> None:
    for psi in (0.3, 1.0, 3.0):
        exactly = chances(540, 60, 40, psi)
        mean = sum(chance * table.candidate_bad for table, chance in exactly.items())
        variance = sum(chance * (table.candidate_bad - mean) ** 2 for table, chance in exactly.items())
        assert mean_and_variance(540, 60, 40, psi) == pytest.approx((mean, variance), rel=0.02)


@pytest.mark.parametrize("table", [Table(0, 0, 9, 3), Table(9, 3, 0, 0), Table(0, 0, 0, 0)])
def test_an_arm_that_served_nothing_says_nothing(table: Table) -> None:
    assert harm().log_ratios(table) is None
    assert log_ratio(table, 2.0, 1.0) == bounded_log_ratio(table, 2.0, 1.0) == 0


@pytest.mark.parametrize("table", [Table(5, 6, 9, 0), Table(5, 0, 9, 10), Table(5, -1, 9, 0)])
def test_impossible_counts_are_refused_with_what_to_do(table: Table) -> None:
    for judge in (harm().log_ratios, harm(exact=False).log_ratios, lambda t: log_ratio(t, 2.0, 1.0)):
        with pytest.raises(ValueError, match="drop the tick for both arms"):
            judge(table)


def test_a_test_has_its_alternatives_on_one_side() -> None:
    with pytest.raises(ValueError, match="on one side of the null 1"):
        OddsRatioTest(1.0, (0.5, 2.0), "all", 30.0)
    with pytest.raises(ValueError, match="odds ratios are positive"):
        harm(0.0)


@given(st.lists(any_table(), max_size=6), odds)
def test_many_tables_are_summed_up_as_each_by_itself(tables: list[Table], psi: float) -> None:
    each = [(table, mean_and_variance(table.stable, table.candidate, table.bad, psi)) for table in tables]
    squares, variances = squares_and_variances(tables, psi)
    assert squares == pytest.approx(
        math.fsum((table.candidate_bad - mean) ** 2 for table, (mean, _) in each), rel=1e-9, abs=1e-6
    )
    assert variances == pytest.approx(math.fsum(variance for _, (_, variance) in each), rel=1e-9)
