"""A budget of Cloud Billing stops new rollouts, and lets them go: told to everybody whom it concerns, once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, InvalidOperation

from shared.actions.record import publish_notice, record_entry
from shared.costs.overspent import FREEZE_AT, BudgetStop, plan_stop
from shared.errors import PermanentError, RefusedError
from shared.events.budget import BudgetNotified
from shared.rollout.names import label_value
from shared.rollout.record import LedgerEntry
from shared.wiring import World

ACTOR = "Cloud Billing"


def hear_budget(world: World, said: BudgetNotified) -> None:
    """Freeze, end a freeze, or nothing. What was written and not told is told by the repetition."""
    known = world.store.budgets.all().get(said.budget)
    planned = plan_stop(said, known, _freeze_at(world), world.now())
    if planned.kind == "end" and known is not None and not known.lifted_by:
        _tell(world, "unfreeze", known, f"New rollouts may begin again: {_begun(said)}", ACTOR)
    if planned.stop != known:
        world.store.budgets.put(planned.stop)
    if planned.stop.is_on(world.now()):
        # Again with every repetition: an entry is written once by its id, and a crash may have come between.
        _tell(world, "freeze", planned.stop, _frozen(planned.stop), ACTOR)


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
        _tell(world, "unfreeze", stop, sentence, actor)
        said.append(sentence)
    return "; ".join(said)


def _freeze_at(world: World) -> Decimal:
    """``BUDGET_FREEZES_AT``, a fraction as Cloud Billing has them."""
    text = world.environment.get("BUDGET_FREEZES_AT", "") or str(FREEZE_AT)
    try:
        share = Decimal(text)
    except InvalidOperation:
        share = Decimal(0)
    if not 0 < share <= 10:
        raise PermanentError(f"BUDGET_FREEZES_AT is {text}; it is a fraction of the budget, such as 1.0 for all of it")
    return share


def _begun(said: BudgetNotified) -> str:
    currency = f" {said.currency}" if said.currency else ""
    spent = f"{said.spent:,.2f} of {said.amount:,.2f}{currency}"
    return f"a new interval of the budget {said.name} has begun on {said.since:%Y-%m-%d} ({spent} spent)"


def _frozen(stop: BudgetStop) -> str:
    return (
        f"No new rollout begins until {stop.until:%Y-%m-%d %H:%M} UTC: {stop.reason};"
        " those under way go on, and every rollback happens"
    )


def _tell(world: World, decision: str, stop: BudgetStop, sentence: str, actor: str) -> None:
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
