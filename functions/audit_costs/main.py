"""Topic ``schedule``, job ``audit_costs``: what everything costs, and what would be cheaper."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.audit_costs import audit_costs as audit
from shared.permissions import PUBLISH, REPORTS, STORE
from shared.wiring import world

PERMISSIONS = (
    "aiplatform.endpoints.list",
    "aiplatform.endpoints.update",
    "bigquery.jobs.create",  # the billing export itself is opened by its dataset: infra/costs.tf
    "monitoring.timeSeries.list",
    *STORE,
    *REPORTS,
    PUBLISH,
)


@functions_framework.cloud_event
def audit_costs(event: CloudEvent) -> None:
    """All endpoints of all projects and regions that policies name."""
    runtime.handle_tick(world(), "audit_costs", event, audit)
