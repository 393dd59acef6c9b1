"""What stops forward steps from outside a policy: a person's freeze, and a budget that is spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

ALL_MODELS = "~all"
"""What a freeze is of that is of no single model; no model can have that id."""


@dataclass(frozen=True)
class Stopped:
    """A stop that a person made, of one model or of all; or a budget that is spent."""

    model: str
    by: str
    reason: str
    at: datetime
    until: datetime | None = None
    """None: until somebody lifts it."""
    only_new: bool = False
    """Whether it stops only what has no machine yet: a trial that is under way costs least when it goes on."""


@dataclass(frozen=True)
class BudgetStop:
    """What is known of one budget in the newest interval that was spoken of; without ``exceeded`` it stops nothing."""

    budget: str
    since: datetime
    """When the interval began."""
    exceeded: Decimal
    """The threshold that was passed, as a fraction; 0 while none was that matters."""
    reason: str
    at: datetime
    until: datetime
    lifted_by: str = ""
    """Who let new rollouts go all the same; the next threshold stops them again."""

    def is_on(self, now: datetime) -> bool:
        """Whether it stops anything now."""
        return bool(self.exceeded) and not self.lifted_by and now < self.until
