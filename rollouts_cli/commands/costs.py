"""``rollouts costs``: what a fleet costs, what of it is waste, what would be cheaper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from rollouts_cli.commands.prices import Overrides
from rollouts_cli.console import AsJson, Part, reported, say, say_json, width
from rollouts_cli.layout import Column, Row, Table
from rollouts_cli.lookup import opened_store
from shared.costs.actual import Actual
from shared.costs.audit import audit
from shared.costs.fleet import Fleet
from shared.costs.fleet_file import read_fleet
from shared.costs.money import usd
from shared.costs.prices import PriceBook, book_from
from shared.costs.report.files import files_of
from shared.costs.report.page import page
from shared.costs.report.snapshot import change_since, read_snapshot
from shared.costs.report.twin import as_json as twin
from shared.costs.report.twin import costs_csv
from shared.errors import PermanentError

From = Annotated[
    Path | None, typer.Option("--from", help="A described fleet (docs/fleet.schema.json).", metavar="FLEET.json")
]
Now = Annotated[bool, typer.Option("--now", help="Audit what is deployed at this moment, with your own credentials.")]
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
    now: Now = False,
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

    Without options it is what audit_costs has found last; of a described fleet with --from, of what is deployed with --now.
    Nothing is changed. What has no price, or was not measured, is said to be unknown and is in no sum.
    """
    with reported(as_json):
        if source is None and not now:
            _last(as_json, every, (html, out, before, p95, as_csv, overrides))
            return
        fleet, kept, actual = (read_fleet(_read(source), str(source)), None, None) if source else _seen()
        result = audit(_aimed(fleet, p95), book_from(overrides or (), kept))
        change = change_since(read_snapshot(_read(before), str(before)) if before else None, result)
        if html:
            _write(html, page(result, change, actual))
        if out:
            for name, text in files_of(result, change, actual).items():
                _write(out / name, text)
    if as_json:
        say_json(twin(result, change, actual))
    elif as_csv:
        say(costs_csv(result).rstrip("\n"))
    else:
        _print(twin(result, change, actual), every)
        for written, what in ((html, "the whole report, for a browser"), (out, "the report and its files")):
            if written:
                say(("wrote ", "dim"), (f"{written}", "bold"), (f": {what}", "dim"))


def _last(as_json: bool, every: bool, others: Sequence[object]) -> None:
    """What the function has found last."""
    if any(others):
        raise PermanentError("say of which fleet: --from FLEET.json, or --now for the one that is deployed")
    with opened_store() as store:
        kept = store.audits.last()
    if kept is None:
        raise PermanentError("there is no audit in the store yet; make one with --now, or wait for audit_costs")
    if as_json:
        say_json(kept.summary)
        return
    say(f"Audited until {kept.summary['at'][:16].replace('T', ' ')} UTC")
    _print(kept.summary, every)


def _seen() -> tuple[Fleet, PriceBook, Actual | None]:
    """The fleet that is deployed, its prices and what was billed, read with the credentials of whoever asks."""
    from shared.actions.audit_costs import read_actual
    from shared.actions.fleet import observe_fleet
    from shared.actions.pricing import prices_in_force
    from shared.wiring import World

    with opened_store() as store:
        kept = store.audits.last()
        world = World()
        world.store = store
        fleet = observe_fleet(world, kept.machines if kept else {})
        return fleet, prices_in_force(world), read_actual(world, fleet)


def _aimed(fleet: Fleet, p95: float | None) -> Fleet:
    """Every endpoint without a target of its own gets this one."""
    if p95 is None:
        return fleet
    return replace(fleet, endpoints=tuple(replace(e, p95_target_ms=e.p95_target_ms or p95) for e in fleet.endpoints))


def _print(report: dict[str, Any], every: bool) -> None:
    say((report["headline"], "bold"))
    forecast, change = report["forecast"], report["change"]
    say(
        f"{forecast['month']}: {_usd(forecast['spent'])} so far, {_usd(forecast['expected'])} expected"
        f" ({_usd(forecast['low'])} to {_usd(forecast['high'])})"
    )
    if actual := report.get("actual"):
        until = actual["billed_until"][:16].replace("T", " ")
        say(f"{actual['month']}: {_usd(actual['usd'])} billed until {until} UTC, credits included")
    if change:
        more = "" if change["usd_month"].startswith("-") else "+"
        say(
            f"Since {change['since'][:10]}: {more}{_usd(change['usd_month'])} a month,"
            f" {change['found']} new findings, {change['settled']} settled"
        )
    findings = report["findings"]
    shown = findings if every else findings[:FEW]
    if shown:
        say()
        rows = [Row((_saving(f), f["kind"], f["subject"], f["confidence"]), f["finding"]) for f in shown]
        for line in Table(COLUMNS, "FINDING", rows, wrap=True).lines(width()):
            say(*line)
    if every:
        for finding in shown:
            say()
            say((f"{finding['subject']}: {finding['kind']}", "bold"))
            for said in (finding["arithmetic"], *finding["evidence"], finding["command"]):
                say(f"  {said}")
    elif len(findings) > len(shown):
        say(f"... and {len(findings) - len(shown)} more; --all shows them with arithmetic and command")
    for text in (*_latency(report["latency"]), *_unknown(report["not_measured"], every)):
        say(text)


def _usd(amount: str | None) -> str:
    return usd(None if amount is None else Decimal(amount))


def _saving(finding: dict[str, Any]) -> Part:
    amount = _usd(finding["saving_usd_month"])
    if finding["counted"]:
        return amount, "green"
    return (f"({amount})" if amount[0] == "$" and amount != "$0.00" else amount), "dim"


def _latency(advices: list[dict[str, Any]]) -> Iterator[str]:
    for one in advices:
        if one["met"]:
            continue
        yield ""
        yield f"{one['subject']}: 95th percentile up to {one['worst_ms']:.0f} ms, target {one['target_ms']:g} ms"
        for option in one["options"]:
            then = f"about {option['p95_ms']:.0f} ms" if option["p95_ms"] is not None else "to be measured"
            yield f"  {option['kind']}: {option['sentence']}; {then}, {_usd(option['usd_month'])} a month more"
        if not one["options"]:
            yield "  nothing that is known here would help"


def _unknown(unmeasured: list[dict[str, Any]], every: bool) -> Iterator[str]:
    if not unmeasured:
        return
    yield ""
    yield f"Not known, and in no sum: {len(unmeasured)}{'' if every else '; --all lists them'}"
    if every:
        for one in unmeasured:
            yield f"  {one['subject']}: {one['lacking']}"


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
