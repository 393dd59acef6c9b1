"""``rollouts undo-saving``: put back the replicas that an audit has lowered."""

from __future__ import annotations

from typing import Annotated

import typer

from rollouts_cli.commands.act import Token, Url, call
from rollouts_cli.console import AsJson, printable, reported, say, say_json

Id = Annotated[str, typer.Argument(help="As the message and the ledger name it.", metavar="ID")]


def undo_saving(id: Id, url: Url = None, token: Token = None, as_json: AsJson = False) -> None:  # noqa: A002
    """Put the minimum of replicas back to what it was; the audit does not lower it again."""
    with reported(as_json, answered=True):
        answer = call(url, token, {"command": "undo-saving", "saving": id}, "`rollouts history MODEL`")
    if as_json:
        say_json(answer)
    else:
        say(printable(str(answer.get("sentence", ""))))
