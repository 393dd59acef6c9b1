"""``rollouts costs``: what a fleet costs, what of it is waste, what would be cheaper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from rollouts_cli.commands.prices import Overrides
from rollouts_cli.console import AsJson, Part, reported, say, say_json, width
from rollouts_cli.layout import Column, Row, Table
from shared.costs.advice import Advice
from shared.costs.audit import Audit, audit
from shared.costs.fleet import Fleet
from shared.costs.fleet_file import read_fleet
from shared.costs.money import usd
from shared.costs.prices import book_from
from shared.costs.report.files import files_of
from shared.costs.report.page import headline, page
from shared.costs.report.snapshot import Change, change_since, read_snapshot
from shared.costs.report.twin import as_json as twin
from shared.costs.report.twin import costs_csv
from shared.errors import PermanentError

From = Annotated[
    Path | None, typer.Option("--from", help="A described fleet (docs/fleet.schema.json).", metavar="FLEET.json")
]
Before = Annotated[
    Path | None, typer.Option("--before", help="report.json of an earlier audit, to say what changed.", metavar="FILE")
]
Target = Annotated[
    float | None, typer.Option("--p95", help="Advise against this latency where an endpoint has no target.", min=1)
]
Html = Annotated[Path | None, typer.Option("--html", help="Write the report as one HTML file.", metavar="FILE")]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Write report.html, report.json, costs.csv, findings.csv.", metavar="FOLDER"),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="One row per deployed model, role and stage.")]
Every = Annotated[bool, typer.Option("--all", help="Every finding, with its arithmetic and its command.")]
FEW = 12

COLUMNS = (Column("SAVES/MONTH", style="bold"), Column("KIND", drop=2), Column("WHAT"), Column("SURE", drop=1))


def costs(
    source: From = None,
    overrides: Overrides = None,
    before: Before = None,
    p95: Target = None,
    every: Every = False,
    html: Html = None,
    out: Out = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Say what each endpoint, model and version costs, what of it looks like waste, and the command for each finding.

    Nothing is changed. What has no price, or was not measured, is said to be unknown and is in no sum.
    """
    with reported(as_json):
        if source is None:
            raise PermanentError("say which fleet: --from FLEET.json; docs/costs.md shows how to describe one")
        fleet = _aimed(read_fleet(_read(source), str(source)), p95)
        result = audit(fleet, book_from(overrides or ()))
        change = change_since(read_snapshot(_read(before), str(before)) if before else None, result)
        if html:
            _write(html, page(result, change))
        if out:
            for name, text in files_of(result, change).items():
                _write(out / name, text)
    if as_json:
        say_json(twin(result, change))
    elif as_csv:
        say(costs_csv(result).rstrip("\n"))
    else:
        _print(result, change, every)


def _aimed(fleet: Fleet, p95: float | None) -> Fleet:
    """Every endpoint without a target of its own gets this one."""
    if p95 is None:
        return fleet
    return replace(fleet, endpoints=tuple(replace(e, p95_target_ms=e.p95_target_ms or p95) for e in fleet.endpoints))


def _print(result: Audit, change: Change | None, every: bool) -> None:
    say((headline(result), "bold"))
    forecast = result.forecast
    say(
        f"{forecast.month}: {usd(forecast.spent)} so far, {usd(forecast.expected)} expected"
        f" ({usd(forecast.low)} to {usd(forecast.high)})"
    )
    if change:
        more = "+" if change.usd_month >= 0 else ""
        say(
            f"Since {change.since:%Y-%m-%d}: {more}{usd(change.usd_month)} a month,"
            f" {change.found} new findings, {change.settled} settled"
        )
    shown = result.findings if every else result.findings[:FEW]
    if shown:
        say()
        rows = [Row((_saving(f.saving, f.counted), f.kind, f.subject, f.confidence), f.sentence) for f in shown]
        for line in Table(COLUMNS, "FINDING", rows, wrap=True).lines(width()):
            say(*line)
    if every:
        for finding in shown:
            say()
            say((f"{finding.subject}: {finding.kind}", "bold"))
            for said in (finding.arithmetic, *finding.evidence, finding.command):
                say(f"  {said}")
    elif len(result.findings) > len(shown):
        say(f"... and {len(result.findings) - len(shown)} more; --all shows them with arithmetic and command")
    for line in (*_latency(result.advices), *_unknown(result, every)):
        say(line)


def _saving(saving: Decimal | None, counted: bool) -> Part:
    if counted:
        return usd(saving), "green"
    return (f"({usd(saving)})" if saving is not None and saving > 0 else usd(saving)), "dim"


def _latency(advices: tuple[Advice, ...]) -> Iterator[str]:
    for one in advices:
        if one.met:
            continue
        yield ""
        yield f"{one.subject}: 95th percentile up to {one.worst_ms:.0f} ms, target {one.target_ms:g} ms"
        for option in one.options:
            then = f"about {option.p95_ms:.0f} ms" if option.p95_ms is not None else "to be measured"
            yield f"  {option.kind}: {option.sentence}; {then}, {usd(option.usd_month)} a month more"
        if not one.options:
            yield "  nothing that is known here would help"


def _unknown(result: Audit, every: bool) -> Iterator[str]:
    if not result.unmeasured:
        return
    yield ""
    yield f"Not known, and in no sum: {len(result.unmeasured)}{'' if every else '; --all lists them'}"
    if every:
        for one in result.unmeasured:
            yield f"  {one.subject}: {one.lacking}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PermanentError(f"cannot read {path}: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PermanentError(f"cannot write {path}: {error.strerror}") from None
