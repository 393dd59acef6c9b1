"""``rollouts prices``: the price book, as the audit uses it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from rollouts_cli.author import author_or_refuse
from rollouts_cli.console import AsJson, printable, reported, say, say_json
from shared import clock
from shared.costs.money import MONTH, rate, usd
from shared.costs.prices import Part, PriceBook, book_from, read_prices, shipped
from shared.errors import PermanentError
from shared.wiring import store_from_env

Overrides = Annotated[
    list[Path] | None,
    typer.Option("--prices", help="A file laid over the shipped prices; may be given again.", metavar="FILE"),
]
Refresh = Annotated[
    bool,
    typer.Option(
        "--refresh", help="Ask the Cloud Billing Catalog, with your own credentials, and write a file to lay over."
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="Where --refresh writes that file.", metavar="FILE")]
Skus = Annotated[
    Path | None,
    typer.Option("--skus", help="Read the catalog's SKUs from a file instead of asking for them.", metavar="FILE"),
]
Keep = Annotated[
    bool,
    typer.Option(
        "--keep", help="Put the file of --prices into force: every function lays it over, until another one is kept."
    ),
]
Author = Annotated[str | None, typer.Option("--author", envvar="ROLLOUTS_AUTHOR", help="Who keeps it.", metavar="MAIL")]
Region = Annotated[str, typer.Option("--region", help="Only this region.", metavar="REGION")]


def prices(
    region: Region = "",
    overrides: Overrides = None,
    refresh: Refresh = False,
    out: Out = None,
    skus: Skus = None,
    keep: Keep = False,
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Print what a replica of each machine costs an hour and a month of 720 hours, and where the figure is from.

    A machine that is not listed has no price: the audit says so, and never counts it as 0.
    """
    with reported(as_json):
        if refresh or out or skus:
            _refresh(refresh, region, out, skus, as_json)
            return
        book = book_from(overrides or ())
        if keep:
            _keep(overrides or [], author)
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


def _refresh(refresh: bool, region: str, out: Path | None, skus: Path | None, as_json: bool) -> None:
    """The catalog's prices into a file."""
    from shared.costs.actual import SERVICE
    from shared.costs.catalog import prices_from
    from shared.price_catalog import BillingCatalog

    if not refresh or out is None:
        raise PermanentError(
            "prices are refreshed with --refresh --out FILE; --skus FILE reads them from a file of SKUs"
        )
    known = shipped()
    regions = {region} if region else {key[0] for key in known.machines}
    found = prices_from(
        _read_skus(skus) if skus else BillingCatalog().skus(SERVICE), known, regions, clock.now().date()
    )
    if not found.priced:
        raise PermanentError(
            f"the catalog has no price of prediction in {', '.join(sorted(regions))}; nothing is written"
        )
    text = json.dumps(found.file, indent=1) + "\n"
    read_prices(text, "the catalog's prices")  # what could not be read again is not written
    try:
        out.write_text(text)
    except OSError as error:
        raise PermanentError(f"cannot write {out}: {error.strerror}") from None
    if as_json:
        say_json({"file": str(out), "priced": found.priced, "without_price": list(found.without)})
        return
    say(f"{found.priced} prices of {', '.join(sorted(regions))} in {out}; lay them over with --prices {out}")
    for what in found.without:
        say("no price in the catalog: ", printable(what))


def _keep(files: Sequence[Path], author: str | None) -> None:
    """What was read without a mistake, into the store."""
    if len(files) != 1:
        raise PermanentError("name the one file that is to be in force: --prices FILE --keep")
    with closing(store_from_env()) as store:
        store.prices.put(files[0].read_text(), author_or_refuse(author))


def _read_skus(path: Path) -> list[Mapping[str, Any]]:
    """``{"skus": [...]}``, as the catalog answers; or a list of such pages."""
    try:
        found = json.loads(path.read_bytes())
        pages = found if isinstance(found, list) else [found]
        return [dict(sku) for page in pages for sku in page["skus"]]
    except OSError as error:
        raise PermanentError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise PermanentError(f'{path} has no SKUs; expected {{"skus": [...]}} as the catalog answers') from None


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
