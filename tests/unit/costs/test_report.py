"""The report: one page that asks nobody, with twins that say the same; and the change since the audit before."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from html.parser import HTMLParser

import pytest

from shared.costs.actual import Actual
from shared.costs.audit import Audit, audit
from shared.costs.fleet_file import read_fleet
from shared.costs.money import usd
from shared.costs.prices import read_prices, shipped
from shared.costs.report.files import files_of
from shared.costs.report.page import LARGEST, page
from shared.costs.report.snapshot import SnapshotError, change_since, read_snapshot
from tests.unit.costs.planted import World, planted, spot_prices

BOOK = read_prices(spot_prices(), "spot.json").over(shipped())


@lru_cache(maxsize=2)
def audited(endpoints: int) -> tuple[Audit, dict[str, str]]:
    result = audit(read_fleet(planted(endpoints).file(), "fleet.json"), BOOK)
    return result, files_of(result)


def alone(change: dict[str, object] | None = None) -> Audit:
    """Three n1-standard-4 over 720 hours, and nothing else."""
    world = World(1)
    measured = {"cpu": 0.4, "cpu_peak": 0.5, "cpu_low": 0.35, "memory_gb": 13, "predictions": 1000}
    world.endpoint([world.serving("n1-standard-4", 3, max=3, measured=measured)], **(change or {}))
    return audit(read_fleet(world.file(), "fleet.json"), BOOK)


class _Page(HTMLParser):
    """What would make a browser ask somebody, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asks: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.asks += [
            f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "srcset", "action", "data", "style")
        ]
        self.asks += [tag] * (tag in ("script", "link", "iframe", "img", "object"))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(text: str) -> _Page:
    seen = _Page()
    seen.feed(text)
    seen.close()
    assert seen.open == []
    return seen


def test_the_page_is_whole_small_and_asks_nobody() -> None:
    _, files = audited(200)
    text = files["report.html"]
    assert len(text.encode()) < LARGEST
    assert parsed(text).asks == []
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in text and "prefers-color-scheme:dark" in text and "@media print" in text


def test_a_fleet_too_large_for_the_page_is_shown_in_part_and_said_to_be() -> None:
    result, files = audited(500)
    text = files["report.html"]
    assert len(text.encode()) < LARGEST
    assert re.search(r"And \d+ more, \$[\d,.]+ a month: see findings\.csv", text)
    assert len(list(csv.reader(io.StringIO(files["findings.csv"])))) == len(result.findings) + 1


def test_names_of_others_are_text_in_the_page_and_no_formula_in_a_spreadsheet() -> None:
    result = alone({"name": "<script>alert(1)</script>", "labels": {"owner": '=HYPERLINK("https://x")'}})
    files = files_of(result)
    assert "<script" not in files["report.html"] and "&lt;script&gt;" in files["report.html"]
    rows = list(csv.DictReader(io.StringIO(files["costs.csv"])))
    assert rows[0]["owner"] == '\'=HYPERLINK("https://x")'


def test_three_n1_standard_4_are_471_96_in_page_json_and_csv_and_the_method_says_what_474_is() -> None:
    files = files_of(alone())
    row = next(csv.DictReader(io.StringIO(files["costs.csv"])))
    assert (row["replica_hours"], row["usd_hour"], row["usd"]) == ("2160.0", "0.21850", "471.96")
    twin = json.loads(files["report.json"])
    assert (twin["usd"], twin["usd_month"], twin["deployed"][0]["usd"]) == ("471.96", "471.96", "471.96")
    said = " ".join(parsed(files["report.html"]).text)
    assert "$471.96 a month on 1 endpoint" in said
    assert "rounds to 0.219, which gives $473.04" in said and '"about $474"' in said


def test_page_json_and_csv_have_the_same_sums() -> None:
    result, files = audited(200)
    twin = json.loads(files["report.json"])
    rows = list(csv.DictReader(io.StringIO(files["findings.csv"])))
    counted = sum(Decimal(row["saving_usd_month"]) for row in rows if row["counted"] == "yes")
    assert counted == Decimal(twin["saving_usd_month"]) == result.saving
    assert f"{usd(result.saving)} of it could be saved" in files["report.html"]
    per_role = sum(Decimal(row["usd"]) for row in twin["roles"])
    assert abs(per_role - Decimal(twin["usd"])) <= Decimal("0.05")  # each to the cent
    unknown = [row for row in csv.DictReader(io.StringIO(files["costs.csv"])) if row["usd"] == "unknown"]
    assert {row["machine"] for row in unknown} == {"m9-standard-4"}


def test_what_changed_since_the_audit_before_is_said() -> None:
    result, files = audited(200)
    before = json.loads(files["report.json"])
    before |= {"at": "2026-11-26T00:00:00+00:00", "usd_month": f"{Decimal(before['usd_month']) - 100}"}
    gone = {"name": "acme/us-central1/removed", "usd_month": "50.00"}
    before["endpoints"] = [*before["endpoints"], gone]
    before["findings"] = [{"id": "settled1"}, *before["findings"][2:]]
    change = change_since(read_snapshot(json.dumps(before), "report.json"), result)
    assert change is not None
    assert usd(change.usd_month) == "$100.00"
    assert (change.found, change.settled) == (2, 1)
    assert change.endpoints == ((gone["name"], Decimal("-50.00")),)
    assert "+$100.00" in page(result, change)
    assert change_since(None, result) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"at": "yesterday"}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(SnapshotError, match=r"x\.json is not the JSON of a cost report"):
        read_snapshot(text, "x.json")


def test_the_actual_spend_stands_beside_the_audit_with_the_moment_until_which_it_is_billed() -> None:
    actual = Actual("2026-11", Decimal("401.5"), datetime(2026, 11, 25, 14, tzinfo=UTC))
    files = files_of(alone(), None, actual)
    assert "$401.50" in files["report.html"] and "until <i>2026-11-25</i> 14:00 UTC" in files["report.html"]
    assert json.loads(files["report.json"])["actual"]["billed_until"] == "2026-11-25T14:00:00+00:00"
