"""The operator's command line."""

from __future__ import annotations

import typer

from rollouts_cli.commands.apply import apply
from rollouts_cli.commands.schema import schema
from rollouts_cli.commands.validate import validate

app = typer.Typer(
    name="rollouts",
    help="Deliver models on Vertex AI: policies in, rollouts watched.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(validate)
app.command()(apply)
app.command()(schema)


if __name__ == "__main__":
    app()
