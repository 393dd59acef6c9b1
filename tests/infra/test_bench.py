"""The measurements run, with the smallest settings; how fast anything is, no test says."""

from __future__ import annotations

import json

import pytest

from bench.__main__ import BENCHES, main
from bench.numbers import percentile, table


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
    for row in ("alert published to split restored", "the two bare calls", "all that is between"):
        assert row in said


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
