"""No function is granted what it never needs."""

from __future__ import annotations

import grpc

from infra.table import load_table
from local.identity import Issuer
from local.stepped import PROJECT, REGION
from local.training import Run, run_pipeline
from shared import topics
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ENDPOINT, MODEL, judged
from tests.functional.functions.test_gate import GATE
from tests.functional.functions.test_training_runs import run_custom_job

SOURCES = {
    "pipeline": "churn-pipeline",
    "custom_job": "churn-train",
    "training_pipeline": "churn-automl",
    "message": True,
}
OF_OTHER_STORIES = {
    "assess_rollouts": {"monitoring.timeSeries.create"},  # a copy of what was reported: test_quality
    # An upload that is looked at while it is under way, and one that took the alias `default`: test_versions.
    "register_model": {"aiplatform.models.get", "aiplatform.models.update"},
    # A shadow that is given up: test_shadow.
    # And machines that are shared: test_co_hosting.
    "advance_rollout": {
        "aiplatform.endpoints.delete",
        "aiplatform.endpoints.undeploy",
        # A version that is copied to another region or project: test_regions.
        "aiplatform.models.upload",
        # Answers to a fixed set: test_fixed_set.
        "aiplatform.batchPredictionJobs.create",
        "aiplatform.batchPredictionJobs.get",
        "aiplatform.batchPredictionJobs.list",
        "aiplatform.deploymentResourcePools.create",
        "aiplatform.deploymentResourcePools.get",
    },
    # Replicas that are given back: test_capacity; what it cannot read goes to the dead letters. A shadow that is left: test_shadow. Versions
    # beyond the retention: test_after_promotion.
    "retire_models": {
        "aiplatform.batchPredictionJobs.cancel",
        "aiplatform.batchPredictionJobs.list",
        "aiplatform.endpoints.update",
        "aiplatform.endpoints.delete",
        "aiplatform.models.delete",
        "aiplatform.deploymentResourcePools.delete",
        "aiplatform.deploymentResourcePools.list",
        "aiplatform.deploymentResourcePools.queryDeployedModels",
        "aiplatform.models.list",
        "pubsub.topics.publish",
    },
    # An endpoint without our labels: test_adopt; one in another region: test_adopt_regions.
    "receive_command": {
        "aiplatform.endpoints.update",
        "aiplatform.models.get",
        "aiplatform.models.list",
        "aiplatform.models.update",
    },
}
"""What this story does not come by, function by function; every story refuses what is not granted."""
OTHER_TOPICS = {
    # What is superseded or fails at its deployment: test_deploying, test_versions.
    "advance_rollout": {topics.ALERT_FIRED, topics.ROLLOUT_DUE},
    "receive_command": {topics.ALERT_FIRED},  # an abort
    "assess_rollouts": {topics.SCHEDULE},  # more rollouts than one tick has time for: test_shards
}
NOT_RECORDED = ("datastore.", "secretmanager.", "storage.")
"""Of services that answer here without asking who calls."""


def test_a_whole_life_needs_all_that_is_granted(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged(gate=GATE, register={"from": SOURCES, "container": {"image": "sim/churn:1"}}))
    run_pipeline(cloud.address, PROJECT, REGION, Run("run-1", metrics={"auc": 0.9}), "churn-pipeline", seconds=60)
    cloud.advance(minutes=2)
    (*_, ended) = cloud.published(topics.TRAINING_COMPLETED)
    for wait in (61, 0):
        cloud.wake("register_model", ended.data)
        cloud.advance(seconds=wait)
    with grpc.insecure_channel(cloud.address) as channel:
        run_custom_job(cloud, channel)
    assert cloud.tick("find_training_runs") == 200
    cloud.settle()
    for minutes in (0, 1, 10, 1, 1):
        cloud.advance(minutes=minutes)
        cloud.tick("assess_rollouts")
        cloud.settle()
    assert cloud.split() == {"1": 100}
    cloud.deploy("run-2")
    for command in ("pause", "resume", "promote"):
        cloud.tell(command, "2")
    cloud.minutes(8, errors={"2": 0.5})
    assert cloud.split() == {"1": 100}
    cloud.advance(minutes=15)
    assert cloud.tick("retire_models") == 200
    cloud.command({"command": "adopt", "model": MODEL})
    assert ENDPOINT in str(cloud.endpoint())
    for name, row in load_table().items():
        if name in cloud.permissions:
            granted = {one for one in row.granted if not one.startswith(NOT_RECORDED)}
            unused = granted - cloud.permissions[name] - OF_OTHER_STORIES.get(name, set())
            unheard = set(row.publishes) - cloud.publications[name] - {topics.DEAD_LETTERS}
            assert not unheard - OTHER_TOPICS.get(name, set()), f"{name} has never published to {sorted(unheard)}"
            assert not unused, f"{name} is granted {sorted(unused)}, which a whole life never needed"
