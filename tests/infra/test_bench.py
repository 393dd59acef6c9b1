"""The measurements run, with the smallest settings; how fast anything is, no test says."""

from __future__ import annotations

import json

import pytest

from bench import performance
from bench.__main__ import BENCHES, main
from bench.numbers import percentile, table
from bench.performance import Bar


@pytest.mark.slow
def test_cold_starts_are_measured_beside_the_same_rollback_in_other_ways(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["roll_back", "gapic_rollback", "sdk_rollback"]
    assert main(["--json", "cold_start", "--runs", "1", "--only", *names]) == 0
    results = json.loads(capsys.readouterr().out)["cold_start"]
    assert [result["function"] for result in results] == names
    assert [result["is_baseline"] for result in results] == [False, True, True]
    assert all(result["median_seconds"] > 0 and len(result["seconds"]) == 1 for result in results)


@pytest.mark.slow
def test_warm_rollbacks_are_measured_beside_the_two_bare_calls(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rollback", "--samples", "2"]) == 0
    said = capsys.readouterr().out
    for row in ("alert published to split restored", "the same with the high-level SDK", "the two bare calls"):
        assert said.count(row) == 2, "once bare, once with delays"


@pytest.mark.slow
def test_a_tick_is_measured_beside_one_query_per_rollout_and_metric(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "scale", "--rollouts", "2", "--stores", "sqlite", "--ticks", "1", "--pause", "5"]) == 0
    found = json.loads(capsys.readouterr().out)["scale"]
    (growth,), (peers,) = found["growth"], found["peers"]
    assert (growth["vertex"], growth["monitoring"], growth["pages"], growth["writes"]) == (1, 3, 1, 1)
    assert peers["calls"] == 2 * (1 + 2 * 3)
    assert found["recovery"]["ticks"] == 1


@pytest.mark.slow
def test_events_are_taken_in_by_one_instance_and_by_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "intake", "--seconds", "0.3", "--callers", "2"]) == 0
    found = json.loads(capsys.readouterr().out)["intake"]
    assert [(one["what"], one["processes"]) for one in found] == [
        ("idle", 1),
        ("roll_back", 1),
        ("roll_back", 2),
        ("GetEndpoint by itself", 1),
    ]
    assert all(one["per_second"] > 0 for one in found)


@pytest.mark.slow
def test_whoever_counts_by_the_minute_notices_before_those_who_wait_for_metrics(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--json", "detection", "--trials", "1"]) == 0
    found = json.loads(capsys.readouterr().out)["detection"]
    assert len(found) == 4 * 3
    longest = max(one["worst"] for one in found if one["source"].startswith("the callers"))
    assert longest < min(one["best"] for one in found if not one["source"].startswith("the callers"))
    assert all(one["trials"] == 1 for one in found)


def test_the_page_says_what_is_kept() -> None:
    kept = {path.stem: json.loads(path.read_text()) for path in sorted(performance.RESULTS.glob("*.json"))}
    assert performance.PAGE.read_text() == performance.page(kept), "python -m bench --save writes it"
    assert set(kept) <= set(BENCHES)


def test_a_bar_that_is_missed_is_shown_as_missed() -> None:
    assert Bar("a ratio", 0.5, 0.4).row() == "| a ratio | 0.5 | <= 0.4 | **missed** |"
    assert Bar("a rate", 0.71, 0.7, at_least=True).row() == "| a rate | 0.71 | >= 0.7 | holds |"


def test_every_bench_is_listed_with_what_it_measures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in listed] == list(BENCHES)
    assert all(about.endswith(".") for _, about in listed)


def test_an_unknown_function_is_answered_with_those_that_can_be_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cold_start", "--only", "ghost"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("bench cold_start: ghost is not known; there are ")
    assert "sdk_rollback" in said


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 51)]
    assert (percentile(values, 50), percentile(values, 99), percentile(values, 0)) == (25, 50, 1)
    assert percentile([7.0], 99) == 7


def test_text_stands_to_the_left_and_numbers_to_the_right() -> None:
    assert table(("a", "ms", "about"), [("bb", "1", "x"), ("c", "100", "")], frozenset({0, 2})) == (
        "a    ms  about\nbb    1  x\nc   100"
    )
