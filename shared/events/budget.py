"""A budget of Cloud Billing, as it publishes it several times a day: what was spent of how much, and which threshold was passed.

Cloud Billing names the account and the budget in attributes and the rest in the data (version 1.0 of the notification). Thresholds are
fractions: 0.9 is 90 %. The same numbers come again and again, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from shared.errors import PermanentError
from shared.events.message import Message
from shared.events.wire import LooseText, Moment, Theirs, decode_object, read_as
from shared.text import one_line

WHAT = "budget-notified"
VERSION = "1.0"


@dataclass(frozen=True)
class BudgetNotified:
    """One notification."""

    account: str
    budget: str
    """The budget's id, which its name may change without."""
    name: str
    """What people call it."""
    spent: Decimal
    amount: Decimal
    currency: str
    since: datetime
    """When the interval began in which that was spent."""
    exceeded: Decimal | None = None
    """The highest threshold that was passed, as a fraction of the amount; None while none was."""


def _decimal(value: object) -> object:
    """JSON's number by its digits: 0.9 is 0.9."""
    return Decimal(repr(value)) if isinstance(value, float) else value


Number = Annotated[Decimal, BeforeValidator(_decimal), Field(allow_inf_nan=False)]


class _Data(Theirs):
    name: LooseText = Field(None, alias="budgetDisplayName")
    spent: Number = Field(alias="costAmount")
    amount: Annotated[Number, Field(gt=0)] = Field(alias="budgetAmount")
    since: Moment = Field(alias="costIntervalStart")
    currency: LooseText = Field(None, alias="currencyCode")
    exceeded: Annotated[Number, Field(ge=0)] | None = Field(None, alias="alertThresholdExceeded")


class _Attributes(Theirs):
    account: Annotated[str, Field(min_length=1, max_length=100, alias="billingAccountId")]
    budget: Annotated[str, Field(min_length=1, max_length=100, alias="budgetId")]
    version: Annotated[str, Field(alias="schemaVersion")] = VERSION


def parse_budget_notified(message: Message) -> BudgetNotified:
    """PermanentError where it is not version 1.0 of the notification."""
    value = decode_object(message.data, WHAT)
    named = read_as(_Attributes, dict(message.attributes), f"{WHAT}: attributes")
    if named.version != VERSION:
        raise PermanentError(f"{WHAT}: expected schemaVersion {VERSION}; found {named.version[:20]}")
    data = read_as(_Data, value, WHAT)
    return BudgetNotified(
        named.account,
        named.budget,
        one_line(data.name or named.budget)[:100],
        data.spent,
        data.amount,
        data.currency or "",
        data.since,
        data.exceeded or None,
    )
