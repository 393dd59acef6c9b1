"""``rollouts doctor``: what a project lacks, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rollouts_cli.console import AsJson, complain, reported, say, say_json
from rollouts_cli.doctor import google, here, pulse, wiring
from rollouts_cli.doctor.finding import Finding, Health, examined, worst
from rollouts_cli.doctor.table import TABLE, Deployed, deployed
from rollouts_cli.running_cost import PRICED_ON
from shared import clock
from shared.wiring import World

Table = Annotated[Path, typer.Option("--table", help="The table of functions.", metavar="FILE", show_default=False)]
Only = Annotated[list[str] | None, typer.Option("--only", help="Only this check; may be given again.", metavar="CHECK")]

STYLES = {Health.OK: "green", Health.UNKNOWN: "yellow", Health.ODD: "yellow", Health.BROKEN: "bold red"}
LOCAL = "not on one machine: the local system has none"

Asked = Callable[[], Iterable[Finding]]


def doctor(table: Table = TABLE, only: Only = None, as_json: AsJson = False) -> None:
    """Look at settings, clock, APIs, roles, subscriptions, dead letters, heartbeat, targets and prices; say what to fix.

    Ends with 1 when something is broken.
    """
    with reported(as_json):
        checks = _checks(deployed(table))
        if unknown := sorted(set(only or ()) - set(checks)):
            raise typer.BadParameter(f"{unknown[0]} is no check; there are {', '.join(checks)}")
        found: list[Finding] = []
        for name, check in checks.items():
            if only and name not in only:
                continue
            if not as_json:
                complain((f"looking at {name} ...", "dim"))
            fresh = list(examined(name, check))
            found += fresh
            if not as_json:
                _show(fresh)
        if as_json:
            say_json({"health": worst(found), "findings": [asdict(one) for one in found]})
    raise typer.Exit(1 if worst(found) is Health.BROKEN else 0)


def _checks(table: list[Deployed]) -> dict[str, Asked]:
    world = World()
    environment = world.environment
    asked = google.Google()
    is_local = here.is_local(environment)
    checks: dict[str, Asked] = {
        here.SETTINGS: lambda: here.settings(environment),
        here.CLOCK: (lambda: _not_here(here.CLOCK)) if is_local else (lambda: here.clock(clock.now())),
        google.APIS: (lambda: _not_here(google.APIS)) if is_local else (lambda: google.apis(asked, world.project)),
        google.ROLES: (lambda: _not_here(google.ROLES))
        if is_local
        else (lambda: google.roles(asked, world.project, table)),
        wiring.SUBSCRIPTIONS: lambda: wiring.subscriptions(world.project, table),
        wiring.DEAD_LETTERS: lambda: wiring.dead_letters(world.project),
        pulse.HEARTBEAT: lambda: pulse.heartbeat(world.project, clock.now()),
        pulse.TARGETS: lambda: pulse.targets(world, world.store),
        pulse.PRICES: lambda: pulse.prices(clock.now().date(), PRICED_ON),
    }
    return checks


def _not_here(name: str) -> Iterable[Finding]:
    return [Finding(name, Health.UNKNOWN, LOCAL)]


def _show(found: Iterable[Finding]) -> None:
    for one in found:
        say((f"{one.health:<8}", STYLES[one.health]), (f"{one.check}: ", "bold"), one.sentence)
        if one.remedy:
            say(f"         -> {one.remedy}")
