"""Topic ``quality-reported``: count what was reported of the quality of answers, once."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.quality import record_quality as record
from shared.events.message import Message
from shared.events.quality import parse_quality_reported
from shared.permissions import PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    *STORE,
    PUBLISH,
)


@functions_framework.cloud_event
def record_quality(event: CloudEvent) -> None:
    """One report."""
    runtime.handle(world(), "record_quality", event, act)


def act(message: Message) -> None:
    """Parse and call."""
    record(world(), parse_quality_reported(message))
