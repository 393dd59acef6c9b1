"""``rollouts apply``: put policies into force."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollouts_cli.author import author_or_refuse
from rollouts_cli.commands.validate import Paths
from rollouts_cli.console import AsJson, complain, complain_of, problems_json, say, say_json
from shared import clock
from shared.errors import RolloutsError
from shared.policy.loading import LoadedPolicy, load_policies
from shared.policy.problems import PolicyError
from shared.wiring import store_from_env

if TYPE_CHECKING:
    from shared.rollout.record import Rollout
    from shared.store.store import Store, StoredPolicy

Author = Annotated[
    str | None,
    typer.Option(envvar="ROLLOUTS_AUTHOR", help="Who applies them; by default the address that git knows you by."),
]


@dataclass
class _Outcome:
    """How far it came."""

    stored: list[StoredPolicy]
    refused: str = ""
    kept: list[Rollout] = field(default_factory=list)
    """Open rollouts of a policy that has changed; they go on with the version that they have."""


def apply(paths: Paths, author: Author = None, as_json: AsJson = False) -> None:
    """Check policies and store what has changed, as a new version with its author and time.

    A rollout that is under way keeps the policy it started with. If one file is wrong, nothing is stored.
    """
    try:
        loaded = load_policies(paths)
    except PolicyError as error:
        if as_json:
            say_json({"applied": [], "problems": problems_json(error.problems), "refused": ""})
        else:
            complain_of(error.problems)
        raise typer.Exit(1) from None
    outcome = _store(loaded, author)
    if as_json:
        say_json({"applied": [_as_json(one) for one in outcome.stored], "problems": [], "refused": outcome.refused})
    else:
        for one in outcome.stored:
            say((f"{one.model}:", "bold"), f" {_sentence(one)}")
        for rollout in outcome.kept:
            say(
                (
                    f"  {rollout.id} keeps version {rollout.policy_version}; `rollouts set-policy {rollout.id}` judges it anew by this one",
                    "dim",
                )
            )
    if outcome.refused:
        if not as_json:
            complain(("not applied: ", "bold red"), outcome.refused)
        raise typer.Exit(1)


def _store(loaded: Iterable[LoadedPolicy], author: str | None) -> _Outcome:
    outcome = _Outcome([])
    try:
        who = author_or_refuse(author)
        with closing(store_from_env()) as store:
            for one in loaded:
                stored = store.put_policy(one.policy, who, clock.now())
                outcome.stored.append(stored)
                outcome.kept += _kept(store, stored) if stored.changed and stored.version > 1 else []
    except RolloutsError as error:
        outcome.refused = str(error)
    return outcome


def _kept(store: Store, one: StoredPolicy) -> list[Rollout]:
    found = [r.rollout for r in store.unsettled_rollouts() if r.rollout.model == one.model]
    return [rollout for rollout in found if rollout.phase.is_open]


def _sentence(one: StoredPolicy) -> str:
    if not one.changed:
        return f"version {one.version}, unchanged since {one.applied_at:%Y-%m-%d %H:%M} UTC"
    before = f"was {one.version - 1}" if one.version > 1 else "new"
    return f"version {one.version} ({before}), by {one.author}"


def _as_json(one: StoredPolicy) -> dict[str, Any]:
    return {
        "model": one.model,
        "version": one.version,
        "changed": one.changed,
        "author": one.author,
        "applied_at": one.applied_at.isoformat(),
    }
