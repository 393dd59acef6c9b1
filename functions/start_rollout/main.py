"""Topic ``model-uploaded``: the offline gate, and one rollout record per model@version and target."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.start import start_rollouts
from shared.events.message import Ignored, Message
from shared.events.model import parse_model_uploaded
from shared.permissions import PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    "aiplatform.modelEvaluations.list",
    "aiplatform.models.list",
    *STORE,
    PUBLISH,
)


@functions_framework.cloud_event
def start_rollout(event: CloudEvent) -> None:
    """Queue the version's rollouts, or reject them with the numbers."""
    runtime.handle(world(), "start_rollout", event, act)


def act(message: Message) -> None:
    """Parse and call."""
    uploaded = parse_model_uploaded(message)
    if isinstance(uploaded, Ignored):
        runtime.ignore(uploaded)
    else:
        start_rollouts(world(), uploaded, message.id)
