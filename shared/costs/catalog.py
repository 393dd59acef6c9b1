"""Prices from the SKUs of the Cloud Billing Catalog, as a file of prices that is laid over the shipped ones.

The catalog has no machines: it has cores, gigabytes and accelerators of a family of machines, told apart by their description alone
(``Vertex AI: Online/Batch Prediction N1 Predefined Instance Core running in Americas``). So a description is taken only as a whole: one with
another word in it (a management fee, a commitment, a reservation) is another product. A machine of which one part is missing, is
found at two prices or has a price by quantity gets none: it stays as unknown as it was.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.costs.actual import PREDICTION
from shared.costs.prices import SCHEMA, Part, PriceBook
from shared.events.wire import Moment, Theirs, read_as

_MACHINE = re.compile(
    r"(?P<spot>Spot Preemptible |Spot |Preemptible )?(?P<family>.+?) Instance (?P<part>Core|Ram) running in [^,]+"
)
_GPU = re.compile(r"(?P<spot>Spot Preemptible |Spot |Preemptible )?Nvidia (?P<gpu>.+?) GPU running in [^,]+")
_FAMILIES = {"n1": "n1 predefined"}
"""What SKUs call a family of machines, where it is not the first part of the machine's name."""
_GPUS = {
    "NVIDIA_TESLA_T4": "tesla t4",
    "NVIDIA_TESLA_P4": "tesla p4",
    "NVIDIA_TESLA_P100": "tesla p100",
    "NVIDIA_TESLA_V100": "tesla v100",
    "NVIDIA_TESLA_A100": "tesla a100",
    "NVIDIA_A100_80GB": "a100 80gb",
    "NVIDIA_L4": "l4",
}
_UNITS = {"Core": "h", "Ram": "GiBy.h", "GPU": "h"}
_USAGE = {"OnDemand": False, "Preemptible": True}
"""Kinds of usage, and whether they are spot."""

Kind = Literal["Core", "Ram", "GPU"]
Key = tuple[str, str, Kind, bool]
"""Region, family or accelerator, what of it, spot."""


@dataclass(frozen=True)
class Rate:
    """One part's price."""

    sku: str
    usd: Decimal | None
    """An hour of a core, of a gigabyte (2^30 bytes), of an accelerator; None where it has no one price by the hour."""


@dataclass(frozen=True)
class Catalogued:
    """What the catalog says."""

    file: dict[str, Any]
    """A file of prices (``prices/v1``)."""
    priced: int
    without: tuple[str, ...]
    """What the shipped book has, and the catalog gives no price for, with the reason."""


class _Money(Theirs):
    currency: Annotated[str, Field(alias="currencyCode")] = ""
    units: int = 0
    nanos: int = 0


class _Tier(Theirs):
    begins: Annotated[Decimal, Field(alias="startUsageAmount")] = Decimal(0)
    price: Annotated[_Money, Field(alias="unitPrice")] = _Money()


class _Expression(Theirs):
    unit: Annotated[str, Field(alias="usageUnit")]
    tiers: Annotated[tuple[_Tier, ...], Field(alias="tieredRates")] = ()


class _Pricing(Theirs):
    since: Annotated[Moment | None, Field(alias="effectiveTime")] = None
    expression: Annotated[_Expression, Field(alias="pricingExpression")]


class _Category(Theirs):
    usage: Annotated[str, Field(alias="usageType")] = "OnDemand"


class _Sku(Theirs):
    id: Annotated[str, Field(alias="skuId")]
    description: str
    category: _Category = _Category()
    regions: Annotated[tuple[str, ...], Field(alias="serviceRegions")] = ()
    pricing: Annotated[tuple[_Pricing, ...], Field(alias="pricingInfo")] = ()


def prices_from(
    skus: Iterable[Mapping[str, Any]], known: PriceBook, regions: Collection[str], today: date
) -> Catalogued:
    """Of the machines and accelerators that ``known`` has in any region, in these regions."""
    rates = _rates(skus, regions)
    machines = {part.what: part for part in known.machines.values()}
    gpus = sorted({part.what for part in known.accelerators.values()})
    found, without = [], []
    for region in sorted(regions):
        priced: dict[str, list[dict[str, Any]]] = {"machines": [], "accelerators": []}
        for spot in (False, True):
            for name in sorted(machines, key=_order):
                needs = _needs(machines[name], region, spot)
                entry = _entry(needs, rates, spot, today)
                if isinstance(entry, dict):
                    priced["machines"].append(_size(machines[name]) | entry)
                elif not spot:
                    without.append(f"{region} {name}: {entry}")
            for name in gpus:
                entry = _entry([(Decimal(1), _gpu_key(region, name, spot))], rates, spot, today)
                if isinstance(entry, dict):
                    priced["accelerators"].append({"accelerator": name} | entry)
                elif not spot:
                    without.append(f"{region} {name}: {entry}")
        if any(priced.values()):
            found.append({"region": region, **priced})
    file = {"schema": SCHEMA, "dated": today.isoformat(), "regions": found}
    return Catalogued(file, sum(len(r["machines"]) + len(r["accelerators"]) for r in found), tuple(without))


def _rates(skus: Iterable[Mapping[str, Any]], regions: Collection[str]) -> dict[Key, set[Rate]]:
    rates: dict[Key, set[Rate]] = defaultdict(set)
    for one in skus:
        if not str(one.get("description", "")).startswith(PREDICTION):
            continue
        sku = read_as(_Sku, dict(one), "a SKU of the catalog")
        for name, kind, spot in _meaning(sku):
            rate = Rate(sku.id, _price(sku, _UNITS[kind]))
            for region in set(sku.regions) & set(regions):
                rates[region, name, kind, spot].add(rate)
    return rates


def _meaning(sku: _Sku) -> Iterator[tuple[str, Kind, bool]]:
    """What a description that is understood as a whole says."""
    words = sku.description.removeprefix(PREDICTION)
    if sku.category.usage not in _USAGE:
        return
    if gpu := _GPU.fullmatch(words):
        yield gpu["gpu"].lower(), "GPU", bool(gpu["spot"]) or _USAGE[sku.category.usage]
    elif machine := _MACHINE.fullmatch(words):
        part: Kind = "Core" if machine["part"] == "Core" else "Ram"
        yield machine["family"].lower(), part, bool(machine["spot"]) or _USAGE[sku.category.usage]


def _price(sku: _Sku, unit: str) -> Decimal | None:
    """US dollars per unit, by the newest pricing; None where it depends on the quantity, or is in another unit or currency."""
    if not sku.pricing:
        return None
    newest = max(sku.pricing, key=lambda p: p.since.timestamp() if p.since else 0).expression
    if newest.unit != unit or len(newest.tiers) != 1 or newest.tiers[0].begins:
        return None
    money = newest.tiers[0].price
    usd = money.units + Decimal(money.nanos).scaleb(-9)
    return usd if money.currency == "USD" and usd > 0 else None


def _needs(machine: Part, region: str, spot: bool) -> list[tuple[Decimal, Key]]:
    family = machine.what.partition("-")[0]
    family = _FAMILIES.get(family, family)
    needs: list[tuple[Decimal, Key]] = [
        (Decimal(str(machine.vcpu)), (region, family, "Core", spot)),
        (Decimal(str(machine.memory_gb)), (region, family, "Ram", spot)),
    ]
    if machine.includes:
        needs.append((Decimal(machine.includes_count), _gpu_key(region, machine.includes, spot)))
    return needs


def _gpu_key(region: str, name: str, spot: bool) -> Key:
    return region, _GPUS.get(name, name.lower()), "GPU", spot


def _entry(
    needs: Iterable[tuple[Decimal, Key]], rates: Mapping[Key, set[Rate]], spot: bool, today: date
) -> dict[str, Any] | str:
    """The price of the sum, or why there is none."""
    total, skus = Decimal(0), []
    for number, key in needs:
        what = f"{key[1]} {key[2]}" if key[2] != "GPU" else f"{key[1]} GPU"
        found = rates.get(key, set())
        if not found:
            return f"no SKU for {what}"
        prices = {rate.usd for rate in found}
        if len(prices) > 1:
            return f"{len(found)} SKUs with different prices for {what}"
        price = prices.pop()
        if price is None:
            return f"the price of {what} is none by the hour in US dollars"
        total += number * price
        skus.append(f"{number.normalize():f} x {price:f} (SKU {min(found, key=lambda r: r.sku).sku})")
    source = f"Cloud Billing Catalog, {today}: {' + '.join(skus)}"
    usd = total.quantize(Decimal("1e-9")).normalize()
    return {"usd_hour": f"{usd:f}", "state": "confirmed", "source": source} | ({"spot": True} if spot else {})


def _size(machine: Part) -> dict[str, Any]:
    included = {"includes": {"type": machine.includes, "count": machine.includes_count}} if machine.includes else {}
    return {"machine": machine.what, "vcpu": machine.vcpu, "memory_gb": machine.memory_gb, **included}


def _order(name: str) -> tuple[str, int]:
    family, _, size = name.rpartition("-")
    return family, int("".join(c for c in size if c.isdigit()) or 0)
