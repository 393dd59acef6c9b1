"""Topic ``schedule``, job ``find_training_runs``: CustomJobs and TrainingPipelines that ended without a word."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import runtime
from shared.actions.find_runs import find_training_runs as find
from shared.permissions import PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    "aiplatform.customJobs.list",
    "aiplatform.trainingPipelines.list",
    *STORE,
    PUBLISH,
)


@functions_framework.cloud_event
def find_training_runs(event: CloudEvent) -> None:
    """Publish every new one to ``training-completed``."""
    runtime.handle_tick(world(), "find_training_runs", event, find)
