"""Topic ``schedule``, job ``retire_models``: undeploy what nothing needs, give back pinned replicas."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.retire import retire_models as retire
from shared.permissions import LIVE_WRITE, PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    "aiplatform.batchPredictionJobs.cancel",
    "aiplatform.batchPredictionJobs.list",
    "aiplatform.deploymentResourcePools.delete",
    "aiplatform.deploymentResourcePools.list",
    "aiplatform.deploymentResourcePools.queryDeployedModels",
    "aiplatform.endpoints.delete",
    "aiplatform.endpoints.list",
    "aiplatform.endpoints.undeploy",
    "aiplatform.endpoints.update",
    "aiplatform.models.delete",
    "aiplatform.models.list",
    *LIVE_WRITE,
    *STORE,
    PUBLISH,
)


@functions_framework.cloud_event
def retire_models(event: CloudEvent) -> None:
    """All targets of all policies."""
    runtime.handle_tick(world(), "retire_models", event, retire)
