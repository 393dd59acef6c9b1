"""``rollouts models``: find versions by metrics, labels, aliases and lineage, in the store's index."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollouts_cli.console import AsJson, complain, reported, say, say_json, width
from rollouts_cli.layout import Column, Row, Table
from rollouts_cli.lookup import opened_store
from shared.rollout.aliases import OURS, desired_aliases
from shared.rollout.index import IndexedVersion
from shared.rollout.query import parse_where, sort_versions, values

if TYPE_CHECKING:
    from shared.store.store import Store

READ = 400
"""The rollouts of a model, newest first, that say who has our aliases."""

Filter = Annotated[str, typer.Option(help='Such as "auc>=0.9 and dataset=v3 and not alias=champion".')]
Sort = Annotated[str, typer.Option(help='Names, a minus for the largest first: "-auc,created".')]
Limit = Annotated[int, typer.Option(help="At most so many.", min=1)]
Reindex = Annotated[
    bool, typer.Option("--reindex", help="First read the registry anew, all models of all targets' regions.")
]
Pace = Annotated[int, typer.Option(help="Calls a minute while reindexing; Vertex AI allows 600 for everybody.", min=1)]
Model = Annotated[str | None, typer.Option(help="Only this model.", metavar="MODEL")]

COLUMNS = (
    Column("MODEL", style="bold"),
    Column("VERSION"),
    Column("ALIASES", drop=4),
    Column("CREATED", drop=3),
    Column("REGION", drop=2),
    Column("METRICS", drop=5),
)


def models(
    where: Filter = "",
    sort: Sort = "",
    model: Model = None,
    limit: Limit = 50,
    reindex: Reindex = False,
    per_minute: Pace = 300,
    as_json: AsJson = False,
) -> None:
    """Find versions. The index is filled when a version is registered; `--reindex` is for what is older than the index."""
    with reported(as_json):
        is_meant = parse_where(where)
        with opened_store() as store:
            if reindex:
                _reindex(store, per_minute)
            aliases = Aliases(store)
            every = store.indexed_versions(model)
            found = sort_versions((v for v in every if is_meant(v, aliases.of(v))), sort)
            shown, more = found[:limit], len(found) - limit
            rows = [_json(v, aliases.of(v)) for v in shown]
        if as_json:
            say_json({"versions": rows, "found": len(found), "indexed": len(every)})
        elif not every:
            say("the index is empty; `rollouts models --reindex` fills it from the registry")
        elif not shown:
            say(f"none of {len(every)} versions")
        else:
            _show(rows)
            if more > 0:
                say((f"{more} more; --limit {len(found)} shows them", "dim"))


class Aliases:
    """Who has which alias: ours by the records of this moment, others as the index has them."""

    def __init__(self, store: Store) -> None:
        self._targets = {s.model: len(s.policy.targets) for s in store.policies()}
        self._store = store
        self._ours: dict[str, dict[str, str]] = {}

    def of(self, version: IndexedVersion) -> tuple[str, ...]:
        """Sorted."""
        if version.model not in self._targets:
            return version.aliases
        if version.model not in self._ours:
            found = self._store.rollouts_of_model(version.model, READ)
            self._ours[version.model] = desired_aliases(found, self._targets[version.model])
        ours = self._ours[version.model]
        others = {a for a in version.aliases if a not in OURS}
        return tuple(sorted(others | {a for a, v in ours.items() if v == version.version}))


def _reindex(store: Store, per_minute: int) -> None:
    from shared.actions.indexing import reindex
    from shared.actions.policies import target_ref
    from shared.wiring import World

    world = World()
    world.__dict__["store"] = store
    refs = [target_ref(world, target) for one in store.policies() for target in one.policy.targets]
    told = time.monotonic()

    def tell(model: str, done: int) -> None:
        nonlocal told
        if time.monotonic() - told > 2:
            told = time.monotonic()
            complain((f"{done} versions read, at {model}", "dim"))

    reindex(world, sorted({(r.project, r.region) for r in refs}), lambda: time.sleep(60 / per_minute), tell)


def _json(version: IndexedVersion, aliases: tuple[str, ...]) -> dict[str, Any]:
    lineage = {name: found[0] for name in ("run", "dataset", "code", "job") if (found := values(version, (), name))}
    return {
        "model": version.model,
        "version": version.version,
        "project": version.project,
        "region": version.region,
        "created_at": version.created_at.isoformat() if version.created_at else None,
        "aliases": list(aliases),
        "metrics": version.metrics,
        "labels": version.labels,
        "lineage": lineage,
        "artifact_uri": version.artifact_uri,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    table = []
    for row in rows:
        metrics = " ".join(f"{name}={value:.4g}" for name, value in row["metrics"].items())
        created = (row["created_at"] or "")[:16].replace("T", " ")
        cells = (row["model"], f"v{row['version']}", ",".join(row["aliases"]), created, row["region"], metrics)
        table.append(Row(cells, " ".join(f"{name}={value}" for name, value in row["lineage"].items())))
    for line in Table(COLUMNS, "LINEAGE", table).lines(width()):
        say(*line)
