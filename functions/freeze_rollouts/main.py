"""Topic ``budget-notified``: a budget of Cloud Billing that is spent stops new rollouts, and no rollback."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.overspent import hear_budget
from shared.events.budget import parse_budget_notified
from shared.events.message import Message
from shared.permissions import PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    *STORE,
    PUBLISH,
)


@functions_framework.cloud_event
def freeze_rollouts(event: CloudEvent) -> None:
    """One notification; they come several times a day, with the same numbers until they change."""
    runtime.handle(world(), "freeze_rollouts", event, act)


def act(message: Message) -> None:
    """Parse and call."""
    hear_budget(world(), parse_budget_notified(message))
