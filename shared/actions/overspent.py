"""A budget of Cloud Billing stops new rollouts, and lets them go: told to everybody whom it concerns, once."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from shared.actions.freezing import tell_budget
from shared.costs.overspent import FREEZE_AT, plan_stop
from shared.errors import PermanentError
from shared.events.budget import BudgetNotified
from shared.rollout.stops import BudgetStop
from shared.wiring import World

ACTOR = "Cloud Billing"


def hear_budget(world: World, said: BudgetNotified) -> None:
    """Freeze, end a freeze, or nothing. What was written and not told is told by the repetition."""
    known = world.store.budgets.all().get(said.budget)
    planned = plan_stop(said, known, _freeze_at(world), world.now())
    if planned.kind == "end" and known is not None and not known.lifted_by:
        tell_budget(world, "unfreeze", known, f"New rollouts may begin again: {_begun(said)}", ACTOR)
    if planned.stop != known:
        world.store.budgets.put(planned.stop)
    if planned.stop.is_on(world.now()):
        # Again with every repetition: an entry is written once by its id, and a crash may have come between.
        tell_budget(world, "freeze", planned.stop, _frozen(planned.stop), ACTOR)


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
