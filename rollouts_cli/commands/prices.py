"""``rollouts prices``: the price book, as the audit uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rollouts_cli.console import AsJson, reported, say, say_json
from shared.costs.money import MONTH, rate, usd
from shared.costs.prices import Part, PriceBook, book_from

Overrides = Annotated[
    list[Path] | None,
    typer.Option("--prices", help="A file laid over the shipped prices; may be given again.", metavar="FILE"),
]
Region = Annotated[str, typer.Option("--region", help="Only this region.", metavar="REGION")]


def prices(region: Region = "", overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Print what a replica of each machine costs an hour and a month of 720 hours, and where the figure is from.

    A machine that is not listed has no price: the audit says so, and never counts it as 0.
    """
    with reported(as_json):
        book = book_from(overrides or ())
    rows = [row for row in _rows(book) if region in ("", row["region"])]
    if as_json:
        say_json({"currency": "USD", "month_hours": int(MONTH), "prices": rows})
        return
    if not rows:
        say(f"no price of region {region} is known; lay a file over the shipped ones with --prices FILE")
        return
    say(f"{'REGION':<14}{'MACHINE':<20}{'vCPU':>5}{'GB':>7}  {'GPU':<22}{'$/HOUR':>10}{'$/720 h':>12}  FIGURE")
    for row in rows:
        memory = f"{row['memory_gb']:g}" if row["memory_gb"] else ""
        cores = f"{row['vcpu']:g}" if row["vcpu"] else ""
        name = row["machine"] + (" (spot)" if row["spot"] else "")
        say(
            f"{row['region']:<14}{name:<20}{cores:>5}{memory:>7}  {row['gpu']:<22}{row['usd_hour']:>10}"
            f"{row['usd_month']:>12}  {row['state']}, {row['dated']}"
        )
    dated = book.dated
    say()
    if dated:
        say(f"Figures of {dated[0]} to {dated[1]}. A derived one follows a formula; --json names each source.")


def _rows(book: PriceBook) -> list[dict[str, Any]]:
    machines = [_row(key, part, _gpu(part)) for key, part in sorted(book.machines.items(), key=_order)]
    gpus = [_row(key, part, f"1 x {part.what}", machine="") for key, part in sorted(book.accelerators.items())]
    return machines + gpus


def _row(key: tuple[str, str, bool], part: Part, gpu: str, machine: str | None = None) -> dict[str, Any]:
    return {
        "region": key[0],
        "machine": part.what if machine is None else machine,
        "spot": key[2],
        "vcpu": part.vcpu or None,
        "memory_gb": part.memory_gb or None,
        "gpu": gpu,
        "usd_hour": rate(part.usd_hour).removeprefix("$"),
        "usd_month": usd(part.usd_hour * MONTH).removeprefix("$").replace(",", ""),
        "state": part.state,
        "dated": part.dated.isoformat(),
        "source": part.source,
    }


def _gpu(part: Part) -> str:
    return f"{part.includes_count} x {part.includes}" if part.includes else ""


def _order(entry: tuple[tuple[str, str, bool], Part]) -> tuple[str, str, float, bool]:
    (region, machine, spot), part = entry
    return region, machine.rpartition("-")[0], part.vcpu, spot
