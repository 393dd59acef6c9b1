"""Topic ``alert-fired``: give the traffic back. One read and one write of Vertex AI, then everything else."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.roll_back import roll_back as give_back
from shared.events.alert import parse_alert
from shared.events.message import Message
from shared.permissions import LIVE_WRITE, PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    "aiplatform.endpoints.get",
    "aiplatform.endpoints.update",
    *LIVE_WRITE,
    *STORE,
    PUBLISH,
)


@functions_framework.cloud_event
def roll_back(event: CloudEvent) -> None:
    """Do what the rollback table says about this alert, however old it is: Monitoring sends an incident once."""
    runtime.handle(world(), "roll_back", event, act, max_age=None)


def act(message: Message) -> None:
    """Parse and call."""
    give_back(world(), parse_alert(message.data), message.id, message.published_at)
