"""``rollouts judge``."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

from rollouts_cli.judged_series import Rules, judge_two
from rollouts_cli.plots import bar, sparkline, thinned
from rollouts_cli.recorded_series import read_series
from shared.rollout.statistics.process import e_value, update
from shared.rollout.statistics.tables import Table, harm
from tests.unit.cli.conftest import Rollouts
from tests.unit.policy.files import ROOT

EXAMPLES = ROOT / "docs" / "judge"
HEAD = "tick,arm,requests,bad\n"
WORSE = HEAD + "".join(f"{k},stable,540,5\n{k},candidate,60,{bad}\n" for k, bad in enumerate([3, 4, 5, 6], 1))


def test_a_bad_candidate_is_judged_tick_by_tick_with_its_curves(rollouts: Rollouts, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(WORSE, encoding="utf-8")
    ran = rollouts("judge", "s.csv")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == dedent(
        """\
        candidate beside stable, 4 ticks of error_rate; harm at 100, no harm at 20

        TICK  stable error_rate  candidate error_rate  HARM      NO HARM  SAYS
        1     5/540              3/60                  2.37      0.204    hold
        2     5/540              4/60                  39.6      0.0681   hold
        3     5/540              5/60                  1.13e+03  0.023    roll back: error_rate
        4     5/540              6/60                  3.37e+04  0.00702  roll back: error_rate

        harm     ▄▆██  0.01 to 1000, at last 3.37e+04
        no harm  ▃▂▂▁  0.01 to 200, at last 0.00702

        error_rate: odds ratio 8.58, with 95 % between 2.86 and 24.5
        roll back at tick 3 (3): error_rate, evidence of harm 1.13e+03 >= 100
        """
    )


def test_the_example_of_a_canary_turns_bad_half_way_and_is_taken_back(rollouts: Rollouts) -> None:
    found = json.loads(rollouts("judge", EXAMPLES / "canary.csv", "--json").out)
    assert (found["decision"], found["decided_at"]) == ("roll_back", "2026-11-23T14:21Z")
    assert found["ticks"][21]["culprit"] == "error_rate"
    assert len(found["ticks"]) == 24
    assert found["odds_ratios"]["beyond_100_ms"]["low"] < 1 < found["odds_ratios"]["beyond_100_ms"]["high"]


def test_the_example_of_an_experiment_has_a_winner(rollouts: Rollouts) -> None:
    ran = rollouts("judge", EXAMPLES / "experiment.json")
    assert ran.out.splitlines()[-1] == "c wins at tick 8 (8): surely better than every other arm"
    found = json.loads(rollouts("judge", EXAMPLES / "experiment.json", "--json").out)
    assert found["winner"] == {"arm": "c", "tick": "8", "number": 8}
    assert found["bound"] == 40


def test_a_good_candidate_advances_at_once_where_margins_are_wide(rollouts: Rollouts, tmp_path: Path) -> None:
    rows = "".join(f"{k},old,5400,54\n{k},new,5400,54\n" for k in range(1, 12))
    (tmp_path / "s.csv").write_text(HEAD + rows, encoding="utf-8")
    ran = rollouts("judge", "s.csv", "--margin", "2x", "--stable", "old")
    assert ran.out.splitlines()[-1].startswith("advance at tick 5 (5): evidence of no harm ")
    sooner = rollouts("judge", "s.csv", "--margin", "2", "--least-ticks", 1, "--floor", 0)
    assert sooner.out.splitlines()[-1].startswith("advance at tick 1 (1)")


def test_a_series_that_says_little_is_held_with_what_is_missing(rollouts: Rollouts, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(HEAD + "1,stable,540,5\n1,candidate,60,1\n2,stable,500,4\n", encoding="utf-8")
    lines = rollouts("judge", "s.csv").out.splitlines()
    assert lines[4].endswith("hold, no comparison in this tick")
    assert lines[-1] == "hold: harm 0.828 of 100, no harm 0.547 of 20 (error_rate)"


def test_order_and_repetition_change_nothing_and_a_count_that_ran_backwards_drops_its_tick(tmp_path: Path) -> None:
    clean = tmp_path / "clean.csv"
    clean.write_text(WORSE, encoding="utf-8")
    messy = tmp_path / "messy.csv"
    rows = WORSE.removeprefix(HEAD).splitlines()
    messy.write_text(HEAD + "\n".join([*rows[::-1], rows[0], "5,stable,-3,0", "5,candidate,60,60"]), encoding="utf-8")
    one, other = read_series(clean), read_series(messy)
    assert (other.repeated, other.dropped) == (1, ("5",))
    judged = [judge_two(series, "stable", "candidate", Rules()) for series in (one, other)]
    assert judged[0].ticks == judged[1].ticks[:4]
    assert not judged[1].ticks[4].counted
    assert judged[1].ticks[4].e_harm == judged[0].ticks[-1].e_harm


def test_what_is_judged_is_the_engine_itself(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text(WORSE, encoding="utf-8")
    process = harm().begin()
    for bad in (3, 4, 5, 6):
        process = update(process, harm().log_ratios(Table(540, 5, 60, bad)))
    judged = judge_two(read_series(file), "stable", "candidate", Rules())
    assert judged.ticks[-1].e_harm == e_value(process)


def test_ticks_are_ordered_as_numbers_or_times_and_arms_as_they_come(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text(HEAD + "10,b,9,0\n9,b,9,0\n9,a,9,0\n", encoding="utf-8")
    assert (read_series(file).ticks, read_series(file).arms) == (("9", "10"), ("b", "a"))
    file.write_text(HEAD + "2026-11-23T10:00Z,b,9,0\n2026-11-23T11:30+02:00,a,9,0\n", encoding="utf-8")
    assert read_series(file).ticks == ("2026-11-23T11:30+02:00", "2026-11-23T10:00Z")
    file.write_text(HEAD + "noon,b,9,0\nevening,a,9,0\n", encoding="utf-8")
    assert read_series(file).ticks == ("noon", "evening")


@pytest.mark.parametrize(
    ("name", "text", "options", "said"),
    [
        ("s.csv", None, [], "s.csv cannot be read: No such file"),
        ("s.csv", "tick,arm,bad\n1,a,2\n", [], "s.csv:1: no column requests"),
        ("s.csv", HEAD, [], "s.csv holds no rows"),
        ("s.csv", HEAD + "1,a,many,2\n", [], "s.csv:2: 'many' is no count; give a whole number"),
        ("s.csv", HEAD + "1,a,5,0.5\n", [], "s.csv:2: '0.5' is no count"),
        ("s.csv", HEAD + "1,,5,0\n", [], "s.csv:2: an empty tick or arm"),
        ("s.csv", HEAD + "1,a,5,0\n", [], "s.csv has one arm, a; a comparison needs two"),
        ("s.json", "{", [], "s.json:1: Expecting property name"),
        ("s.json", "{}", [], "s.json: not a list of objects"),
        ("s.json", '[{"tick": 1, "arm": "a", "bad": 1}]', [], "s.json:1: no requests"),
        ("s.csv", WORSE, ["--stable", "old"], "no arm is called old; there are stable, candidate"),
        ("s.csv", WORSE, ["--margin", "1x"], "--margin: 1x is not above 1"),
        ("s.csv", WORSE, ["--harm", "100%"], "--harm: 100% is not between 0 and 100%"),
        ("s.csv", WORSE, ["--floor", "low"], "--floor: 'low' is not a share"),
        ("s.csv", WORSE + "1,third,5,0\n", ["--metric", "x"], "no metric is called x; there are error_rate"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(
    name: str, text: str | None, options: list[str], said: str, rollouts: Rollouts, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    ran = rollouts("judge", name, *options)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)
    assert said in ran.err


def test_plots_keep_peaks_and_their_scale() -> None:
    assert sparkline([-1, 0, 5, 10, 99], 0, 10) == "▁▁▅██"
    assert thinned([1, 9, 2, 3, 4, 8], 3) == [9, 3, 8]
    assert thinned([1, 2], 60) == [1, 2]
    assert (bar(1, 2, 4), bar(0.01, 100, 4), bar(5, 0, 4)) == ("██", "▏", "")
