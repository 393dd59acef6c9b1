"""The comparison of judges: worlds that are what they say, competitors that are what their source says."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from random import Random

import pytest

from bench.decisions import __main__ as decisions
from bench.decisions.controller import PROMISES, SCENARIOS, EvidenceController, RolloutTask, account, run_rollouts
from bench.decisions.detection import DEGRADATIONS, NULLS, Ended, Task, run_task, summary
from bench.decisions.judges import (
    Alarm,
    Argo,
    EachTick,
    Flagger,
    InARow,
    Kayenta,
    engine_bounds,
    fisher_rejects,
    is_high,
    z_rejects,
)
from bench.decisions.worlds import BUCKETS, EDGES, SLO, Cell, error_ticks, minutes, poisson
from shared.rollout.statistics.process import e_value, update
from shared.rollout.statistics.tables import Table, harm

FINE, BROKEN = Table(540, 5, 60, 0), Table(540, 5, 60, 2)


@pytest.mark.parametrize("mean", [0.06, 3.0, 9.9, 10.1, 600.0, 54_000.0])
def test_a_poisson_count_has_its_mean_and_its_variance(mean: float) -> None:
    random = Random(7)
    counts = [poisson(random, mean) for _ in range(4_000)]
    assert statistics.fmean(counts) == pytest.approx(mean, abs=4 * math.sqrt(mean / 4_000))
    assert statistics.pvariance(counts) == pytest.approx(mean, rel=0.2)
    assert min(counts) >= 0


def test_a_world_serves_what_it_says() -> None:
    cell = Cell(100, 0.01, 0.05, "late30")
    ticks = list(error_ticks(Random(1), cell))
    before, after = ticks[:30], ticks[30:]
    for table, expected in ((before, 0.01), (after, 0.05)):
        served, bad = sum(t.candidate for t in table), sum(t.candidate_bad for t in table)
        assert bad / served == pytest.approx(expected, rel=0.1)
        assert served / sum(t.stable + t.candidate for t in table) == pytest.approx(0.1, rel=0.02)
    rising = list(error_ticks(Random(1), Cell(100, 0.01, 0.01, "stage+rising")))
    assert rising[-1].candidate / (rising[-1].stable + rising[-1].candidate) == pytest.approx(0.5, abs=0.03)
    assert sum(t.stable_bad for t in rising[-5:]) / sum(t.stable for t in rising[-5:]) == pytest.approx(0.038, rel=0.15)


def test_three_metrics_are_told_of_the_same_requests() -> None:
    scenario = next(one for one in SCENARIOS if one.name == "latency +30 %" and one.rps == 100)
    seen = [at10 for at10, _ in minutes(Random(1), scenario, 20)]
    assert {SLO, *EDGES} == set(BUCKETS)
    assert all(minute.errors.stable == minute.latency[0].total == minute.slow.stable for minute in seen)
    stable, candidate = (
        sum(getattr(m.slower, f"{arm}_bad") for m in seen) / sum(getattr(m.slower, arm) for m in seen)
        for arm in ("stable", "candidate")
    )
    assert 0.03 < stable < 0.08
    assert candidate > 1.7 * stable


def test_flagger_counts_failures_anywhere_and_in_a_row_is_another_thing() -> None:
    flagger, in_a_row = Flagger(), InARow()
    minutes_seen = [BROKEN, FINE] * 4 + [BROKEN]
    assert [flagger.rolls_back([table]) for table in minutes_seen] == [False] * 8 + [True]
    assert not any(in_a_row.rolls_back([table]) for table in minutes_seen)
    assert [InARow(failures=2).rolls_back([BROKEN]), Flagger(failures=1).rolls_back([BROKEN])] == [False, True]


def test_argo_bears_as_many_failures_of_a_metric_as_its_limit_and_an_alarm_none() -> None:
    argo = Argo(metrics=2)
    seen = [argo.rolls_back([BROKEN, FINE]) for _ in range(3)] + [argo.rolls_back([FINE, BROKEN]) for _ in range(3)]
    assert not any(seen), "three of each are borne"
    assert argo.rolls_back([BROKEN, FINE])
    assert (Alarm().rolls_back([FINE]), Alarm().rolls_back([FINE, BROKEN])) == (False, True)
    assert not Alarm().rolls_back([Table(540, 5, 0, 0)]), "a minute without requests says nothing"


def test_kayenta_wants_a_shift_beyond_a_quarter_of_itself_for_certain() -> None:
    stable = [0.010, 0.012, 0.009, 0.011, 0.013, 0.008, 0.010, 0.012, 0.011, 0.009]
    assert is_high([value + 0.01 for value in stable], stable)
    assert not is_high(stable, stable)
    assert not is_high([0.0] * 10, [0.0] * 10)
    assert not is_high([], stable)
    noisy = [value + (0.02 if number % 3 else -0.005) for number, value in enumerate(stable)]
    assert not is_high(noisy, stable), "larger, but the interval reaches below the tolerance"


def test_kayenta_is_asked_every_five_minutes_from_the_tenth_or_when_its_window_is_full() -> None:
    def first(judge: Kayenta) -> int | None:
        terrible = [Table(540, 5 + k % 3, 60, 20 + k % 5) for k in range(40)]
        return next((at for at, table in enumerate(terrible, 1) if judge.rolls_back([table])), None)

    assert (first(Kayenta()), first(Kayenta(30))) == (10, 30)


def test_fisher_is_the_sum_of_the_tail() -> None:
    for table in (Table(54, 1, 6, 2), Table(540, 5, 60, 4), Table(540, 5, 60, 3), Table(300, 10, 300, 25)):
        n_a, _, n_b, x_b = table
        ways = [math.comb(n_b, x) * math.comb(n_a, table.bad - x) for x in range(x_b, min(n_b, table.bad) + 1)]
        assert fisher_rejects(table) is (sum(ways) / math.comb(n_a + n_b, table.bad) < 0.01)


def test_a_test_at_each_tick_sums_up_what_it_has_seen() -> None:
    judge = EachTick(z_rejects)
    assert [judge.rolls_back([Table(540, 5, 60, 2)]) for _ in range(4)] == [False, True, True, True]
    assert not z_rejects(Table(540, 0, 60, 0))
    assert not z_rejects(Table(540, 5, 0, 0))


def test_the_engine_of_the_bench_is_the_engine() -> None:
    ticks = list(error_ticks(Random("calm"), Cell(10, 0.01, 0.05, "plain")))
    test, process, crossed = harm(), harm().begin(), None
    for at, table in enumerate(ticks, 1):
        process = update(process, test.log_ratios(table))
        if e_value(process) >= 100:
            crossed = at
            break
    assert crossed is not None
    assert engine_bounds(ticks, [0.01, 1e-12])[0] == crossed


def test_the_engine_promotes_and_takes_back_as_the_scenario_deserves() -> None:
    fine, worse = (
        next(s for s in SCENARIOS if s.rps == 100 and s.name == name) for name in ("equal, 1 % errors", "latency +30 %")
    )
    engine = {scenario: run_rollouts(RolloutTask(scenario, 0, 3, 1))[1]["engine"] for scenario in (fine, worse)}
    assert [journey.end for journey in engine[fine]] == ["promoted"] * 3
    assert [journey.end for journey in engine[worse]] == ["rolled_back"] * 3
    assert min(journey.ticks for journey in engine[fine]) >= 10, "five ticks in each of two stages"
    found = account(engine[fine])
    assert (found.promoted, found.reached_50, math.isnan(found.roll_back_ticks[0])) == (1, 1, True)


def test_a_controller_holds_while_nothing_is_known() -> None:
    minute, _ = next(minutes(Random(1), SCENARIOS[0], 1))
    assert EvidenceController().decide(minute, 0, 1) == "hold"


def test_delays_are_counted_from_the_onset_and_what_came_before_it_is_early() -> None:
    cell = Cell(10, 0.01, 0.02, "late30")
    ended = [Ended(20, 0, 0), Ended(35, 300, 6), Ended(40, 600, 12), Ended(None, 5_400, 100)]
    found = summary(cell, ended)
    assert (found.early, found.rolled_back, found.median_ticks, found.p90_ticks) == (0.25, 0.5, 10, math.inf)
    assert found.median_requests == 600
    assert found.bad_served == pytest.approx(29.5)


def test_runs_are_the_same_however_they_are_split() -> None:
    cell = NULLS[9]
    whole = run_task(Task(cell, 0, 4, 1))[1]
    parts = [run_task(Task(cell, first, 2, 1))[1] for first in (0, 2)]
    assert whole == {name: parts[0][name] + parts[1][name] for name in whole}


def test_there_are_as_many_cells_as_the_tables_have() -> None:
    assert (len(NULLS), len(DEGRADATIONS), len(SCENARIOS)) == (27, 45, 18)
    assert all(cell.is_null for cell in NULLS)
    assert not any(cell.is_null for cell in DEGRADATIONS)


def test_the_command_writes_its_tables_and_its_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert decisions.main(["--quick", "--runs", "1", "1", "1", "1", "--workers", "1", "--into", str(tmp_path)]) == 0
    text = (tmp_path / "decisions.md").read_text(encoding="utf-8")
    assert "**This is the result of `--quick`: 1 runs a cell" in text
    assert text.count("| stage+rising |") == 9
    assert text.count("(95 % interval ") == len(PROMISES)
    assert (tmp_path / "decisions.svg").read_text(encoding="utf-8").endswith("</svg>\n")
    assert "wrote" in capsys.readouterr().out
