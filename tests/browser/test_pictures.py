"""The pictures of docs/performance.md as people see them, in both themes: nothing written lies upon something else or beyond the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import pictures
from infra.package import ROOT
from tests.browser.conftest import visiting
from tests.browser.test_page import picture
from tests.measured import cold_start_results, intake_results, rollback_results, scale_results

DRAWN = {
    "scale-of-one": lambda: pictures.scale(scale_results((1,))),
    "scale-small": lambda: pictures.scale(scale_results((1, 20))),
    "scale": lambda: pictures.scale(scale_results((1, 100, 1000, 10_000), most_on_firestore=1000)),
    "rollback": lambda: pictures.rollback(rollback_results(cold=True)),
    "intake": lambda: pictures.intake(intake_results(profile=True)),
    "cold-start": lambda: pictures.cold_start(cold_start_results(["roll_back", *(f"function_{n}" for n in range(15))])),
}
COLLISIONS = """() => {
    const whole = document.querySelector('svg').getBoundingClientRect()
    const texts = [...document.querySelectorAll('svg text')].map(one => [one.textContent, one.getBoundingClientRect()])
    const found = texts.filter(([_, a]) => a.left < whole.left || a.right > whole.right || a.bottom > whole.bottom)
        .map(([said, _]) => `${said} is cut off`)
    texts.forEach(([one, a], n) => texts.slice(n + 1).forEach(([other, b]) => {
        const over = a.left < b.right && b.left < a.right && a.top + 2 < b.bottom - 2 && b.top + 2 < a.bottom - 2
        if (over) found.push(`${one} lies upon ${other}`)
    }))
    return found
}"""
"""Boxes of letters are higher than what is drawn of them: two pixels at each side."""


@pytest.mark.parametrize(
    "name", [*DRAWN, *(path.stem for path in sorted((ROOT / "docs" / "pictures").glob("performance-*")))]
)
def test_everything_that_is_written_can_be_read(chromium: Any, tmp_path: Path, name: str) -> None:
    drawn = DRAWN[name]() if name in DRAWN else (ROOT / "docs" / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    place = tmp_path / f"{name}.html"
    place.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title><body>{drawn}", encoding="utf-8"
    )
    faults: list[str] = []
    colours = []
    for theme in ("light", "dark"):
        with visiting(chromium, tmp_path.as_uri(), faults, (800, 720), theme) as page:
            page.goto(place.as_uri())
            assert page.evaluate(COLLISIONS) == []
            colours.append(page.evaluate("getComputedStyle(document.querySelector('svg .page')).fill"))
            picture(page, f"performance-{name}-{theme}")
    assert colours[0] != colours[1]
    assert not faults
