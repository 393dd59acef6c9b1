"""Stop the line, for one model or for all: nothing goes forward until it is lifted. Rollbacks do not ask."""

from __future__ import annotations

from dataclasses import replace

from shared.actions.record import publish_notice, record_entry
from shared.errors import RefusedError
from shared.rollout.names import label_value
from shared.rollout.record import LedgerEntry
from shared.rollout.stops import ALL_MODELS, BudgetStop, Stopped
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


def lift_budgets(world: World, actor: str, reason: str) -> str:
    """A person lets new rollouts go all the same; what the ledger says."""
    now = world.now()
    on = [stop for stop in world.store.budgets.all().values() if stop.is_on(now)]
    if not on:
        raise RefusedError("no budget has stopped new rollouts; `rollouts freezes` shows what is frozen")
    why = f": {reason}" if reason else ""
    said = []
    for stop in on:
        world.store.budgets.put(replace(stop, lifted_by=actor))
        sentence = f"{actor} lets new rollouts begin although {stop.reason}{why}"
        tell_budget(world, "unfreeze", stop, sentence, actor)
        said.append(sentence)
    return "; ".join(said)


def tell_budget(world: World, decision: str, stop: BudgetStop, sentence: str, actor: str) -> None:
    """In the ledger of every model, so that its people hear of it; and once to those of the fleet."""
    which = f"{stop.budget}-{stop.since:%Y%m%d}-{stop.exceeded}-{stop.until:%Y%m%d}"
    for model in ("", *(s.model for s in world.store.policies())):
        entry = LedgerEntry(
            id=label_value(f"budget-{decision}-{which}-{model}"),
            rollout="",
            model=model,
            at=world.now(),
            decision=decision,
            sentence=sentence,
            severity="warning" if decision == "freeze" else "info",
            actor=actor,
        )
        if model:
            record_entry(world, entry)
        elif world.store.add_entry(entry):  # no decision about any model: not counted as one
            publish_notice(world, entry)


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
