"""The price book: what a replica costs an hour, where that is from, and when it was looked at.

A dated table is shipped as data (``prices.json``). Another file of the same form is laid over it, entry by entry: prices of other regions,
spot prices, a contract's own. A machine without an entry has no price, which is never the price 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import PermanentError

SHIPPED = Path(__file__).parent / "prices.json"
SCHEMA = "prices/v1"
State = Literal["confirmed", "derived"]


class PriceError(PermanentError):
    """A file of prices that cannot be read as one."""


@dataclass(frozen=True)
class Part:
    """One figure of the book: a machine or one accelerator, in US dollars an hour."""

    what: str
    usd_hour: Decimal
    state: State
    """``confirmed`` by a price list, or ``derived`` by the formula in ``source``."""
    source: str
    dated: date
    vcpu: float = 0
    memory_gb: float = 0
    includes: str = ""
    """The accelerator that the machine cannot be had without."""
    includes_count: int = 0


@dataclass(frozen=True)
class Hardware:
    """What one replica stands on."""

    region: str
    machine: str
    accelerator: str = ""
    count: int = 0
    spot: bool = False

    def __str__(self) -> str:
        gpu = f" + {self.count} x {self.accelerator}" if self.accelerator else ""
        return f"{self.machine}{gpu}{' (spot)' if self.spot else ''}"


@dataclass(frozen=True)
class Price:
    """The price of one replica-hour, with its parts."""

    usd_hour: Decimal
    parts: tuple[Part, ...]

    @property
    def state(self) -> State:
        return "confirmed" if all(part.state == "confirmed" for part in self.parts) else "derived"


Key = tuple[str, str, bool]
"""Region, machine or accelerator, spot."""


@dataclass(frozen=True)
class PriceBook:
    """Every figure that is known."""

    machines: Mapping[Key, Part] = field(default_factory=dict)
    accelerators: Mapping[Key, Part] = field(default_factory=dict)

    def machine(self, region: str, machine: str, *, spot: bool = False) -> Part | None:
        return self.machines.get((region, machine, spot))

    def price(self, hardware: Hardware) -> Price | None:
        """What a replica costs an hour; None where one of its parts has no price."""
        machine = self.machine(hardware.region, hardware.machine, spot=hardware.spot)
        if machine is None:
            return None
        # A machine that cannot be had without its GPU is priced with it, whether the deployment names it or not.
        if not hardware.accelerator or hardware.accelerator == machine.includes:
            return Price(machine.usd_hour, (machine,))
        gpu = self.accelerators.get((hardware.region, hardware.accelerator, hardware.spot))
        if gpu is None:
            return None
        return Price(machine.usd_hour + hardware.count * gpu.usd_hour, (machine, *[gpu] * hardware.count))

    def over(self, other: PriceBook) -> PriceBook:
        """This book laid over another: entry by entry, this one's where it has any."""
        return PriceBook({**other.machines, **self.machines}, {**other.accelerators, **self.accelerators})

    @property
    def dated(self) -> tuple[date, date] | None:
        """The oldest and the newest date of its figures."""
        dates = [part.dated for part in (*self.machines.values(), *self.accelerators.values())]
        return (min(dates), max(dates)) if dates else None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Usd = Annotated[Decimal, Field(ge=0, le=10_000, max_digits=12)]


class _Figure(_Strict):
    usd_hour: Usd
    state: State = "confirmed"
    source: str = Field(min_length=1)
    spot: bool = False


class _Included(_Strict):
    type: str
    count: int = Field(ge=1)


class _Machine(_Figure):
    machine: str
    vcpu: float = Field(gt=0)
    memory_gb: float = Field(gt=0)
    includes: _Included | None = None


class _Accelerator(_Figure):
    accelerator: str


class _Region(_Strict):
    region: str
    machines: list[_Machine] = []
    accelerators: list[_Accelerator] = []


class PriceFile(_Strict):
    """A file of prices, as it is written; ``docs/prices.schema.json`` is its JSON Schema."""

    form: Literal["prices/v1"] = Field(alias="schema")
    dated: date
    regions: list[_Region]


def read_prices(text: str | bytes, source: str) -> PriceBook:
    """A file of prices as a book; everything that is wrong with it in one ``PriceError``."""
    try:
        parsed = PriceFile.model_validate(json.loads(text, parse_float=Decimal))
    except ValidationError as error:
        wrong = "; ".join(_place(one["loc"]) + one["msg"] for one in error.errors(include_url=False)[:10])
        raise PriceError(f"{source} is not a file of prices ({SCHEMA}): {wrong}") from None
    except ValueError as error:
        raise PriceError(f"{source} is not JSON: {error}") from None
    machines = {(r.region, m.machine, m.spot): _machine(m, parsed.dated) for r in parsed.regions for m in r.machines}
    gpus = {
        (r.region, a.accelerator, a.spot): Part(a.accelerator, a.usd_hour, a.state, a.source, parsed.dated)
        for r in parsed.regions
        for a in r.accelerators
    }
    return PriceBook(machines, gpus)


def prices_json_schema() -> dict[str, Any]:
    """The published schema."""
    schema = PriceFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A file of prices"}


@lru_cache(maxsize=1)
def shipped() -> PriceBook:
    """The table that comes with the code."""
    return read_prices(SHIPPED.read_bytes(), SHIPPED.name)


def book_from(paths: Iterable[Path], kept: PriceBook | None = None) -> PriceBook:
    """The shipped table with ``kept`` and then files laid over it, the last on top."""
    book = kept.over(shipped()) if kept else shipped()
    for path in paths:
        try:
            text = path.read_bytes()
        except OSError as error:
            raise PriceError(f"cannot read {path}: {error.strerror}") from None
        book = read_prices(text, str(path)).over(book)
    return book


def _machine(given: _Machine, dated: date) -> Part:
    included = given.includes
    return Part(
        given.machine,
        given.usd_hour,
        given.state,
        given.source,
        dated,
        given.vcpu,
        given.memory_gb,
        included.type if included else "",
        included.count if included else 0,
    )


def _place(path: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".") + ": "
