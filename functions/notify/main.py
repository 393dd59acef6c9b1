"""Topic ``rollout-changed``: one message to the people who care."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.notify import notify_people
from shared.events.message import Message
from shared.events.rollout import parse_rollout_changed
from shared.permissions import PUBLISH, SECRETS, STORE
from shared.wiring import world

PERMISSIONS = (*STORE, PUBLISH, SECRETS)


@functions_framework.cloud_event
def notify(event: CloudEvent) -> None:
    """Send the ledger entry to the policy's channels that do not have it yet."""
    runtime.handle(world(), "notify", event, act)


def act(message: Message) -> None:
    """Parse and call."""
    notify_people(world(), parse_rollout_changed(message))
