"""Stop the line, for one model or for all: nothing goes forward until it is lifted. Rollbacks do not ask."""

from __future__ import annotations

from shared.actions.record import record_entry
from shared.errors import RefusedError
from shared.rollout.record import LedgerEntry
from shared.rollout.windows import ALL_MODELS, Stopped
from shared.wiring import World


def freeze(world: World, stop: Stopped, command: str) -> str:
    """One per model: a second word replaces the first. What the ledger says."""
    if stop.until is not None and stop.until <= stop.at:
        raise RefusedError(f"the freeze would have ended already, at {stop.until:%Y-%m-%d %H:%M} UTC")
    world.store.put_stop(stop)
    until = f" until {stop.until:%Y-%m-%d %H:%M} UTC" if stop.until else ""
    sentence = f"{stop.by} froze {_what(stop.model)}{until}: {stop.reason}"
    _tell(world, "freeze", stop.model, sentence, stop.by, command)
    return sentence


def unfreeze(world: World, model: str, actor: str, reason: str, command: str) -> str:
    """What the ledger says; RefusedError where nothing was frozen."""
    lifted = world.store.lift_stop(model)
    if lifted is None:
        raise RefusedError(f"{_what(model)}: nothing is frozen; `rollouts freezes` shows what is")
    why = f": {reason}" if reason else ""
    sentence = f"{actor} lifted the freeze of {_what(model)} that {lifted.by} had made ({lifted.reason}){why}"
    _tell(world, "unfreeze", model, sentence, actor, command)
    return sentence


def _what(model: str) -> str:
    return "all models" if model == ALL_MODELS else model


def _tell(world: World, decision: str, model: str, sentence: str, actor: str, command: str) -> None:
    """In the ledger of every model that it concerns, so that its people hear of it."""
    models = [s.model for s in world.store.policies()] if model == ALL_MODELS else [model]
    for one in models:
        entry = LedgerEntry(
            id=f"{decision}-{command}-{one}",
            rollout="",
            model=one,
            at=world.now(),
            decision=decision,
            sentence=sentence,
            severity="warning",
            actor=actor,
        )
        record_entry(world, entry)
