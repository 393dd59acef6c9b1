"""Topic ``schedule``, job ``replay_requests``: publish logged requests for the shadows whose policy reads the log."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.replay import replay_requests as replay
from shared.permissions import PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    "bigquery.jobs.create",
    "bigquery.tables.getData",
    *STORE,
    PUBLISH,
)


@functions_framework.cloud_event
def replay_requests(event: CloudEvent) -> None:
    """All shadows."""
    runtime.handle_tick(world(), "replay_requests", event, replay)
