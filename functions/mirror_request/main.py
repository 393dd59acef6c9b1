"""Topic ``prediction-logged``: ask the candidate in its shadow what a user has asked, and compare the answers."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.mirror import mirror_request as mirror
from shared.events.message import Message
from shared.events.prediction import parse_prediction_logged
from shared.permissions import PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    "aiplatform.endpoints.predict",
    *STORE,
    PUBLISH,
)


@functions_framework.cloud_event
def mirror_request(event: CloudEvent) -> None:
    """One request."""
    runtime.handle(world(), "mirror_request", event, act)


def act(message: Message) -> None:
    """Parse and call."""
    mirror(world(), parse_prediction_logged(message))
