"""The measurements run, with the smallest settings; how fast anything is, no test says."""

from __future__ import annotations

import cProfile
import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import intake, performance, pictures, request_time
from bench.__main__ import BENCHES, main
from bench.events import push
from bench.numbers import percentile, table
from bench.on_demand import OnDemand
from bench.performance import Bar
from bench.subjects import Subject
from tests.measured import cold_start_results, intake_results, rollback_results, scale_results


@pytest.mark.slow
def test_cold_starts_are_measured_beside_the_same_rollback_in_other_ways(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["roll_back", "gapic_rollback", "sdk_rollback"]
    assert main(["--json", "cold_start", "--runs", "1", "--only", *names]) == 0
    results = json.loads(capsys.readouterr().out)["cold_start"]
    assert [result["function"] for result in results] == names
    assert [result["is_baseline"] for result in results] == [False, True, True]
    assert all(result["median_seconds"] > 0 and len(result["seconds"]) == 1 for result in results)


@pytest.mark.slow
def test_rollbacks_are_measured_warm_and_cold_beside_the_two_bare_calls(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "rollback", "--samples", "1", "--cold-samples", "1"]) == 0
    found = json.loads(capsys.readouterr().out)["rollback"]
    woken = ("alert published to split restored", "the same with the high-level SDK")
    ways = (*woken, "the two calls and nothing else, so woken", "the two bare calls")
    warm, cold = [(way, False) for way in ways], [(way, True) for way in woken]
    for delayed in (False, True):
        rows = [one for one in found if one["delayed"] is delayed]
        assert [(one["what"], one["cold"]) for one in rows] == warm + cold
        assert [one["samples"] for one in rows] == [1, 1, 1, 1, 1, 1]
        by_way = {(one["what"], one["cold"]): one["p50"] for one in rows}
        assert all(by_way[way, True] > by_way[way, False] for way in woken), "a process had to be started"


@pytest.mark.slow
def test_a_tick_is_measured_beside_one_query_per_rollout_and_metric(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            [
                "--json",
                "scale",
                "--rollouts",
                "2",
                "--stores",
                "sqlite",
                "--ticks",
                "1",
                "--pause",
                "5",
                "--busy-rollouts",
                "2",
                "--few",
                "1",
            ]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)["scale"]
    (growth,), (peers,) = found["growth"], found["peers"]
    assert (growth["vertex"], growth["monitoring"], growth["pages"], growth["writes"]) == (1, 3, 1, 1)
    assert peers["calls"] == 2 * (1 + 2 * 3)
    assert found["recovery"]["ticks"] == 1
    assert (found["busy_rps"], found["busy"]["vertex"], found["busy"]["monitoring"]) == (100, 1, 3)
    flat = found["flat"]
    assert (flat["rollouts"], flat["few"]) == (2, 1)
    assert min(flat["cpu_seconds"], flat["few_cpu_seconds"]) > 0


@pytest.mark.slow
def test_events_are_taken_in_by_one_instance_and_by_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "intake", "--seconds", "0.3", "--callers", "2", "--profiled", "5"]) == 0
    found = json.loads(capsys.readouterr().out)["intake"]
    assert [(one["what"], one["processes"]) for one in found["ways"]] == [
        ("idle", 1),
        ("roll_back", 1),
        ("roll_back", 2),
        ("GetEndpoint by itself", 1),
    ]
    assert all(one["per_second"] > 0 for one in found["ways"])
    profile = found["profile"]
    assert (profile["function"], profile["requests"]) == ("roll_back", 5)
    assert {"our own code", "the store: SQLite"} <= {one["what"] for one in profile["parts"]}
    calls = {one["what"]: one["calls"] for one in profile["functions"]}
    assert calls["shared/runtime.py: handle"] == 1, "what was skipped is not counted"


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


def test_a_held_request_starts_an_instance_and_the_next_finds_it(tmp_path: Path) -> None:
    (tmp_path / "idle").mkdir()
    (tmp_path / "idle" / "main.py").write_text(intake.IDLE_MAIN)
    event = push("alert-fired", b"{}")

    def ask() -> int:
        with closing(http.client.HTTPConnection(front.url.removeprefix("http://"), timeout=60)) as connection:
            connection.request("POST", event.path, event.body, {"Content-Type": "application/json"})
            return connection.getresponse().status

    with OnDemand(Subject(intake.IDLE, tmp_path / "idle", True), {}, tmp_path / "home") as front:
        assert (ask(), ask(), front.started) == (200, 200, 1)
        front.scale_to_zero()
        assert (ask(), front.started) == (200, 2)


def test_an_instance_that_does_not_start_is_answered_as_unavailable(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "main.py").write_text("raise SystemExit('no function here')")
    with OnDemand(Subject("broken", tmp_path / "broken", True), {}, tmp_path / "home") as front:
        with closing(http.client.HTTPConnection(front.url.removeprefix("http://"), timeout=60)) as connection:
            connection.request("POST", "/", b"{}")
            assert connection.getresponse().status == 503
        assert "no function here" in front.said()


def test_a_profile_says_whose_code_a_request_spends_its_time_in(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import json\ndef act(times):\n    return [json.dumps({'a': n}) for n in range(times)]\n"
    )
    code: dict[str, Any] = {}
    exec(compile((tmp_path / "main.py").read_text(), str(tmp_path / "main.py"), "exec"), code)  # noqa: S102 (written above)
    profile = cProfile.Profile()
    for _ in range(4):
        profile.runcall(code["act"], 500)
    profile.dump_stats(tmp_path / "profile")
    found = request_time.read(tmp_path / "profile", Subject("act", tmp_path, False), 4, 1.0)
    assert {"our own code", "Python's standard library"} == {one.what for one in found.parts}
    assert found.milliseconds == pytest.approx(sum(one.milliseconds for one in found.parts))
    assert {(one.what, one.calls) for one in found.functions} >= {("main.py: act", 1)}
    assert "our own code" in request_time.show(found)


def test_the_page_and_its_pictures_say_what_is_kept() -> None:
    kept = {path.stem: json.loads(path.read_text()) for path in sorted(performance.RESULTS.glob("*.json"))}
    assert performance.PAGE.read_text() == performance.page(kept), "python -m bench --save writes it"
    assert set(kept) <= set(BENCHES)
    for name, picture in pictures.drawn(kept).items():
        assert (pictures.FOLDER / name).read_text() == picture
        assert f"](pictures/{name})" in performance.PAGE.read_text()


@pytest.mark.parametrize("sizes", [(1,), (1, 20), (1, 100, 1000, 10_000)])
def test_growth_is_drawn_for_any_number_of_rollouts(sizes: tuple[int, ...]) -> None:
    drawn = pictures.scale(scale_results(sizes, most_on_firestore=1000))
    said = ["".join(one.itertext()) for one in ElementTree.fromstring(drawn).iter() if one.tag.endswith("}text")]  # noqa: S314 (our own)
    assert {"reads of Vertex AI", "quota: 600 a minute", "rollouts in progress"} <= set(said)
    assert f"{6 * sizes[-1]:,}" in said, "what others ask of Cloud Monitoring"
    assert f"{pages(sizes[-1]):,}" in said, "what we ask of Vertex AI"


def pages(rollouts: int) -> int:
    """Reads of a tick: of a hundred endpoints at once, by each of the processes that it is divided into."""
    return -(-rollouts // 100) * -(-rollouts // 6000)


@pytest.mark.parametrize("cold", [False, True])
def test_rollbacks_are_drawn_with_and_without_those_that_start_an_instance(cold: bool) -> None:
    drawn = pictures.rollback(rollback_results(cold=cold))
    assert drawn.count("with the high-level SDK") == 2
    assert drawn.count("started by the alert") == 2 * cold


def test_cold_starts_are_drawn_where_the_system_does_not_say_how_much_memory_there_is() -> None:
    drawn = pictures.cold_start(cold_start_results(["roll_back", "notify"], megabytes=False))
    assert "sdk_rollback" in drawn and "MB of memory" not in drawn


@pytest.mark.parametrize("profile", [False, True])
def test_what_is_taken_in_is_drawn_with_whose_time_it_takes_where_that_is_known(profile: bool) -> None:
    drawn = pictures.intake(intake_results(profile=profile))
    assert all(said in drawn for said in (">537<", ">115<", ">249<", ">1,423<"))
    assert ("the call of Vertex AI itself" in drawn, ">54%<" in drawn) == (profile, profile)


def test_the_cold_rollback_is_told_with_its_p50_and_p99() -> None:
    rows = [bar.row() for bar in performance.bars({"rollback": {"results": rollback_results(cold=True)}})]
    assert "| rollback by an instance that the alert starts, by the high-level SDK's (p50) | 0.298 | | |" in rows
    delayed = "alert to restored split with realistic delays"
    assert f"| {delayed}, an instance that the alert starts (p50) | 1.02 s | | |" in rows
    assert f"| {delayed}, an instance that the alert starts (p99) | 1.26 s | | |" in rows


def test_the_shards_that_much_traffic_needs_are_told() -> None:
    rows = [bar.row() for bar in performance.bars({"scale": {"results": scale_results((1, 1000))}})]
    assert "| CPU per rollout, 1,000 rollouts at 100 requests per second by 10 | 1.99 | | |" in rows
    assert "| shards of 45 s of CPU that 10,000 rollouts at 100 requests per second need | 2 | | |" in rows


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
