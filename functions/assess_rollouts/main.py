"""Topic ``schedule``, job ``assess_rollouts``: observe everything in bulk, judge, publish what is due."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.assess import assess_rollouts as assess
from shared.permissions import LIVE, PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    "aiplatform.endpoints.list",
    "monitoring.timeSeries.create",
    "monitoring.timeSeries.list",
    *LIVE,
    *STORE,
    PUBLISH,
)


@functions_framework.cloud_event
def assess_rollouts(event: CloudEvent) -> None:
    """One tick."""
    runtime.handle_shard(world(), "assess_rollouts", event, assess)
