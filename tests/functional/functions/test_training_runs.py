"""Training that announces nothing: found, registered once, and never uploaded twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.cloud.aiplatform_v1.services.job_service.client import JobServiceClient
from google.cloud.aiplatform_v1.services.job_service.transports.grpc import JobServiceGrpcTransport
from google.cloud.aiplatform_v1.services.pipeline_service.client import PipelineServiceClient
from google.cloud.aiplatform_v1.services.pipeline_service.transports.grpc import PipelineServiceGrpcTransport

from local.stepped import PARENT, PROJECT, REGION
from local.training import Run, run_pipeline
from shared import topics
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import MODEL, policy

CONTAINER = {"image": "sim/churn:1"}
SPEC: dict[str, Any] = {
    "worker_pool_specs": [{"machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1}],
    "base_output_directory": {"output_uri_prefix": "gs://models/run-7"},
}


@pytest.fixture
def channel(cloud: Cloud) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(cloud.address) as opened:
        yield opened


def run_custom_job(cloud: Cloud, channel: grpc.Channel, name: str = "churn-train", **labels: str) -> None:
    jobs = JobServiceClient(transport=JobServiceGrpcTransport(channel=channel))
    jobs.create_custom_job(parent=PARENT, custom_job={"display_name": name, "job_spec": SPEC, "labels": labels})
    cloud.advance(minutes=12)


def run_training_pipeline(cloud: Cloud, channel: grpc.Channel, model: str = MODEL) -> None:
    pipelines = PipelineServiceClient(transport=PipelineServiceGrpcTransport(channel=channel))
    pipelines.create_training_pipeline(
        parent=PARENT,
        training_pipeline={
            "display_name": "churn-automl",
            "training_task_definition": "gs://schema/automl.yaml",
            "training_task_inputs": {},
            "model_to_upload": {"display_name": model, "container_spec": {"image_uri": "sim/churn:1"}},
            "model_id": model,
        },
    )
    cloud.advance(minutes=12)
    cloud.advance(minutes=1)


def test_a_finished_custom_job_becomes_a_version_once(cloud: Cloud, channel: grpc.Channel) -> None:
    cloud.apply(policy(register={"from": {"custom_job": "churn-train"}, "container": CONTAINER}))
    run_custom_job(cloud, channel, **{"git-sha": "abc123"})
    run_custom_job(cloud, channel, "somebody-elses")
    assert cloud.tick("find_training_runs") == 200
    (message,) = cloud.published(topics.TRAINING_COMPLETED)
    assert cloud.tick("find_training_runs") == 200
    assert cloud.published(topics.TRAINING_COMPLETED) == []
    assert cloud.wake("register_model", message.data) == 500
    cloud.advance(seconds=61)
    assert [cloud.wake("register_model", message.data) for _ in range(2)] == [200, 200]
    (version,) = cloud.versions().values()
    assert version.artifact_uri == "gs://models/run-7/model"
    assert version.labels["vr-job"] == "churn-train"
    assert version.labels["vr-code"] == "abc123"
    assert cloud.emulator.counts["UploadModel"] == 1


def test_a_pipeline_job_announces_itself_and_is_read_for_its_artifact_and_evaluation(cloud: Cloud) -> None:
    cloud.apply(policy(register={"from": {"pipeline": "churn-pipeline"}, "container": CONTAINER}))
    run = Run("run-20261123", metrics={"auc": 0.91}, dataset="churn-2026-11", code_revision="8d04b7e")
    run_pipeline(cloud.address, PROJECT, REGION, run, "churn-pipeline", seconds=600)
    cloud.advance(minutes=5)
    assert set(cloud.deliver(topics.TRAINING_COMPLETED)) == {200}, "its beginning is nothing to act on"
    assert cloud.emulator.counts["UploadModel"] == 0
    cloud.advance(minutes=7)
    (ended,) = cloud.published(topics.TRAINING_COMPLETED)
    assert cloud.wake("register_model", ended.data) == 500
    cloud.advance(seconds=61)
    assert cloud.wake("register_model", ended.data) == 200
    (version,) = cloud.versions().values()
    assert version.artifact_uri == run.uri
    assert (version.labels["vr-code"], version.labels["vr-job"]) == ("8d04b7e", "churn-pipeline")
    assert version.labels["vr-dataset"].startswith("bq-local-project-datasets-churn-2026-11")
    (evaluation,) = cloud.world.registry.evaluations(version)
    assert evaluation.metrics == {"auc": 0.91}


def test_a_running_or_failed_job_is_not_found(cloud: Cloud, channel: grpc.Channel) -> None:
    cloud.apply(policy(register={"from": {"custom_job": "churn-train"}, "container": CONTAINER}))
    run_custom_job(cloud, channel, **{"emulator-outcome": "failed"})
    run_custom_job(cloud, channel, **{"emulator-seconds": "7200"})
    assert cloud.tick("find_training_runs") == 200
    assert cloud.published(topics.TRAINING_COMPLETED) == []
    cloud.advance(hours=2)
    assert cloud.tick("find_training_runs") == 200
    assert len(cloud.published(topics.TRAINING_COMPLETED)) == 1


def test_a_message_that_could_not_be_published_is_found_again(cloud: Cloud, channel: grpc.Channel) -> None:
    cloud.apply(policy(register={"from": {"custom_job": "churn-train"}, "container": CONTAINER}))
    run_custom_job(cloud, channel)
    topic = f"projects/local-project/topics/{topics.TRAINING_COMPLETED}"
    kept = cloud.pubsub.broker.topic(topic)
    cloud.pubsub.broker.remove_topic(topic)
    cloud.tick("find_training_runs")
    cloud.pubsub.broker.add_topic(kept)
    with cloud.cost() as spent:
        assert cloud.tick("find_training_runs") == 200
    assert spent["publish:training-completed"] == 1


def test_what_a_training_pipeline_uploaded_itself_is_adopted(cloud: Cloud, channel: grpc.Channel) -> None:
    cloud.apply(policy(register={"from": {"training_pipeline": "churn-automl"}, "container": CONTAINER}))
    run_training_pipeline(cloud, channel)
    assert list(cloud.versions()) == ["1"]
    assert cloud.tick("find_training_runs") == 200
    assert cloud.deliver(topics.TRAINING_COMPLETED) == [200]
    assert cloud.tick("find_training_runs") == 200
    assert cloud.published(topics.TRAINING_COMPLETED) == []
    assert cloud.emulator.counts["UploadModel"] == 0
    (version,) = cloud.versions().values()
    assert version.labels["vr-run"].startswith("training_pipeline-")
    assert version.labels["vr-job"] == "churn-automl"
    cloud.settle()
    assert [r.version for r in cloud.world.store.rollouts_of_model(MODEL)] == ["1"]


def test_a_training_pipeline_that_uploaded_another_model_is_kept_with_the_reason(
    cloud: Cloud, channel: grpc.Channel
) -> None:
    cloud.apply(policy(register={"from": {"training_pipeline": "churn-automl"}, "container": CONTAINER}))
    run_training_pipeline(cloud, channel, "unexpected")
    cloud.tick("find_training_runs")
    assert cloud.deliver(topics.TRAINING_COMPLETED) == [200]
    (kept,) = cloud.dead_letters()
    assert "registered its model as unexpected, the policy is for churn" in kept.attributes["reason"]


def test_a_run_without_an_artifact_is_kept_with_the_reason(cloud: Cloud) -> None:
    cloud.apply(policy())
    assert cloud.wake("register_model", cloud.train(artifact_uri=None)) == 200
    (kept,) = cloud.dead_letters()
    assert "says nothing of where its model is" in kept.attributes["reason"]


def test_a_run_that_no_policy_wants_is_ignored(cloud: Cloud) -> None:
    cloud.apply(policy())
    assert cloud.wake("register_model", cloud.train(model="other")) == 200
    assert cloud.dead_letters() == []
    assert cloud.emulator.counts["UploadModel"] == 0


def test_an_upload_whose_answer_was_lost_is_found_by_its_label(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.emulator.faults.lose_answer("UploadModel")
    assert cloud.wake("register_model", cloud.train()) == 500
    assert cloud.wake("register_model", cloud.train()) == 500, "the lease of the first delivery stands"
    cloud.advance(minutes=2)
    assert cloud.wake("register_model", cloud.train()) == 200
    assert list(cloud.versions()) == ["1"]
    assert cloud.emulator.counts["UploadModel"] == 1


def test_an_upload_that_never_arrived_is_made_when_the_lease_has_run_out(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.emulator.faults.fail("UploadModel")
    assert cloud.wake("register_model", cloud.train()) == 500
    cloud.advance(minutes=14)
    assert cloud.wake("register_model", cloud.train()) == 500
    assert cloud.emulator.counts["UploadModel"] == 1
    cloud.advance(minutes=2)
    assert cloud.wake("register_model", cloud.train()) == 500
    cloud.advance(minutes=2)
    assert cloud.wake("register_model", cloud.train()) == 200
    assert list(cloud.versions()) == ["1"]


def test_an_upload_that_vertex_refuses_is_kept_with_its_reason(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.emulator.faults.fail_operation("UploadModel", grpc.StatusCode.INVALID_ARGUMENT, "The image cannot be pulled.")
    assert cloud.wake("register_model", cloud.train()) == 500
    cloud.advance(minutes=2)
    assert cloud.wake("register_model", cloud.train()) == 200
    (kept,) = cloud.dead_letters()
    assert "The image cannot be pulled." in kept.attributes["reason"]


def test_two_models_may_have_runs_of_the_same_name(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.apply(policy(model="fraud", targets=[{"region": "us-central1", "endpoint": "fraud-serving"}]))
    cloud.register("run-1")
    cloud.register("run-1", model="fraud")
    assert list(cloud.versions()) == ["1"]
    assert list(cloud.versions("fraud")) == ["1"]
