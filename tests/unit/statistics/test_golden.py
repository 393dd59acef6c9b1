"""Every case of the golden file, most of which was computed with exact fractions; its ``description`` says how."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from shared.rollout.observed import Histogram
from shared.rollout.statistics import arms, binomial, combine, dispersion, latency, means, tables
from shared.rollout.statistics.interval import Interval
from shared.rollout.statistics.process import Process, e_value, threshold, update
from shared.rollout.statistics.tables import OddsRatioTest, Table

GOLDEN = json.loads((Path(__file__).parents[2] / "data/evidence/golden.json").read_text())
LOGLR, E_REL = GOLDEN["tolerance"]["loglr_abs"], GOLDEN["tolerance"]["e_rel"]
STARTS = {"harmonic": "all", "first": "first"}

Data = dict[str, Any]


def first_at(e_values: Sequence[float], bound: float) -> int | None:
    return next((tick for tick, e in enumerate(e_values, 1) if e >= bound), None)


def follow(process: Process, ratios: Iterable[tuple[float, ...] | None]) -> list[float]:
    """E after each tick."""
    return [e_value(state) for state in accumulate(ratios, update, initial=process)][1:]


def agrees(e_values: list[float], expected: Data) -> None:
    if "e" in expected:
        assert e_values == pytest.approx(expected["e"], rel=E_REL)
    for key, tick in expected.items():
        if key.startswith("first_tick_ge_"):
            assert first_at(e_values, float(key.removeprefix("first_tick_ge_"))) == tick


def one_table(given: Data, expected: Data) -> None:
    table = Table(given["n_a"], given["x_a"], given["n_b"], given["x_b"])
    assert tables.log_ratio(table, given["psi"], given["psi0"]) == pytest.approx(expected["loglr"], abs=LOGLR)


def unit_mean(given: Data, expected: Data) -> None:
    n_a, n_b, m, psi, psi0 = (given[k] for k in ("n_a", "n_b", "m", "psi", "psi0"))
    ways = {x: math.comb(n_b, x) * math.comb(n_a, m - x) * psi0**x for x in range(max(0, m - n_a), min(n_b, m) + 1)}
    ratios = {x: math.exp(tables.log_ratio(Table(n_a, m - x, n_b, x), psi, psi0)) for x in ways}
    assert sum(ways[x] * ratios[x] for x in ways) / sum(ways.values()) == pytest.approx(expected["sum"], abs=1e-9)


def one_sample(given: Data, expected: Data) -> None:
    assert binomial.log_ratio(given["n"], given["x"], given["p"], given["p0"]) == pytest.approx(
        expected["loglr"], abs=LOGLR
    )


def harm_process(given: Data, expected: Data) -> None:
    test = tables.harm(given["psi0"], tuple(given["ratios"]))
    assert (test.starts, test.clip) == (STARTS[given["starts"]], given["clip"])
    agrees(follow(test.begin(), (test.log_ratios(Table(*tick)) for tick in given["ticks"])), expected)


def no_harm_process(given: Data, expected: Data) -> None:
    test = tables.no_harm(given["psi1"], tuple(given["ratios"]))
    assert (test.starts, test.clip) == (STARTS[given["starts"]], given["clip"])
    agrees(follow(test.begin(), (test.log_ratios(Table(*tick)) for tick in given["ticks"])), expected)


def below_process(given: Data, expected: Data) -> None:
    test = binomial.below(given["p_max"], tuple(given["ratios"]))
    assert (test.starts, test.clip) == (STARTS[given["starts"]], given["clip"])
    agrees(follow(test.begin(), (test.log_ratios(*tick) for tick in given["ticks"])), expected)


def above_process(given: Data, expected: Data) -> None:
    test = binomial.above(given["p_max"], tuple(given["odds_ratios"]))
    assert (test.starts, test.clip) == (STARTS[given["starts"]], given["clip"])
    agrees(follow(test.begin(), (test.log_ratios(*tick) for tick in given["ticks"])), expected)


def histograms(given: Data) -> list[tuple[Histogram, Histogram]]:
    edges = tuple(map(float, given["edges"]))
    return [(Histogram(edges, tuple(a)), Histogram(edges, tuple(b))) for a, b in given["ticks"]]


def latency_average(given: Data, expected: Data) -> None:
    ticks, test = histograms(given), tables.harm(given["psi0"])
    edges = [given["edges"][i] for i in given["thresholds_edge_index"]]
    assert [latency.surely_beyond(ticks[0][0], edge) for edge in edges] == expected["exceed_a"]
    assert [latency.surely_beyond(ticks[0][1], edge) for edge in edges] == expected["exceed_b"]
    state, seen = latency.begin_exceedance(edges, test, kept=0), []
    for stable, candidate in ticks:
        state = latency.update_exceedance(state, test, stable, candidate)
        seen.append(latency.e_average(state))
    agrees(seen, expected)
    assert [process.e for process in state.processes] == pytest.approx(expected["e_per_threshold_last"], rel=E_REL)
    assert latency.e_every(state) == pytest.approx(min(expected["e_per_threshold_last"]), rel=E_REL)


def latency_shift(given: Data, expected: Data) -> None:
    edges, test = given["edges"], tables.harm(given["psi0"])
    stable_edge = edges[given["stable_edge_index"]]
    edge = latency.factor_edge(edges, stable_edge, given["factor"])
    assert edge is not None
    assert edge == edges[given["candidate_edge_index"]]
    ticks = [latency.shifted_table(a, b, stable_edge, edge) for a, b in histograms(given)]
    agrees(follow(test.begin(), (test.log_ratios(table) for table in ticks if table)), expected)


def combined(given: Data, expected: Data) -> None:
    e_values = dict(zip("abc", given["e_rollback"], strict=True))
    found = combine.combine_harm(e_values, given["weights"])
    assert found.e == pytest.approx(expected["e"], rel=E_REL)
    assert (found.e >= threshold(given["alpha"])) is expected["rollback"]
    assert found.metric == max(e_values, key=lambda metric: e_values[metric])


def decided(given: Data, expected: Data) -> None:
    found = combine.decide(
        given["e_rb"],
        given["e_adv"],
        alpha=given["alpha"],
        alpha_advance=given["alpha_adv"],
        ticks_in_stage=given["ticks_in_stage"],
        least_ticks=given["min_ticks"],
        suspicion=given["suspicion"],
    )
    assert found.replace("_", "") == expected["decision"]


def dispersed(given: Data, expected: Data) -> None:
    assert (given["c0"], given["dead"], given["cap"]) == (dispersion.PRIOR, dispersion.DEAD_BAND, dispersion.CAP)
    history = [Table(*tick) for tick in given["history"]]
    assert dispersion.odds_ratio(history) == pytest.approx(expected["psi"], rel=E_REL)
    assert dispersion.dispersion(history) == pytest.approx(expected["phi"], rel=E_REL)
    assert dispersion.power(history) == pytest.approx(expected["eta"], rel=E_REL)


def interval(given: Data, expected: Data) -> None:
    state = Interval()
    for tick in given["history"]:
        state = state.updated(Table(*tick))
    found = state.bounds(given["alpha"])
    assert (found.low, found.high, found.likeliest) == pytest.approx(
        (expected["lo"], expected["hi"], expected["mle"]), rel=E_REL
    )


def best_arm(given: Data, expected: Data) -> None:
    matrix = given["pair_e"]
    pairs = {str(i): {str(j): e for j, e in enumerate(row) if j != i} for i, row in enumerate(matrix)}
    assert arms.winning_bound(given["k"], given["alpha"]) == expected["threshold"]
    assert arms.winner(pairs, given["alpha"]) == str(expected["winner"])


def mean_process(given: Data, expected: Data) -> None:
    test = means.MeanTest(given["sigma"], given["direction"], given["margin"], tuple(given["effects"]))
    assert (test.starts, test.clip) == (STARTS[given["starts"]], given["clip"])
    ticks = ((means.Moments(*tick[:3]), means.Moments(*tick[3:])) for tick in given["ticks"])
    agrees(follow(test.begin(), (test.log_ratios(a, b) for a, b in ticks)), expected)


@cache
def ratios_of(test: OddsRatioTest, table: Table) -> tuple[float, ...] | None:
    return test.log_ratios(table)


def simulation(given: Data, expected: Data) -> None:
    test, bound = tables.harm(given["psi0"]), threshold(given["alpha"])
    n_a, n_b, found = given["n_a"], given["n_b"], []
    first, last = given["seeds"]
    for seed in range(first, last + 1):
        draw, state, crossed = random.Random(seed).random, test.begin(), None
        for tick in range(1, given["T"] + 1):
            x_a = sum(draw() < given["p_a"] for _ in range(n_a))
            x_b = sum(draw() < given["p_b"] for _ in range(n_b))
            state = update(state, ratios_of(test, Table(n_a, x_a, n_b, x_b)))
            if e_value(state) >= bound:
                crossed = tick
                break
        found.append(crossed)
    assert found == expected["first_ticks"]
    assert sum(tick is not None for tick in found) == expected["detected"]


KINDS: dict[str, Callable[[Data, Data], None]] = {
    "table_loglr": one_table,
    "unit_mean": unit_mean,
    "onesample_loglr": one_sample,
    "harm_process": harm_process,
    "noninferior_process": no_harm_process,
    "below_process": below_process,
    "above_process": above_process,
    "latency_average": latency_average,
    "latency_shift": latency_shift,
    "combine": combined,
    "decide": decided,
    "dispersion_eta": dispersed,
    "odds_ratio_cs": interval,
    "best_arm": best_arm,
    "mean_process": mean_process,
    "simulation": simulation,
}
"""``properties`` is a list of sentences; test_properties has a test for each."""


@pytest.mark.parametrize(
    "case", [case for case in GOLDEN["cases"] if case["kind"] != "properties"], ids=lambda c: c["id"]
)
def test_golden(case: Data) -> None:
    KINDS[case["kind"]](case["input"], case["expected"])
