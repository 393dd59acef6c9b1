"""The price book: what is known, what is not, and what is laid over it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from shared.costs.money import MONTH, cents, usd
from shared.costs.prices import Hardware, PriceError, book_from, read_prices, shipped

REGION = "us-central1"


def hourly(machine: str, accelerator: str = "", count: int = 0, **more: bool) -> Decimal | None:
    price = shipped().price(Hardware(REGION, machine, accelerator, count, **more))
    return price.usd_hour if price else None


def test_three_n1_standard_4_for_a_month_of_720_hours_are_471_96() -> None:
    price = hourly("n1-standard-4")
    assert price == Decimal("0.21850")
    assert usd(3 * MONTH * price) == "$471.96"
    assert usd(3 * MONTH * Decimal("0.219")) == "$473.04"


@pytest.mark.parametrize(
    ("machine", "accelerator", "count", "expected"),
    [
        ("n1-standard-4", "NVIDIA_TESLA_T4", 1, "0.62100"),
        ("n1-standard-4", "NVIDIA_TESLA_T4", 2, "1.02350"),
        ("g2-standard-4", "", 0, "0.81293"),
        ("g2-standard-4", "NVIDIA_L4", 1, "0.81293"),
        ("a2-highgpu-2g", "NVIDIA_TESLA_A100", 2, "8.44880"),
        ("n1-highcpu-16", "", 0, "0.65181"),
    ],
)
def test_a_replica_costs_its_machine_and_what_is_attached(
    machine: str, accelerator: str, count: int, expected: str
) -> None:
    assert hourly(machine, accelerator, count) == Decimal(expected)


@pytest.mark.parametrize(
    "hardware",
    [
        Hardware(REGION, "m9-large"),
        Hardware("europe-west9", "n1-standard-4"),
        Hardware(REGION, "n1-standard-4", "NVIDIA_H100_80GB", 1),
        Hardware(REGION, "n1-standard-4", spot=True),
    ],
)
def test_what_is_not_in_the_book_has_no_price_and_is_never_0(hardware: Hardware) -> None:
    assert shipped().price(hardware) is None
    assert usd(None) == "unknown"


def test_every_figure_says_whether_it_is_confirmed_and_where_it_is_from() -> None:
    parts = [*shipped().machines.values(), *shipped().accelerators.values()]
    assert len(parts) > 30
    assert all(part.source and part.usd_hour > 0 for part in parts)
    confirmed = {part.what for part in parts if part.state == "confirmed"}
    assert confirmed == {"n1-standard-4", "g2-standard-4"}
    price = shipped().price(Hardware(REGION, "n1-standard-4", "NVIDIA_TESLA_T4", 1))
    assert price is not None and price.state == "derived"


def _file(machine: str, price: str, **more: object) -> dict[str, object]:
    entry = {"machine": machine, "vcpu": 4, "memory_gb": 15, "usd_hour": price, "source": "our contract", **more}
    return {"schema": "prices/v1", "dated": "2026-12-01", "regions": [{"region": REGION, "machines": [entry]}]}


def test_a_file_is_laid_over_the_shipped_prices_entry_by_entry(tmp_path: Path) -> None:
    ours = tmp_path / "ours.json"
    ours.write_text(json.dumps(_file("n1-standard-4", "0.2")))
    spot = tmp_path / "spot.json"
    spot.write_text(json.dumps(_file("n1-standard-4", "0.05", spot=True)))
    book = book_from([ours, spot])
    found = {
        "plain": book.price(Hardware(REGION, "n1-standard-4")),
        "spot": book.price(Hardware(REGION, "n1-standard-4", spot=True)),
        "other": book.price(Hardware(REGION, "n1-standard-8")),
    }
    assert {name: price and price.usd_hour for name, price in found.items()} == {
        "plain": Decimal("0.2"),
        "spot": Decimal("0.05"),
        "other": Decimal("0.43700"),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "x.json is not JSON"),
        (json.dumps(_file("n1-standard-4", "-1")), "regions[0].machines[0].usd_hour: Input should be greater"),
        (json.dumps(_file("n1-standard-4", "1", sopt=True)), "machines[0].sopt: Extra inputs are not permitted"),
        ("[]", "x.json is not a file of prices (prices/v1)"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(PriceError, match=r"x\.json") as error:
        read_prices(text, "x.json")
    assert said in str(error.value)


def test_halves_of_a_cent_are_rounded_up_as_on_a_bill() -> None:
    assert [str(cents(Decimal(value))) for value in ("0.005", "2.675", "1.004")] == ["0.01", "2.68", "1.00"]
    assert usd(Decimal("-1234.5")) == "-$1,234.50"
