"""Prices from recorded SKUs: what is understood as a whole is a price, everything else stays unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shared.costs.catalog import Catalogued, prices_from
from shared.costs.money import MONTH
from shared.costs.prices import Hardware, PriceBook, read_prices, shipped

SKUS = json.loads((Path(__file__).parents[2] / "data" / "billing" / "skus.json").read_text())["skus"]
TODAY = date(2026, 11, 28)


def catalogued(*regions: str, skus: list[Mapping[str, Any]] = SKUS) -> Catalogued:
    return prices_from(skus, shipped(), regions or ("us-central1",), TODAY)


def book(found: Catalogued) -> PriceBook:
    return read_prices(json.dumps(found.file), "the catalog")


def hour(of: PriceBook, region: str, machine: str, gpu: str = "", *, spot: bool = False) -> Decimal | None:
    price = of.price(Hardware(region, machine, gpu, 1 if gpu else 0, spot))
    return price.usd_hour if price else None


def test_a_machine_is_its_cores_and_its_gigabytes() -> None:
    found = book(catalogued())
    assert hour(found, "us-central1", "n1-standard-4") == Decimal("0.21849885"), "4 x 0.03635265 + 15 x 0.00487255"
    assert round(3 * MONTH * Decimal("0.21849885"), 2) == Decimal("471.96")
    part = found.machine("us-central1", "n1-standard-4")
    assert part is not None
    assert (part.state, part.dated) == ("confirmed", TODAY)
    assert part.source == (
        "Cloud Billing Catalog, 2026-11-28: 4 x 0.036352650 (SKU N1CO-0000-0001) + 15 x 0.004872550 (SKU N1RA-0000-0001)"
    )


def test_the_shipped_formula_is_what_the_catalog_says() -> None:
    """The book has Compute Engine's parts times 1.15, rounded."""
    found = book(catalogued())
    for (region, machine, spot), part in found.machines.items():
        if not spot and machine.startswith("n1-"):
            ours = shipped().machine(region, machine)
            assert ours is not None
            assert round(part.usd_hour, 5) == pytest.approx(ours.usd_hour, abs=Decimal("0.00001"))


def test_other_regions_and_spot_machines_get_what_is_not_shipped() -> None:
    found = book(catalogued("europe-west1", "us-central1"))
    assert hour(found, "europe-west1", "n1-standard-4") == Decimal("0.24035805")
    assert hour(found, "europe-west1", "e2-standard-2") == Decimal("0.084772774")
    assert hour(found, "us-central1", "n1-standard-2", spot=True) == Decimal("0.027")
    assert hour(found, "us-central1", "n1-standard-4", "NVIDIA_TESLA_T4") == Decimal("0.62099885")


def test_what_is_not_understood_as_a_whole_stays_unknown() -> None:
    found = catalogued()
    unknown = dict(one.split(": ", 1) for one in found.without)
    assert unknown["us-central1 e2-standard-4"] == "2 SKUs with different prices for e2 Core"
    assert unknown["us-central1 n2-standard-4"] == "no SKU for n2 Core"
    assert unknown["us-central1 g2-standard-4"] == "the price of l4 GPU is none by the hour in US dollars"
    assert unknown["us-central1 a2-highgpu-1g"] == "no SKU for a2 Core"
    assert unknown["us-central1 NVIDIA_TESLA_P4"] == "the price of tesla p4 GPU is none by the hour in US dollars"
    assert hour(book(found), "us-central1", "e2-standard-4") is None
    assert not any(part.usd_hour == 0 for part in (*book(found).machines.values(), *book(found).accelerators.values()))


def test_a_machine_that_comes_with_its_accelerator_is_priced_with_it() -> None:
    l4 = next(s for s in SKUS if s["skuId"] == "L400-0000-0001")
    expression = l4["pricingInfo"][0]["pricingExpression"]
    plain = json.loads(json.dumps(l4))
    plain["pricingInfo"][0]["pricingExpression"]["tieredRates"] = [
        {"startUsageAmount": 0, "unitPrice": expression["tieredRates"][1]["unitPrice"]}
    ]
    found = book(catalogued(skus=[s for s in SKUS if s is not l4] + [plain]))
    assert hour(found, "us-central1", "g2-standard-4") == Decimal("0.8048"), "4 x 0.028 + 16 x 0.0033 + 0.64"


@pytest.mark.parametrize(
    "spoilt",
    [{"usageUnit": "mo"}, {"tieredRates": []}, {"tieredRates": [{"unitPrice": {"currencyCode": "EUR", "nanos": 1}}]}],
)
def test_another_unit_or_currency_is_no_price(spoilt: dict[str, Any]) -> None:
    core = json.loads(json.dumps(SKUS[0]))
    core["pricingInfo"] = core["pricingInfo"][1:]
    core["pricingInfo"][0]["pricingExpression"] |= spoilt
    assert hour(book(catalogued(skus=[core, *SKUS[1:]])), "us-central1", "n1-standard-4") is None


def test_laid_over_the_shipped_prices_it_wins_where_it_has_one() -> None:
    both = book(catalogued()).over(shipped())
    assert hour(both, "us-central1", "n1-standard-4") == Decimal("0.21849885")
    assert hour(both, "us-central1", "n2-standard-4") == Decimal("0.22337")
