"""``rollouts adopt``: bring endpoints that lived before us under a model's policy."""

from __future__ import annotations

from typing import Annotated

import typer

from rollouts_cli.commands.act import Token, Url, call
from rollouts_cli.console import AsJson, printable, reported, say, say_json

Model = Annotated[str, typer.Argument(help="The model, by its policy.", metavar="MODEL", show_default=False)]


def adopt(model: Model, url: Url = None, token: Token = None, as_json: AsJson = False) -> None:
    """Bring the endpoints of a model's policy under it: the one version with all the traffic becomes the stable.

    All targets or none. Labels are added, nothing else is touched. Where several models share the traffic it is refused.
    """
    with reported(as_json, answered=True):
        answer = call(url, token, {"command": "adopt", "model": model}, f"`rollouts history {model}`")
    if as_json:
        say_json(answer)
        return
    for sentence in answer.get("sentences", []):
        say((f"{model}: ", "bold"), printable(str(sentence)))
