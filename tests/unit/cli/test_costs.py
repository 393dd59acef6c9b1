"""``rollouts costs --from``."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from pathlib import Path

from shared.store.audits import StoredAudit
from shared.store.sqlite import SQLiteDocuments
from shared.store.store import Store
from tests.unit.cli.conftest import Rollouts

ROOT = Path(__file__).parents[3]
FLEET = ROOT / "docs" / "costs" / "fleet.json"


def test_costs_are_a_sentence_a_table_and_what_is_not_known(rollouts: Rollouts) -> None:
    ran = rollouts("costs", "--from", FLEET)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[:2] == [
        "$8,702.51 a month on 14 endpoints; $2,965.41 of it could be saved (34 %); what 1 deployed model cost is not known",
        "2026-11: $7,030.01 so far, $8,190.35 expected ($7,955.04 to $8,211.03)",
    ]
    assert lines[3].split() == ["SAVES/MONTH", "KIND", "WHAT", "SURE", "FINDING"]
    assert lines[4].startswith("$894.24      standby_expired ")
    assert "Not known, and in no sum: 2; --all lists them" in lines
    assert "  machine: n1-standard-4 instead of n1-standard-2; about 96 ms, $142.90 a month more" in lines


def test_all_shows_the_arithmetic_and_the_command_of_each_finding(rollouts: Rollouts) -> None:
    ran = rollouts("costs", "--from", FLEET, "--all")
    assert "  1,440 replica-hours less in 720 h x $0.21850 = $314.64, a month of 720 h $314.64" in ran.out
    command = "gcloud ai endpoints undeploy-model legacy-recs --project=acme-ml --region=us-central1"
    assert f"  {command} --deployed-model-id=5100000005" in ran.out
    assert "  demand@8 on forecast-eu: no price of c3-standard-8 in us-central1 is known" in ran.out


def test_the_files_of_the_report_are_written_and_the_next_one_says_what_changed(
    rollouts: Rollouts, tmp_path: Path
) -> None:
    out = tmp_path / "reports" / "today"
    assert rollouts("costs", "--from", FLEET, "--out", out).code == 0
    assert sorted(path.name for path in out.iterdir()) == ["costs.csv", "findings.csv", "report.html", "report.json"]
    again = rollouts("costs", "--from", FLEET, "--before", out / "report.json", "--html", tmp_path / "one.html")
    assert "Since 2026-11-27: +$0.00 a month, 0 new findings, 0 settled" in again.out
    assert again.out.splitlines()[-1].endswith("one.html: the whole report, for a browser")
    assert "Changed since" not in (tmp_path / "one.html").read_text()
    twin = rollouts("costs", "--from", FLEET, "--json")
    assert json.loads(twin.out) == json.loads((out / "report.json").read_text())
    rows = list(csv.DictReader(io.StringIO(rollouts("costs", "--from", FLEET, "--csv").out)))
    assert rows == list(csv.DictReader(io.StringIO((out / "costs.csv").read_text())))


def test_a_target_of_ones_own_is_advised_about_where_an_endpoint_has_none(rollouts: Rollouts, tmp_path: Path) -> None:
    fleet = json.loads(FLEET.read_text())
    del next(one for one in fleet["endpoints"] if one["id"] == "churn")["p95_target_ms"]
    (tmp_path / "fleet.json").write_text(json.dumps(fleet))
    ran = rollouts("costs", "--from", "fleet.json", "--p95", 30, "--json")
    targets = {one["subject"].partition("@")[0]: one["target_ms"] for one in json.loads(ran.out)["latency"]}
    assert (targets["churn-tabular"], targets["search-ranking"]) == (30.0, 80.0)


def test_what_cannot_be_read_or_written_is_one_sentence(rollouts: Rollouts, tmp_path: Path) -> None:
    assert rollouts("costs", "--from", "none.json").err == "error: cannot read none.json: No such file or directory\n"
    bad = tmp_path / "bad.json"
    bad.write_text('{"schema": "fleet/v1"}')
    ran = rollouts("costs", "--from", bad)
    assert ran.code == 1 and "is not a described fleet (fleet/v1): start: Field required" in ran.err


def test_without_a_fleet_it_is_the_last_audit_of_the_store(rollouts: Rollouts, tmp_path: Path) -> None:
    assert "there is no store at" in rollouts("costs").err
    with closing(Store(SQLiteDocuments(str(tmp_path / "store.db")))) as store:
        store.policies()
    assert "there is no audit in the store yet; make one with --now" in rollouts("costs").err
    twin = json.loads(rollouts("costs", "--from", FLEET, "--json").out)
    with closing(Store(SQLiteDocuments(str(tmp_path / "store.db")))) as store:
        store.audits.put(StoredAudit(twin, {}))
    shown = rollouts("costs").out.splitlines()
    assert shown[0] == "Audited until 2026-11-27 00:00 UTC"
    assert shown[1:] == rollouts("costs", "--from", FLEET).out.splitlines()
    assert json.loads(rollouts("costs", "--json").out) == twin
    assert "say of which fleet: --from FLEET.json, or --now" in rollouts("costs", "--csv").err
