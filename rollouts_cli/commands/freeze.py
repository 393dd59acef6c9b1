"""``rollouts freeze``, ``unfreeze`` and ``freezes``: stop the line for one model or for all."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from rollouts_cli.commands.act import Reason, Token, Url, call
from rollouts_cli.console import AsJson, printable, reported, say, say_json
from rollouts_cli.lookup import opened_store
from shared import clock
from shared.errors import PermanentError
from shared.policy.units import parse_duration
from shared.rollout.stops import ALL_MODELS

Model = Annotated[str | None, typer.Argument(help="The model, by its policy.", metavar="[MODEL]", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All models.")]
Budget = Annotated[bool, typer.Option("--budget", help="What a spent budget of Cloud Billing has stopped.")]
For = Annotated[str | None, typer.Option("--for", help="How long, such as 4h; without it until it is lifted.")]


def freeze(
    model: Model = None,
    all_: All = False,
    for_: For = None,
    reason: Reason = "",
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Stop the line: no deployment and no higher share until it is lifted. Harm still rolls back."""
    with reported(as_json, answered=True):
        body = _body("freeze", model, all_, reason)
        if for_ is not None:
            body["until"] = (clock.now() + _span(for_)).isoformat()
        answer = call(url, token, body, "`rollouts freezes`")
    _show(answer, as_json)


def unfreeze(
    model: Model = None,
    all_: All = False,
    budget: Budget = False,
    reason: Reason = "",
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Lift a freeze. A freeze of all models is lifted as a whole; that of a spent budget apart from it, until its next threshold."""
    with reported(as_json, answered=True):
        answer = call(url, token, _body("unfreeze", model, all_, reason, budget=budget), "`rollouts freezes`")
    _show(answer, as_json)


def freezes(as_json: AsJson = False) -> None:
    """Show what people and spent budgets have frozen; the days that a policy freezes stand in the policy."""
    now = clock.now()
    with reported(as_json), opened_store() as store:
        found = [s for s in store.stops() if s.until is None or s.until > now]
    if as_json:
        rows = [
            {
                "model": None if s.model == ALL_MODELS else s.model,
                "by": s.by,
                "reason": s.reason,
                "at": s.at.isoformat(),
                "until": s.until.isoformat() if s.until else None,
                "only_new": s.only_new,
            }
            for s in found
        ]
        say_json({"freezes": rows})
        return
    if not found:
        say("nothing is frozen")
    for s in found:
        until = f"until {s.until:%Y-%m-%d %H:%M} UTC" if s.until else "until it is lifted"
        what = "all models" if s.model == ALL_MODELS else s.model
        what = "new rollouts" if s.only_new else what
        say((f"{what}: ", "bold"), printable(f"frozen by {s.by} since {s.at:%Y-%m-%d %H:%M} UTC {until}: {s.reason}"))


def _body(command: str, model: str | None, all_: bool, reason: str, *, budget: bool = False) -> dict[str, Any]:
    if [all_, budget, model is not None].count(True) != 1:
        raise PermanentError("name one model, or --all")
    what = {"all": True} if all_ else {"budget": True} if budget else {"model": model}
    return {"command": command, "reason": reason, **what}


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as exc:
        raise PermanentError(f"--for: {exc}") from None


def _show(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(answer)
    else:
        say(printable(str(answer.get("sentence", ""))))
