"""``rollouts status``: wait for a rollout; the exit code says how it ended. For scripts and pipelines."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Annotated, Literal

import typer

from rollouts_cli.commands.get import RolloutId
from rollouts_cli.console import AsJson, printable, reported, say, say_json
from rollouts_cli.lookup import Policies, find_rollout, opened_store
from shared import clock
from shared.errors import PermanentError
from shared.policy.schema import Policy
from shared.policy.units import parse_duration
from shared.rollout.record import Phase, Rollout
from shared.rollout.windows import why_barred
from shared.store.store import Store
from shared.view.standing import rollout_json, standing

LOOK_EVERY = 1.0
"""Wall seconds between two looks at the store."""
ARRIVED, ENDED_OTHERWISE, UNDER_WAY = 0, 3, 4

Until = Annotated[
    Literal["ended", "traffic"],
    typer.Option(help="What is waited for: the end, or all the traffic (the watch that follows lasts a day)."),
]
Timeout = Annotated[
    str,
    typer.Option(help="How long at most, such as 90m; 0s only looks. By default as long as it takes.", metavar="TIME"),
]


def status(rollout: RolloutId, until: Until = "ended", timeout: Timeout = "", as_json: AsJson = False) -> None:
    """Wait until a rollout has ended, and say how by the exit code.

    0: promoted, or with `--until traffic` all the traffic; 3: ended otherwise (rolled back, failed, rejected, superseded); 4: still under way
    when the time is over; 1 and 2 as for every command.
    """
    with reported(as_json), opened_store() as store:
        most = _seconds(timeout)
        began = time.monotonic()
        while True:
            found = find_rollout(store, rollout)
            code = _code(found, until)
            if code != UNDER_WAY or (most is not None and time.monotonic() - began >= most):
                break
            time.sleep(LOOK_EVERY if most is None else min(LOOK_EVERY, most))
        policy, now = Policies(store).of(found), clock.now()
        barred = _barred(store, found, policy, now)
    if as_json:
        say_json({"rollout": rollout_json(found, policy, now), "barred": barred or None, "exit_code": code})
    else:
        label, style = standing(found, policy).label
        say((found.id, "bold"), ": ", (label, style), f"  {printable(found.sentence)}")
        if barred:
            say("nothing goes forward: ", printable(barred))
    raise typer.Exit(code)


def _barred(store: Store, found: Rollout, policy: Policy | None, now: datetime) -> str:
    """Why it may not go forward at this moment: a freeze, a spent budget, a window."""
    if policy is None or not found.phase.is_open or found.phase is Phase.WATCHING:
        return ""
    has_begun = found.phase is not Phase.QUEUED
    return why_barred(policy.rollout, store.stops(found.model), now, has_begun=has_begun)


def _code(found: Rollout, until: str) -> int:
    if found.phase is Phase.PROMOTED or (until == "traffic" and found.phase is Phase.WATCHING):
        return ARRIVED
    return UNDER_WAY if found.phase.is_open else ENDED_OTHERWISE


def _seconds(text: str) -> float | None:
    if not text:
        return None
    try:
        given: timedelta = parse_duration(text)
    except ValueError as exc:
        raise PermanentError(f"--timeout is not understood: {exc}") from None
    return given.total_seconds()  # of the wall clock: it is a person, or a pipeline, that waits
