"""``rollouts validate``: is what the files say a policy?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rollouts_cli.console import AsJson, complain_of, problems_json, say, say_json
from shared.policy.loading import load_policies
from shared.policy.problems import PolicyError

Paths = Annotated[list[Path], typer.Argument(help="Policy files, or directories of them.", show_default=False)]


def validate(paths: Paths, as_json: AsJson = False) -> None:
    """Check policies, and say everything that is wrong with them: file, line, key, and what is allowed there."""
    try:
        loaded = load_policies(paths)
    except PolicyError as error:
        if as_json:
            say_json({"valid": False, "policies": [], "problems": problems_json(error.problems)})
        else:
            complain_of(error.problems)
        raise typer.Exit(1) from None
    if as_json:
        policies = [{"model": one.policy.model, "place": one.place(())} for one in loaded]
        say_json({"valid": True, "policies": policies, "problems": []})
        return
    for one in loaded:
        say((f"{one.place(())}:", "cyan"), f" {one.policy.model} is a valid policy")
