"""Finding what a person means in the store, and saying what is near when nothing is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rollouts_cli.console import complain_of, problems_json, say_json
from shared.errors import PermanentError
from shared.policy.loading import load_policy
from shared.policy.problems import PolicyError
from shared.policy.schema import Policy
from shared.rollout.record import Rollout
from shared.wiring import store_from_env

if TYPE_CHECKING:
    from shared.store.store import Store


@contextmanager
def opened_store() -> Iterator[Store]:
    """The store that the environment names; an embedded one must be there, since reading from a new one only misleads."""
    path = Path(os.environ.get("STORE_PATH", ".run/rollouts.db"))
    if os.environ.get("STORE", "sqlite") == "sqlite" and not path.exists():
        raise PermanentError(
            f"there is no store at {path}; set STORE_PATH to where it is, or for the one in the cloud STORE=firestore "
            "and GOOGLE_CLOUD_PROJECT"
        )
    with closing(store_from_env()) as store:
        yield store


def read_policy(path: Path, as_json: bool) -> Policy:
    """The one policy in a file; its mistakes are shown, and the command ends with 1."""
    try:
        return load_policy(path)
    except PolicyError as error:
        if as_json:
            say_json({"problems": problems_json(error.problems)})
        else:
            complain_of(error.problems)
        raise typer.Exit(1) from None


class Policies:
    """The policies that rollouts keep, each version read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[tuple[str, int], Policy | None] = {}

    def of(self, rollout: Rollout) -> Policy | None:
        """The version it started with, if it is in the store."""
        key = (rollout.model, rollout.policy_version)
        if key not in self._read:
            stored = self._store.policy(*key)
            self._read[key] = stored.policy if stored else None
        return self._read[key]


def find_rollout(store: Store, id: str) -> Rollout:  # noqa: A002
    """The rollout of that id; PermanentError with the ids that look like it."""
    stored = store.get_rollout(id)
    if stored is not None:
        return stored.rollout
    raise PermanentError(f"there is no rollout {id}{near(id, _rollout_ids(store))}; `rollouts list --all` shows them")


def models(store: Store) -> list[str]:
    """Every model that has a policy; only those have rollouts."""
    return sorted(one.model for one in store.policies())


def refuse_unknown_model(store: Store, model: str) -> None:
    """PermanentError with the models that look like it."""
    known = models(store)
    if model not in known:
        raise PermanentError(
            f"there is no policy for {model}{near(model, known)}; `rollouts list --all` shows all rollouts, and their models"
        )


def find_history(store: Store, name: str) -> tuple[str, str]:
    """(rollout, "") or ("", model) that ``name`` means; PermanentError with what looks like it."""
    if store.get_rollout(name) is not None:
        return name, ""
    known = models(store)
    if name in known:
        return "", name
    candidates = [*known, *_rollout_ids(store)]
    raise PermanentError(
        f"there is no rollout or model {name}{near(name, candidates)}; `rollouts list --all` shows them"
    )


def near(name: str, known: Iterable[str]) -> str:
    """``; near it: A, B``; empty if nothing is."""
    found = get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"; near it: {', '.join(found)}" if found else ""


def _rollout_ids(store: Store) -> list[str]:
    return [rollout.id for model in models(store) for rollout in store.rollouts_of_model(model)]
