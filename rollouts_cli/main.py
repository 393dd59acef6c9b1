"""The operator's command line."""

from __future__ import annotations

import typer

from rollouts_cli.commands.act import abort, pause, promote, resume
from rollouts_cli.commands.adopt import adopt
from rollouts_cli.commands.apply import apply
from rollouts_cli.commands.dead_letters import dead_letters
from rollouts_cli.commands.get import get
from rollouts_cli.commands.history import history
from rollouts_cli.commands.judge import judge
from rollouts_cli.commands.list_rollouts import list_rollouts
from rollouts_cli.commands.plan import plan
from rollouts_cli.commands.schema import schema
from rollouts_cli.commands.validate import validate

app = typer.Typer(
    name="rollouts",
    help="Deliver models on Vertex AI: policies in, rollouts watched.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command(epilog="Example: rollouts validate infra/policies")(validate)
app.command(epilog="Example: rollouts apply infra/policies --author me@example.com")(apply)
app.command(epilog="Example: rollouts plan infra/policies/churn-tabular.yaml --rps 10 --error-rate 1%")(plan)
app.command(epilog="Example: rollouts judge docs/judge/canary.csv --margin 1.5x")(judge)
app.command(epilog="Example: rollouts schema > policy.schema.json")(schema)
app.command("list", epilog="Example: rollouts list --model churn --all")(list_rollouts)
app.command(epilog="Example: rollouts get churn-v4-0a1b2c")(get)
app.command(epilog="Example: rollouts history churn --last 20")(history)
app.command(epilog='Example: rollouts pause churn-v4-0a1b2c --reason "load test until 14:00"')(pause)
app.command(epilog="Example: rollouts resume churn-v4-0a1b2c")(resume)
app.command(epilog='Example: rollouts abort churn-v4-0a1b2c --reason "wrong labels in training"')(abort)
app.command(epilog='Example: rollouts promote churn-v4-0a1b2c --reason "fix is urgent"')(promote)
app.command(epilog="Example: rollouts adopt churn")(adopt)
app.command("dead-letters", epilog="Example: rollouts dead-letters --redrive 1234567890")(dead_letters)


if __name__ == "__main__":
    app()
