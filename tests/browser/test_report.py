"""The cost report as people open it: with what was billed and what has changed, at two widths, in both themes, and printed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from docs.generate import ROOT
from shared.costs.actual import Actual
from shared.costs.audit import audit
from shared.costs.fleet_file import read_fleet
from shared.costs.prices import shipped
from shared.costs.report.page import page as report_page
from shared.costs.report.snapshot import Snapshot, change_since, endpoint_name
from tests.browser.conftest import PHONE, visiting
from tests.browser.test_page import PICTURES, picture

WIDE = (1200, 900)


@pytest.fixture
def report(tmp_path: Path) -> str:
    """Of the described fleet, a day after another audit, where a billing export is configured."""
    given = ROOT / "docs" / "costs" / "fleet.json"
    result = audit(read_fleet(given.read_text(encoding="utf-8"), str(given)), shipped())
    (forgotten,) = [finding for finding in result.findings if finding.kind == "forgotten_model"]
    assert forgotten.saving is not None
    before = Snapshot(
        result.at - timedelta(days=1),
        result.usd_month - forgotten.saving,
        result.saving - forgotten.saving,
        {one.name: one.usd_month - forgotten.saving * one.name.endswith("/speech") for one in result.by(endpoint_name)},
        frozenset(finding.id for finding in result.findings) - {forgotten.id},
    )
    billed = Actual(f"{result.at:%Y-%m}", Decimal("6712.44"), datetime(2026, 11, 26, 21, tzinfo=UTC))
    place = tmp_path / "report.html"
    place.write_text(report_page(result, change_since(before, result), billed), encoding="utf-8")
    return place.as_uri()


def test_what_was_billed_stands_beside_what_is_estimated_and_everyone_can_read_it(chromium: Any, report: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    faults: list[str] = []
    for theme, size in (("light", WIDE), ("dark", PHONE)):
        with visiting(chromium, report.rpartition("/")[0], faults, size, theme) as page:
            page.goto(report)
            tile = page.locator(".tile", has_text="billed for")
            assert tile.locator("b").inner_text() == "$6,712.44"
            assert "until 2026-11-26 21:00 UTC" in tile.inner_text()
            assert page.locator(".tile").count() == 6
            assert axe.run(page).response["violations"] == []
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            picture(page, f"report-{'wide' if size == WIDE else 'narrow'}")
            if size == WIDE:
                page.emulate_media(media="print")
                page.set_viewport_size({"width": 700, "height": 990})
                hidden = page.evaluate(
                    "[...document.querySelectorAll('details p')].filter(p => !p.getBoundingClientRect().height).length"
                )
                assert hidden == 0, "on paper nobody can open what is folded"
                picture(page, "report-print")
                if PICTURES:
                    page.pdf(path=Path(PICTURES) / "report.pdf", format="A4", print_background=False)
    assert not faults
