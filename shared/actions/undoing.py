"""Putting back what an audit has saved, and how either is written down."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from shared.actions.record import record_entry
from shared.errors import PermanentError
from shared.rollout.names import label_value
from shared.rollout.observed import TargetRef
from shared.rollout.record import LedgerEntry
from shared.wiring import World

if TYPE_CHECKING:
    from shared.store.savings import StoredSaving

ACTOR = "audit_costs"


class Saved(Protocol):
    """What an entry names."""

    @property
    def id(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def target(self) -> TargetRef: ...


def saving_of(world: World, id: str) -> StoredSaving:  # noqa: A002
    """What was saved under that id; PermanentError where nothing was."""
    saving = world.store.savings.get(id)
    if saving is None:
        raise PermanentError(f"nothing was saved under the id {id}; the ledger names those that were")
    return saving


def undo_saving(world: World, id: str, author: str) -> str:  # noqa: A002
    """Put the replicas back to what they were before the first step; the sentence."""
    saving = saving_of(world, id)
    if not saving.undone_by:
        world.endpoints.set_replicas(saving.target, saving.deployed_id, *saving.before)
        world.store.savings.put(replace(saving, undone_by=author))
    sentence = f"Put the minimum of {saving.model} v{saving.version} back to {saving.before[0]} replicas; it is not lowered again"
    record_entry(world, saving_entry(world, saving, sentence, author))
    return sentence


def saving_entry(world: World, saving: Saved, sentence: str, actor: str) -> LedgerEntry:
    now = world.now()
    kind = "save" if actor == ACTOR else "undo"
    return LedgerEntry(
        id=label_value(f"{kind}-{saving.id}-{now:%Y%m%d}"),
        rollout="",
        model=saving.model,
        at=now,
        decision="operate",
        sentence=sentence,
        target=str(saving.target),
        version=saving.version,
        actor=actor,
    )
