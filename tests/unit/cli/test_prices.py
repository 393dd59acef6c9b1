"""``rollouts prices``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from local.billing_catalog import BillingCatalog
from shared.costs.actual import SERVICE
from shared.wiring import store_from_env
from tests.unit.cli.conftest import Rollouts

SKUS = Path(__file__).parents[2] / "data" / "billing" / "skus.json"


def test_the_table_has_machine_size_gpu_hour_and_month(rollouts: Rollouts) -> None:
    ran = rollouts("prices", "--region", "us-central1")
    assert (ran.code, ran.err) == (0, "")
    rows = {line.split()[1]: line.split() for line in ran.out.splitlines() if line.startswith("us-central1")}
    assert rows["n1-standard-4"][2:] == ["4", "15", "0.21850", "157.32", "confirmed,", "2026-11-26"]
    assert rows["g2-standard-4"][4:8] == ["1", "x", "NVIDIA_L4", "0.81293"]
    assert "1 x NVIDIA_TESLA_T4" in ran.out


def test_the_twin_names_the_source_of_every_figure(rollouts: Rollouts) -> None:
    ran = rollouts("prices", "--json")
    found = json.loads(ran.out)["prices"]
    assert all(row["source"] and row["state"] in ("confirmed", "derived") for row in found)


def test_a_region_without_prices_and_a_file_that_is_missing_say_what_to_do(rollouts: Rollouts) -> None:
    ran = rollouts("prices", "--region", "mars-north1")
    assert (ran.code, "--prices FILE" in ran.out) == (0, True)
    ran = rollouts("prices", "--prices", "none.json")
    assert (ran.code, ran.err) == (1, "error: cannot read none.json: No such file or directory\n")


@pytest.fixture
def catalog() -> Iterator[BillingCatalog]:
    with BillingCatalog(SERVICE, json.loads(SKUS.read_text())["skus"], page=7) as served:
        yield served


def test_a_refresh_writes_what_the_catalog_says_as_a_file_to_lay_over(
    rollouts: Rollouts, catalog: BillingCatalog, tmp_path: Path
) -> None:
    out = tmp_path / "catalog.json"
    ran = rollouts("prices", "--refresh", "--out", out, BILLING_EMULATOR_HOST=catalog.url)
    assert (ran.code, ran.err) == (0, "")
    assert f"prices of us-central1 in {out}; lay them over with --prices {out}\n" in ran.out
    assert "no price in the catalog: us-central1 e2-standard-4: 2 SKUs with different prices for e2 Core\n" in ran.out
    assert [a.get("pageToken", "") for a in catalog.asked] == ["", "7", "14", "21"]
    assert {(a["currencyCode"], a["pageSize"]) for a in catalog.asked} == {("USD", "5000")}
    laid = rollouts("prices", "--prices", str(out), "--json")
    rows = {(r["machine"], r["spot"]): r for r in json.loads(laid.out)["prices"]}
    assert rows["n1-standard-4", False]["source"].startswith("Cloud Billing Catalog, ")
    assert rows["n1-standard-4", False]["usd_month"] == "157.32"
    assert rows["n2-standard-4", False]["state"] == "derived"


def test_skus_of_a_file_need_no_credentials(rollouts: Rollouts, tmp_path: Path) -> None:
    out = tmp_path / "emea.json"
    ran = rollouts("prices", "--refresh", "--skus", str(SKUS), "--region", "europe-west1", "--out", str(out), "--json")
    told = json.loads(ran.out)
    assert (ran.code, told["file"], told["priced"]) == (0, str(out), 16)
    assert "europe-west1" in rollouts("prices", "--prices", str(out), "--region", "europe-west1").out


def test_a_file_is_put_into_force(rollouts: Rollouts, tmp_path: Path) -> None:
    out = tmp_path / "catalog.json"
    rollouts("prices", "--refresh", "--skus", SKUS, "--out", out)
    assert "name the one file" in rollouts("prices", "--keep").err
    assert "nobody is named as the author" in rollouts("prices", "--prices", out, "--keep").err
    assert rollouts("prices", "--prices", out, "--keep", "--author", "ml@example.com").code == 0
    with closing(store_from_env({"STORE_PATH": str(tmp_path / "store.db")})) as store:
        assert store.prices.text() == out.read_text()


def test_what_cannot_be_refreshed_is_said_and_nothing_is_written(
    rollouts: Rollouts, catalog: BillingCatalog, tmp_path: Path
) -> None:
    out = tmp_path / "x.json"
    assert "--refresh --out FILE" in rollouts("prices", "--refresh").err
    catalog.answers = [503]
    ran = rollouts("prices", "--refresh", "--out", out, BILLING_EMULATOR_HOST=catalog.url)
    assert (ran.code, "answers 503; try again" in ran.err) == (2, True)
    catalog.answers = [403]
    ran = rollouts("prices", "--refresh", "--out", out, BILLING_EMULATOR_HOST=catalog.url)
    assert (ran.code, "is cloudbilling.googleapis.com enabled" in ran.err) == (1, True)
    ran = rollouts("prices", "--refresh", "--skus", SKUS, "--out", out, "--region", "mars-north1")
    assert (ran.code, "nothing is written" in ran.err) == (1, True)
    (tmp_path / "no.json").write_text("[1]")
    ran = rollouts("prices", "--refresh", "--out", str(out), "--skus", str(tmp_path / "no.json"))
    assert "has no SKUs" in ran.err
    assert not out.exists()
