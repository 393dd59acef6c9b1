"""``rollouts pause``, ``resume``, ``abort``, ``promote`` and ``approve``: what a person may tell a rollout.

They go to the function ``receive_command`` and not to the store, since it knows who is calling and what they may do.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rollouts_cli.command_call import checked_url, send_command
from rollouts_cli.commands.get import RolloutId
from rollouts_cli.console import AsJson, printable, reported, say, say_json
from rollouts_cli.id_token import token_or_refuse

Url = Annotated[
    str | None, typer.Option(envvar="ROLLOUTS_COMMAND_URL", help="Address of the function receive_command.")
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="ROLLOUTS_ID_TOKEN",
        help="Your ID token; by default what `gcloud auth print-identity-token` prints. Better set than given: others on this "
        "machine see a command's arguments.",
    ),
]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the ledger and told to everyone.")]


def pause(
    rollout: RolloutId, reason: Reason = "", url: Url = None, token: Token = None, as_json: AsJson = False
) -> None:
    """Let a rollout stay where it is until it is resumed. Harm still rolls it back."""
    _tell("pause", rollout, reason, url, token, as_json)


def resume(
    rollout: RolloutId, reason: Reason = "", url: Url = None, token: Token = None, as_json: AsJson = False
) -> None:
    """Let a paused rollout go on."""
    _tell("resume", rollout, reason, url, token, as_json)


def abort(
    rollout: RolloutId, reason: Reason = "", url: Url = None, token: Token = None, as_json: AsJson = False
) -> None:
    """End a rollout: its traffic goes back at once, and it is closed as rolled back."""
    _tell("abort", rollout, reason, url, token, as_json)


Share = Annotated[
    int | None,
    typer.Option("--traffic", help="The share that you mean, in percent; refused if another one is next."),
]


def promote(
    rollout: RolloutId,
    traffic: Share = None,
    reason: Reason = "",
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Take a canary to its next stage now, without waiting for its bake time. Harm still rolls it back.

    With --traffic it can be said again when its answer was lost: what has that share by then is left as it is.
    """
    more = {} if traffic is None else {"traffic": traffic}
    _tell("promote", rollout, reason, url, token, as_json, more)


def approve(
    rollout: RolloutId,
    traffic: Share = None,
    reason: Reason = "",
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Agree to the stage that comes next, where its policy asks for a person's word (stages[].approval)."""
    more = {} if traffic is None else {"traffic": traffic}
    _tell("approve", rollout, reason, url, token, as_json, more)


Again = Annotated[
    bool, typer.Option("--again", help="Also what was taken back, or gave way to a newer version. Needs a reason.")
]


def retry(
    rollout: RolloutId,
    again: Again = False,
    reason: Reason = "",
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Begin a rollout again that failed, or was rejected, before it had traffic; under the present policy, past its gate and budget.

    What was rolled back or superseded had its trial. With --again and a reason it gets a second one: a new rollout, from its gate on and
    without traffic until its first stage; the first stays closed.
    """
    _tell("retry", rollout, reason, url, token, as_json, {"again": True} if again else {})


Version = Annotated[
    int | None, typer.Option("--version", help="The policy's version; by default the present one.", min=1)
]


def set_policy(
    rollout: RolloutId,
    version: Version = None,
    reason: Reason = "",
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Judge an open rollout by another version of its policy, from now on; otherwise it keeps the one it started with."""
    more = {} if version is None else {"version": version}
    _tell("set-policy", rollout, reason, url, token, as_json, more)


def call(url: str | None, token: str | None, command: dict[str, Any], look: str) -> dict[str, Any]:
    """Send a command under the caller's name; the function's answer."""
    address = checked_url(url)
    return send_command(address, token_or_refuse(token), command, look)


def _tell(
    command: str,
    rollout: str,
    reason: str,
    url: str | None,
    token: str | None,
    as_json: bool,
    more: dict[str, Any] | None = None,
) -> None:
    with reported(as_json, answered=True):
        body = {"command": command, "rollout": rollout, "reason": reason, **(more or {})}
        answer = call(url, token, body, f"`rollouts get {rollout}`")
    if as_json:
        say_json(answer)
        return
    phase = str(answer.get("phase", "")).replace("_", " ")
    say(
        (f"{answer.get('rollout', rollout)}: ", "bold"),
        printable(str(answer.get("sentence", ""))),
        (f" ({phase})", "dim"),
    )
