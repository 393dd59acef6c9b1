"""Topic ``training-completed``: one finished training run becomes one new version."""

from __future__ import annotations

import uuid

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.register import register_model as register
from shared.events.message import Ignored, Message
from shared.events.training import parse_training_completed
from shared.permissions import PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    "aiplatform.modelEvaluations.import",
    "aiplatform.modelEvaluations.list",
    "aiplatform.models.get",
    "aiplatform.models.list",
    "aiplatform.models.update",
    "aiplatform.models.upload",
    "aiplatform.pipelineJobs.get",
    *STORE,
    PUBLISH,
)


@functions_framework.cloud_event
def register_model(event: CloudEvent) -> None:
    """Upload the version with its lineage, or find the one that an earlier delivery made."""
    runtime.handle(world(), "register_model", event, act)


def act(message: Message) -> None:
    """Parse and call."""
    run = parse_training_completed(message)
    if isinstance(run, Ignored):
        runtime.ignore(run)
    else:
        register(world(), run, holder=f"{message.id}-{uuid.uuid4().hex[:8]}")
