"""Which budgets of Cloud Billing have stopped new rollouts: one document, since there are few and every look at a queued rollout reads it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from shared.rollout.stops import ALL_MODELS, BudgetStop, Stopped
from shared.store.documents import Documents

BUDGETS = "~budgets"
"""Its id among the freezes; no model can have it."""


class Budgets:
    """What is known of each budget."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def all(self) -> dict[str, BudgetStop]:
        """By the budget's id."""
        stored = self._documents.get("freezes", BUDGETS)
        return read_budgets(stored.body) if stored else {}

    def put(self, stop: BudgetStop) -> None:
        """What is known of one. ConflictError where another one has written meanwhile."""
        stored = self._documents.get("freezes", BUDGETS)
        known = read_budgets(stored.body) if stored else {}
        body = _body({**known, stop.budget: stop})
        if stored is None:
            self._documents.create("freezes", BUDGETS, body)
        else:
            self._documents.replace("freezes", BUDGETS, body, stored.revision)


def read_budgets(body: dict[str, Any]) -> dict[str, BudgetStop]:
    """What the document holds."""
    return _adapter().validate_python(body["budgets"])


def as_stops(body: dict[str, Any]) -> list[Stopped]:
    """As freezes of all that is new; what a person has lifted is none."""
    return [
        Stopped(ALL_MODELS, "Cloud Billing", one.reason, one.at, one.until, only_new=True)
        for one in read_budgets(body).values()
        if one.exceeded and not one.lifted_by
    ]


def _body(budgets: dict[str, BudgetStop]) -> dict[str, Any]:
    return {"budgets": _adapter().dump_python(budgets, mode="json")}


@lru_cache
def _adapter() -> TypeAdapter[dict[str, BudgetStop]]:
    return TypeAdapter(dict[str, BudgetStop])
