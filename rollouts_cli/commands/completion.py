"""``rollouts completion``: the script with which a shell completes commands and options."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from typer._completion_shared import get_completion_script

Shell = Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="The shell.", show_default=False)]


def completion(shell: Shell) -> None:
    """Print the script; `source <(rollouts completion bash)` completes in this shell."""
    print(get_completion_script(prog_name="rollouts", complete_var="_ROLLOUTS_COMPLETE", shell=shell))
