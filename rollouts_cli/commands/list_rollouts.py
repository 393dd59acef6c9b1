"""``rollouts list``: what is under way."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from rollouts_cli.console import AsJson, reported, say, say_json, width
from rollouts_cli.layout import Column, Row, Table
from rollouts_cli.lookup import Policies, models, opened_store, refuse_unknown_model
from shared import clock
from shared.rollout.record import Rollout
from shared.view.standing import age, rollout_json, standing

if TYPE_CHECKING:
    from shared.store.store import Store

Model = Annotated[str | None, typer.Option(help="Only the rollouts of this model.", metavar="MODEL")]
All = Annotated[bool, typer.Option("--all", help="Those that have ended too, newest change first.")]
Limit = Annotated[int, typer.Option(help="At most so many.", min=1)]

COLUMNS = (
    Column("STATE"),
    Column("ROLLOUT", style="bold"),
    Column("MODEL", drop=1),
    Column("VERSION", drop=2),
    Column("TARGET", drop=3),
    Column("STAGE", drop=5),
    Column("AGE", drop=4),
)


def list_rollouts(model: Model = None, all_: All = False, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the open rollouts: state, id, stage and share, age, and the sentence that says why."""
    now = clock.now()
    with reported(as_json), opened_store() as store:
        if model is not None:
            refuse_unknown_model(store, model)
        found = _rollouts(store, model, all_, limit + 1)
        shown, more = found[:limit], len(found) > limit
        policies = Policies(store)
        if as_json:
            say_json({"rollouts": [rollout_json(r, policies.of(r), now) for r in shown], "more": more})
        elif not shown:
            say(_nothing(model, all_))
        else:
            _show(shown, policies, now)
            if more:
                say((f"there are more; --limit {limit * 2} shows them", "dim"))


def _rollouts(store: Store, model: str | None, ended: bool, limit: int) -> list[Rollout]:
    if not ended:
        open_ = [s.rollout for s in store.unsettled_rollouts() if s.rollout.phase.is_open]
        found = [r for r in open_ if model in (None, r.model)]
    else:
        found = [r for m in ([model] if model else models(store)) for r in store.rollouts_of_model(m, limit)]
    return sorted(found, key=lambda r: (r.updated_at, r.id), reverse=True)[:limit]


def _nothing(model: str | None, ended: bool) -> str:
    of = f" of {model}" if model else ""
    return f"no rollouts{of} yet" if ended else f"no open rollouts{of}; --all shows those that have ended"


def _show(rollouts: list[Rollout], policies: Policies, now: datetime) -> None:
    several = len({r.target.project for r in rollouts}) > 1
    rows = []
    for r in rollouts:
        stand = standing(r, policies.of(r))
        target = str(r.target) if several else f"{r.target.region}/{r.target.endpoint}"
        cells = (stand.label, r.id, r.model, f"v{r.version}", target, stand.progress, age(now - r.created_at))
        rows.append(Row(cells, r.sentence))
    for line in Table(COLUMNS, "WHY", rows).lines(width()):
        say(*line)
