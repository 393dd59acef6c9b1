"""Commands that were refused: a line in the log and an entry in the ledger.

Anybody in the world can knock, so what knocking writes is bounded: one entry per kind, rollout and minute, and a process that has written it
does not ask the store again. Nobody is woken by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared import log
from shared.actions.record import record_entry
from shared.errors import PermanentError, TransientError
from shared.rollout.names import label_value
from shared.rollout.record import LedgerEntry
from shared.text import one_line
from shared.wiring import World

REMEMBERED = 1000
"""Ids that a process remembers to have written."""
UNKNOWN = "unknown"
"""The actor of a command that came without a valid token."""


@dataclass(frozen=True)
class About:
    """What a command was about; empty where nobody believes what it says."""

    model: str = ""
    rollout: str = ""


def note_refusal(world: World, kind: str, why: str, about: About, actor: str = UNKNOWN) -> None:
    """Write it down, if this minute has not seen it yet; a store that is down does not keep a command from being refused."""
    now = world.now()
    id_ = label_value("-".join(("refused", kind, about.rollout or about.model or "anything", f"{now:%Y%m%d%H%M}")))
    if id_ in world.refusals:
        return
    if len(world.refusals) >= REMEMBERED:
        world.refusals.clear()
    world.refusals.add(id_)
    sentence = f"Refused a command of {one_line(actor)}: {one_line(why)}"
    entry = LedgerEntry(
        id=id_,
        rollout=about.rollout,
        model=about.model,
        at=now,
        decision="refuse",
        sentence=sentence,
        severity="warning",
        actor=actor,
    )
    try:
        record_entry(world, entry, notice=False)
    except (TransientError, PermanentError) as exc:
        log.warning(f"{sentence}; the ledger does not have it: {exc}")
