from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.cloud.aiplatform_v1.services.job_service.client import JobServiceClient
from google.cloud.aiplatform_v1.services.job_service.transports.grpc import JobServiceGrpcTransport
from google.cloud.aiplatform_v1.services.pipeline_service.client import PipelineServiceClient
from google.cloud.aiplatform_v1.services.pipeline_service.transports.grpc import PipelineServiceGrpcTransport
from google.cloud.aiplatform_v1.types import artifact as artifacts
from google.cloud.aiplatform_v1.types import custom_job, job_service, pipeline_job, training_pipeline
from google.cloud.aiplatform_v1.types import model as models

from shared.vertex.jobs import LONGEST_RUN, Jobs
from tests.contract.vertex.local_vertex import PROJECT, REGION, LocalVertex
from tests.contract.vertex.wire import Wire

PARENT = f"projects/{PROJECT}/locations/{REGION}"


def start_custom_job(vertex: LocalVertex, name: str, seconds: int, outcome: str = "") -> str:
    labels = {"emulator-seconds": str(seconds), "team": "search"} | ({"emulator-outcome": outcome} if outcome else {})
    job = custom_job.CustomJob(
        display_name=name,
        labels=labels,
        job_spec=custom_job.CustomJobSpec(base_output_directory={"output_uri_prefix": f"gs://bucket/{name}/"}),
    )
    with grpc.insecure_channel(vertex.address) as channel:
        client = JobServiceClient(transport=JobServiceGrpcTransport(channel=channel))
        return str(client.create_custom_job(parent=PARENT, custom_job=job).name)


def start_training_pipeline(vertex: LocalVertex, name: str) -> None:
    job = training_pipeline.TrainingPipeline(
        display_name=name,
        input_data_config=training_pipeline.InputDataConfig(dataset_id="314"),
        model_id="relevance",
        model_to_upload=models.Model(
            display_name="Relevance",
            artifact_uri="gs://bucket/trained/model",
            container_spec={"image_uri": "example/serving:1"},
        ),
    )
    with grpc.insecure_channel(vertex.address) as channel:
        client = PipelineServiceClient(transport=PipelineServiceGrpcTransport(channel=channel))
        client.create_training_pipeline(parent=PARENT, training_pipeline=job)


def test_custom_jobs_that_succeeded_are_found_in_the_order_of_their_end(vertex: LocalVertex) -> None:
    since = vertex.now
    slow = start_custom_job(vertex, "train", 900)
    quick = start_custom_job(vertex, "train", 300)
    start_custom_job(vertex, "train", 300, outcome="failed")
    start_custom_job(vertex, "train", 90_000)
    start_custom_job(vertex, "other", 300)
    vertex.after(1200)

    found = Jobs().custom_jobs(PROJECT, REGION, since, "train")

    assert [job.run_id for job in found] == [quick.rpartition("/")[2], slow.rpartition("/")[2]]
    first = found[0]
    assert first.resource == f"{PARENT}/customJobs/{first.run_id}"
    assert (first.kind, first.state, first.display_name) == ("custom_job", "SUCCEEDED", "train")
    assert first.artifact_uri == "gs://bucket/train/model"
    assert first.labels["team"] == "search"
    assert first.finished_at == since + timedelta(seconds=360)  # 60 s in the queue
    assert len(Jobs().custom_jobs(PROJECT, REGION, since)) == 3


def test_jobs_that_ended_before_are_not_found_again(vertex: LocalVertex) -> None:
    start_custom_job(vertex, "train", 60)
    vertex.after(600)
    assert Jobs().custom_jobs(PROJECT, REGION, vertex.now) == []


def test_all_pages_of_jobs_are_read(wire: Wire) -> None:
    end = datetime(2026, 11, 23, tzinfo=UTC)
    pages = [
        job_service.ListCustomJobsResponse(
            custom_jobs=[{"name": "a/customJobs/2", "end_time": end}], next_page_token="x"
        ),
        job_service.ListCustomJobsResponse(custom_jobs=[{"name": "a/customJobs/1", "end_time": end}]),
    ]
    wire.answer("ListCustomJobs", *pages)
    since = end - timedelta(hours=1)
    assert [job.run_id for job in Jobs().custom_jobs("p", "r", since, "train")] == ["1", "2"]
    assert wire.methods() == ["ListCustomJobs"] * 2
    begun = (since - LONGEST_RUN).strftime("%Y-%m-%dT%H:%M:%SZ")
    sent = wire.calls[0].read(job_service.ListCustomJobsRequest)
    assert sent.filter == f'state="JOB_STATE_SUCCEEDED" AND create_time>="{begun}" AND display_name="train"'


def test_a_training_pipeline_tells_what_it_registered(vertex: LocalVertex) -> None:
    since = vertex.now
    start_training_pipeline(vertex, "nightly")
    vertex.after(1200)
    (found,) = Jobs().training_pipelines(PROJECT, REGION, since, "nightly")
    assert (found.kind, found.state) == ("training_pipeline", "SUCCEEDED")
    assert found.artifact_uri == "gs://bucket/trained/model"
    assert found.dataset == "314"
    assert found.uploaded_model is not None
    assert found.uploaded_model.partition("@")[0] == "relevance"


def artifact(kind: str, uri: str = "", **metadata: Any) -> artifacts.Artifact:
    return artifacts.Artifact(schema_title=kind, uri=uri, metadata=metadata)


def task(number: int, name: str, **outputs: artifacts.Artifact) -> pipeline_job.PipelineTaskDetail:
    return pipeline_job.PipelineTaskDetail(
        task_id=number,
        task_name=name,
        outputs={output: {"artifacts": [made]} for output, made in outputs.items()},
    )


def pipeline(*tasks: pipeline_job.PipelineTaskDetail) -> pipeline_job.PipelineJob:
    return pipeline_job.PipelineJob(
        name="projects/123456789012/locations/us-central1/pipelineJobs/run-7",
        display_name="arr-coc-train",
        state="PIPELINE_STATE_SUCCEEDED",
        end_time=datetime(2026, 11, 23, 12, tzinfo=UTC),
        labels={"git": "abc"},
        job_detail={"task_details": tasks},
    )


def test_a_pipeline_is_read_for_its_model_its_metrics_and_its_data(wire: Wire) -> None:
    wire.answer(
        "GetPipelineJob",
        pipeline(
            task(1, "split", train=artifact("system.Dataset", "gs://bucket/train.jsonl")),
            task(2, "train", model=artifact("system.Model", "gs://bucket/run-7/model")),
            task(
                3,
                "evaluate",
                metrics=artifact("system.Metrics", relevance_auc=0.87, note="good", by={"de": 0.8}),
                curve=artifact("system.ClassificationMetrics", auPrc=0.9, confidenceMetrics=[{"recall": 1.0}]),
            ),
            task(
                4,
                "upload",
                model=artifact("google.VertexModel", resourceName="projects/1/locations/r/models/relevance@4"),
            ),
        ),
    )

    found = Jobs().pipeline_job(PROJECT, REGION, "projects/123456789012/locations/us-central1/pipelineJobs/run-7")

    assert found is not None
    assert found.resource == f"{PARENT}/pipelineJobs/run-7"
    assert (found.kind, found.run_id, found.state) == ("pipeline", "run-7", "SUCCEEDED")
    assert found.artifact_uri == "gs://bucket/run-7/model"
    assert found.artifacts == {"model": "gs://bucket/run-7/model"}
    assert found.metrics == {"relevance_auc": 0.87, "by.de": 0.8, "auPrc": 0.9}
    assert found.dataset == "gs://bucket/train.jsonl"
    assert found.uploaded_model == "relevance@4"
    assert found.labels == {"git": "abc"}
    assert wire.calls[0].routing == f"name={PARENT}/pipelineJobs/run-7"


def test_a_pipeline_with_several_models_names_them_by_output(wire: Wire) -> None:
    wire.answer(
        "GetPipelineJob",
        pipeline(
            task(1, "tokenise", model=artifact("system.Model", "gs://bucket/tokeniser")),
            task(
                2,
                "train",
                model=artifact("system.Model", "gs://bucket/model"),
                distilled=artifact("google.UnmanagedContainerModel", "gs://bucket/small"),
            ),
        ),
    )
    found = Jobs().pipeline_job(PROJECT, REGION, "run-7")
    assert found is not None
    assert found.artifact_uri == ""
    assert found.artifacts == {
        "tokenise.model": "gs://bucket/tokeniser",
        "train.model": "gs://bucket/model",
        "distilled": "gs://bucket/small",
    }


def test_a_model_handed_on_by_another_task_is_one_model(wire: Wire) -> None:
    made = artifact("system.Model", "gs://bucket/model")
    wire.answer("GetPipelineJob", pipeline(task(1, "train", model=made), task(2, "check", model=made)))
    found = Jobs().pipeline_job(PROJECT, REGION, "run-7")
    assert found is not None
    assert found.artifacts == {"model": "gs://bucket/model"}


def test_a_pipeline_job_that_is_gone_is_none(wire: Wire) -> None:
    wire.answer("GetPipelineJob", grpc.StatusCode.NOT_FOUND)
    assert Jobs().pipeline_job(PROJECT, REGION, "run-7") is None
