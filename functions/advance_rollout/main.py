"""Topic ``rollout-due``: one step of one rollout."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.advance import advance_rollout as advance
from shared.events.message import Message
from shared.events.rollout import parse_rollout_due
from shared.permissions import LIVE_WRITE, PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    "aiplatform.batchPredictionJobs.create",
    "aiplatform.batchPredictionJobs.get",
    "aiplatform.batchPredictionJobs.list",
    "aiplatform.deploymentResourcePools.create",
    "aiplatform.deploymentResourcePools.get",
    "aiplatform.endpoints.create",
    "aiplatform.endpoints.delete",
    "aiplatform.endpoints.deploy",
    "aiplatform.endpoints.get",
    "aiplatform.endpoints.undeploy",
    "aiplatform.endpoints.update",
    "aiplatform.modelEvaluations.list",
    "aiplatform.models.get",
    "aiplatform.models.list",
    "aiplatform.models.update",
    "aiplatform.models.upload",
    *LIVE_WRITE,
    *STORE,
    PUBLISH,
)


@functions_framework.cloud_event
def advance_rollout(event: CloudEvent) -> None:
    """Look at everything again and take the next step, if there is one."""
    runtime.handle(world(), "advance_rollout", event, act, max_age=None)


def act(message: Message) -> None:
    """Parse and call."""
    due = parse_rollout_due(message)
    runtime.refuse_stale(world(), message, runtime.HINT_AGE)
    advance(world(), due.rollout, message.id)
