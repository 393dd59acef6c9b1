"""Every case of the golden file, most of which was computed with exact fractions; its ``description`` says how."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from bench import golden
from bench.golden_cases import KINDS, Outcome, Tolerance, run_case
from bench.golden_properties import broken_properties
from shared.rollout.statistics import latency

FILE = Path(__file__).parents[2] / "data/evidence/golden.json"
GOLDEN = json.loads(FILE.read_text())
TOLERANCE = Tolerance.of(GOLDEN)
BY_ID = {case["id"]: case for case in GOLDEN["cases"]}

Data = dict[str, Any]


def run(kind: str, given: Data, expected: Data) -> Outcome:
    return run_case({"id": "mine", "kind": kind, "input": given, "expected": expected}, TOLERANCE)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: c["id"])
def test_golden(case: Data) -> None:
    outcome = run_case(case, TOLERANCE)
    assert outcome.differences == ()
    assert outcome.agrees
    assert outcome.deviation < 1e-9


def test_every_kind_has_a_case_and_every_number_of_each_is_compared() -> None:
    assert {case["kind"] for case in GOLDEN["cases"]} == set(KINDS)
    for case in GOLDEN["cases"]:
        expected = case["expected"]
        # A series is compared number by number, and in its length.
        series = [expected[key] for key in ("e", "e_per_threshold_last") if isinstance(expected.get(key), list)]
        answers = len(expected.get("list", ())) or len(expected) + sum(map(len, series))
        assert run_case(case, TOLERANCE).compared == answers, case["id"]


@pytest.mark.parametrize("case", [c for c in GOLDEN["cases"] if c["kind"] != "properties"], ids=lambda c: c["id"])
def test_an_expectation_that_is_a_little_wrong_does_not_agree(case: Data) -> None:
    """The runner must be able to say no: each number of each case is moved by a millionth, each other answer turned round."""
    for key, right in case["expected"].items():
        wrong = copy.deepcopy(case)
        wrong["expected"][key] = _moved(right)
        assert not run_case(wrong, TOLERANCE).agrees, key


def _moved(right: Any) -> Any:
    match right:
        case bool():
            return not right
        case int():
            return right + 1
        case float():
            return right + 1e-6 * max(abs(right), 1)
        case str():
            return f"{right}?"
        case None:
            return 1
        case list():
            return [_moved(right[0]), *right[1:]]
    raise AssertionError(f"nothing of the kind of {right!r} is expected in the file")


def test_the_factor_of_a_shift_leads_to_the_edge_of_its_case() -> None:
    given = BY_ID["latency-shift-1.6x"]["input"]
    stable_edge = given["edges"][given["stable_edge_index"]]
    edge = latency.factor_edge(given["edges"], stable_edge, given["factor"])
    assert edge == given["edges"][given["candidate_edge_index"]]


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("table_loglr", {"n_a": 0, "x_a": 0, "n_b": 0, "x_b": 0, "psi": 2.0, "psi0": 1.0}, {"loglr": 0.0}),
        ("table_loglr", {"n_a": 9, "x_a": 0, "n_b": 9, "x_b": 0, "psi": 0.5, "psi0": 1.5}, {"loglr": 0.0}),
        ("unit_mean", {"n_a": 5_400, "n_b": 600, "m": 300, "psi": 100.0, "psi0": 2.0}, {"sum": 1.0}),
        ("unit_mean", {"n_a": 4, "n_b": 6, "m": 0, "psi": 2.0, "psi0": 1.0}, {"sum": 1.0}),
        ("onesample_loglr", {"n": 0, "x": 0, "p": 0.1, "p0": 0.2}, {"loglr": 0.0}),
        ("harm_process", {"psi0": 1.0, "starts": "harmonic", "clip": 30, "ticks": []}, {"e": []}),
        ("harm_process", {"psi0": 1.0, "starts": "first", "clip": None, "ticks": [[0, 0, 5, 5]]}, {"e": [1.0]}),
        ("noninferior_process", {"psi1": 1.5, "ticks": [[9, 0, 9, 0]]}, {"e": [1.0], "first_tick_ge_20": None}),
        ("below_process", {"p_max": 0.02, "ticks": [[0, 0]]}, {"e": [1.0]}),
        ("above_process", {"p_max": 0.02, "ratios": [2.0], "ticks": [[0, 0]]}, {"e": [1.0]}),
        ("combine", {"e_rollback": [8.0, 2.0], "weights": [0.25, 0.75], "alpha": 0.01}, {"e": 3.5, "culprit": 0}),
        ("decide", {"e_rb": 100.0, "e_adv": [], "ticks_in_stage": 1}, {"decision": "roll_back"}),
        ("dispersion_eta", {"history": [[0, 0, 0, 0]]}, {"psi": 1.0, "phi": 1.0, "eta": 1.0}),
        ("odds_ratio_cs", {"history": [], "alpha": 0.05}, {"lo": math.exp(-4), "hi": math.exp(4)}),
        ("odds_ratio_cs", {"history": []}, {"lo": 0.0, "hi": None}),
        ("best_arm", {"pair_e": [[0, 1], [1, 0]], "alpha": 0.05}, {"winner": None, "threshold": 20.0, "dropped": []}),
        (
            "mean_process",
            {"sigma": 60.0, "direction": -1, "ticks": [[540, 1.0, 9.0, 0, 0.0, 0.0]]},
            {"e": [1.0], "first_tick_ge_100": None},
        ),
        (
            "simulation",
            {"seeds": [0, 1], "T": 2, "n_a": 5, "n_b": 5, "p_a": 0.0, "p_b": 1.0, "psi0": 1.0, "alpha": 0.5},
            {"first_ticks": [1, 1], "detected": 2, "median": 1},
        ),
        (
            "simulation",
            {"seeds": [0, 2], "T": 3, "n_a": 5, "n_b": 5, "p_a": 0.5, "p_b": 0.0, "psi0": 1.0, "alpha": 0.01},
            {"first_ticks": [None, None, None], "detected": 0, "median": None},
        ),
    ],
)
def test_the_edges_of_what_a_case_may_be(kind: str, given: Data, expected: Data) -> None:
    assert run(kind, given, expected).differences == ()


@pytest.mark.parametrize(
    ("kind", "given", "expected", "said"),
    [
        ("table_loglr", {"n_a": 1}, {"loglr": 0.0}, "KeyError: 'x_a'"),
        ("table_loglr", {"n_a": 1, "x_a": 2, "n_b": 1, "x_b": 0, "psi": 2, "psi0": 1}, {"loglr": 0}, "drop the tick"),
        ("onesample_loglr", {"n": 9, "x": 1, "p": 0.0, "p0": 0.2}, {"loglr": 0.0}, "strictly between 0 and 1"),
        ("dispersion_eta", {"history": [], "cap": 50}, {"eta": 1.0}, "the case asks for {'cap': 50}"),
        ("rank_bet", {}, {"e": []}, "kind 'rank_bet' is none of"),
        ("combine", {"e_rollback": [1.0]}, {"colour": 1}, "nothing that was expected is an answer"),
        ("properties", {}, {"list": ["the moon is full"]}, "no check is known"),
    ],
)
def test_a_case_that_cannot_be_run_disagrees_with_the_reason(kind: str, given: Data, expected: Data, said: str) -> None:
    (difference,) = run(kind, given, expected).differences
    assert said in difference.got


def test_the_properties_hold_for_each_sentence_of_the_file() -> None:
    assert [broken_properties(sentence) for sentence in BY_ID["meta"]["expected"]["list"]] == [""] * 7


def test_the_command_says_how_many_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert golden.main([str(FILE)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"golden: {len(BY_ID)} of {len(BY_ID)} agree, worst relative deviation ")


def test_the_command_lists_what_does_not_agree_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [BY_ID["table-01"], copy.deepcopy(BY_ID["harm-bad-margin"]), {"id": "new", "kind": "oracle"}]
    cases[1]["expected"]["e"] = [e + 1 for e in cases[1]["expected"]["e"]]
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps({"cases": cases}))
    assert golden.main([str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "harm-bad-margin (harm_process) does not agree"
    assert lines[1].startswith("  e[1]: expected 2.130834370326318, got 1.13083437032")
    assert "  and 3 more" in lines
    assert lines[-1].startswith("golden: 1 of 3 agree, worst relative deviation 0.4")
    assert golden.main([str(file), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["agree"], found["cases"]) == (1, 3)
    assert [outcome["agrees"] for outcome in found["outcomes"]] == [True, False, False]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cases": []}', '{"cases": 3}'])
def test_a_file_without_cases_is_no_success(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "none.json"
    file.write_text(text)
    assert golden.main([str(file)]) == 2
    assert "holds no golden cases" in capsys.readouterr().err
