"""The pictures are drawn by the engine and by a recorded run, and say in words what they show."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import performance, pictures
from docs import demo_picture, plots
from docs.demo_picture import RECORDING, Showing, draw, read, record
from docs.generate import ROOT
from shared.rollout.record import LedgerEntry

PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.svg"))
BEGAN = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_whole_described_and_asks_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    drawn = ElementTree.fromstring(text)  # noqa: S314 (our own)
    names = [child.tag.rpartition("}")[2] for child in drawn]
    assert {"title", "desc"} <= set(names)
    assert "script" not in text and "href" not in text and "url(http" not in text
    assert "prefers-color-scheme: dark" in text


def test_every_plot_is_there() -> None:
    kept = {path.stem for path in performance.RESULTS.glob("*.json")}
    measured = {pictures.file_of(name).removesuffix(".svg") for name in pictures.PICTURES if name in kept}
    assert {path.stem for path in PICTURES} == {*plots.PLOTS, "demo", *measured}


def test_the_plot_of_harm_and_traffic_is_what_the_engine_says() -> None:
    """The plots with draws take half a minute; this one is computed."""
    assert plots.PLOTS["traffic"]() == (plots.FOLDER / "traffic.svg").read_text(encoding="utf-8")


def test_looking_every_minute_misleads_a_test_and_not_the_evidence() -> None:
    by_z, by_evidence = plots.looks(runs=40, minutes=45)
    assert by_z[-1] > 3 * max(by_evidence[-1], 1)
    assert by_evidence == sorted(by_evidence)


def test_the_moving_picture_is_of_the_recorded_run() -> None:
    run = read(json.loads(RECORDING.read_text(encoding="utf-8")))
    assert draw(run) == demo_picture.PICTURE.read_text(encoding="utf-8"), "draw it anew: python -m docs.demo_picture"
    assert all(sum(shift.split.values()) == 100 for shift in run.shifts)


def test_a_recording_keeps_what_moved_and_what_was_told() -> None:
    def entry(minute: int, decision: str, after: dict[str, int] | None) -> LedgerEntry:
        at = BEGAN + timedelta(minutes=minute)
        return LedgerEntry(f"e{minute}", "r", "m", at, decision, f"{decision}d", traffic_after=after)

    ledger = [entry(0, "start", None), entry(5, "advance", {"1": 90, "2": 10}), entry(9, "operate", None)]
    kept = record(ledger, {"1": "v1", "2": "v2"})
    assert kept["shifts"] == [{"minute": 5.0, "split": {"v1": 90, "v2": 10}}]
    assert [s["decision"] for s in kept["sentences"]] == ["start", "advance"]
    showing = Showing(read(kept))
    assert showing.begins(0) == 0
    assert showing.begins(9) - showing.begins(5) > demo_picture.READING


def test_text_of_a_run_cannot_break_the_picture() -> None:
    hostile = {"minute": 1.0, "decision": "advance", "text": '</text><script>alert("x")</script> & more'}
    run = read({"minutes": 2.0, "shifts": [{"minute": 1.0, "split": {"v1": 100}}], "sentences": [hostile]})
    assert "<script>" not in draw(run)
    ElementTree.fromstring(draw(run))  # noqa: S314 (our own)
