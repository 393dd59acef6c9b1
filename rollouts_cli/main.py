"""The operator's command line."""

from __future__ import annotations

import typer
from typer._completion_classes import completion_init

from rollouts_cli.commands.act import abort, approve, pause, promote, resume, retry, set_policy
from rollouts_cli.commands.adopt import adopt
from rollouts_cli.commands.apply import apply
from rollouts_cli.commands.completion import completion
from rollouts_cli.commands.costs import costs
from rollouts_cli.commands.dead_letters import app as dead_letters
from rollouts_cli.commands.doctor import doctor
from rollouts_cli.commands.explain import explain
from rollouts_cli.commands.freeze import freeze, freezes, unfreeze
from rollouts_cli.commands.get import get
from rollouts_cli.commands.history import history
from rollouts_cli.commands.judge import judge
from rollouts_cli.commands.lineage import lineage
from rollouts_cli.commands.list_rollouts import list_rollouts
from rollouts_cli.commands.models import models
from rollouts_cli.commands.plan import plan
from rollouts_cli.commands.prices import prices
from rollouts_cli.commands.replay import replay_rollout
from rollouts_cli.commands.resolve import resolve
from rollouts_cli.commands.schema import schema
from rollouts_cli.commands.status import status
from rollouts_cli.commands.undo_saving import undo_saving
from rollouts_cli.commands.validate import validate

completion_init()  # what the script of `rollouts completion` asks; no options of typer's own for it

app = typer.Typer(
    name="rollouts",
    help="Deliver models on Vertex AI: policies in, rollouts watched.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: a flag is shown as a flag, and it can be read at any width
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command(
    epilog="Example: rollouts validate infra/policies", short_help="Say everything that is wrong with policies."
)(validate)
app.command(
    epilog="Example: rollouts apply infra/policies --author me@example.com",
    short_help="Put policies into force, a version per change.",
)(apply)
app.command(
    epilog="Example: rollouts plan infra/policies/churn-tabular.yaml --rps 10 --error-rate 1%",
    short_help="Say how long each stage will take at this traffic.",
)(plan)
app.command(
    epilog="Example: rollouts judge docs/judge/canary.csv --margin 1.5x",
    short_help="Judge counts recorded elsewhere, as a rollout would.",
)(judge)
app.command(
    "replay",
    epilog="Example: rollouts replay churn-v4-0a1b2c --policy stricter.yaml",
    short_help="Say what another policy would have decided about a rollout.",
)(replay_rollout)
app.command(epilog="Example: rollouts schema > policy.schema.json", short_help="Print the JSON Schema of a policy.")(
    schema
)
app.command("list", epilog="Example: rollouts list --model churn --all", short_help="List the open rollouts, or all.")(
    list_rollouts
)
app.command(
    epilog="Example: rollouts get churn-v4-0a1b2c --watch",
    short_help="Show one rollout: its checks, and what comes next.",
)(get)
app.command(
    epilog="Example: rollouts explain churn-v4-0a1b2c",
    short_help="Say why a rollout is where it is, and what comes next.",
)(explain)
app.command(
    epilog="Example: rollouts status churn-v4-0a1b2c --until traffic --timeout 90m",
    short_help="Wait for a rollout; the exit code says how it ended.",
)(status)
app.command(
    epilog="Example: rollouts history churn --last 20", short_help="Show the ledger: every decision and its reason."
)(history)
app.command(
    epilog='Example: rollouts pause churn-v4-0a1b2c --reason "load test until 14:00"',
    short_help="Let a rollout stay where it is until it is resumed.",
)(pause)
app.command(epilog="Example: rollouts resume churn-v4-0a1b2c", short_help="Let a paused rollout go on.")(resume)
app.command(
    epilog='Example: rollouts abort churn-v4-0a1b2c --reason "wrong labels in training"',
    short_help="End a rollout: its traffic goes back at once.",
)(abort)
app.command(
    epilog='Example: rollouts promote churn-v4-0a1b2c --reason "fix is urgent"',
    short_help="Take a canary to its next stage without waiting.",
)(promote)
app.command(
    epilog="Example: rollouts approve churn-v4-0a1b2c --traffic 50",
    short_help="Agree to the next stage, where its policy asks.",
)(approve)
app.command(
    epilog='Example: rollouts retry churn-v4-0a1b2c --reason "quota is there now"',
    short_help="Begin again what failed before it had traffic.",
)(retry)
app.command(
    "set-policy",
    epilog='Example: rollouts set-policy churn-v4-0a1b2c --reason "the limit was too tight"',
    short_help="Judge an open rollout by another version of its policy.",
)(set_policy)
app.command(
    epilog='Example: rollouts freeze --all --for 4h --reason "incident 4711"',
    short_help="Stop the line: nothing goes forward.",
)(freeze)
app.command(epilog="Example: rollouts unfreeze --all", short_help="Lift a freeze.")(unfreeze)
app.command(epilog="Example: rollouts freezes", short_help="Show what is frozen, by whom and until when.")(freezes)
app.command(
    epilog='Example: rollouts models --where "auc>=0.9 and dataset=v3" --sort -auc',
    short_help="Find versions by metrics, labels, aliases, lineage.",
)(models)
app.command(
    epilog="Example: rollouts lineage 4000000004", short_help="Print where a deployed model came from, to its data."
)(lineage)
app.command(
    epilog="Example: rollouts resolve recommend --json",
    short_help="Print which endpoint of a model is live, or whose a key is.",
)(resolve)
app.command(epilog="Example: rollouts adopt churn", short_help="Bring endpoints that lived before under a policy.")(
    adopt
)
app.add_typer(
    dead_letters,
    name="dead-letters",
    short_help="Look at the messages that no function could take, redrive them.",
)
app.command(
    epilog="Example: rollouts doctor --only heartbeat", short_help="Say what a project lacks, and what to fix."
)(doctor)
app.command(
    epilog="Example: rollouts prices --region us-central1 --prices ours.json",
    short_help="Print what machines cost, and where the figures are from.",
)(prices)
app.command(
    epilog="Example: rollouts costs --from docs/costs/fleet.json --html report.html",
    short_help="Say what a fleet costs, and what would be cheaper.",
)(costs)
app.command(
    "undo-saving",
    epilog="Example: rollouts undo-saving 1f2e3d4c",
    short_help="Put back the replicas that an audit has lowered.",
)(undo_saving)


app.command(
    epilog="Example: rollouts completion bash > ~/.local/share/bash-completion/completions/rollouts",
    short_help="Print the script that completes commands in a shell.",
)(completion)


if __name__ == "__main__":
    app()
