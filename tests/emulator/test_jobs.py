"""Jobs end as compressed time passes; what announces itself and what does not (types/job_service.py, training_pipeline.py)."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.aiplatform_v1.types import JobState, PipelineState

from tests.emulator.conftest import PARENT, STORED, Vertex


def custom_job(vertex: Vertex, name: str = "train", **labels: str) -> Any:
    pools = [{"machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1}]
    job = {"display_name": name, "job_spec": {"worker_pool_specs": pools}, "labels": labels}
    return vertex.jobs.create_custom_job({"parent": PARENT, "custom_job": job})


def test_a_custom_job_waits_runs_and_succeeds_without_a_word_in_the_log(vertex: Vertex) -> None:
    job = custom_job(vertex)
    states = [job.state]
    for seconds in (60, 600):
        vertex.advance(seconds)
        states.append(vertex.jobs.get_custom_job({"name": job.name}).state)
    assert states == [JobState.JOB_STATE_PENDING, JobState.JOB_STATE_RUNNING, JobState.JOB_STATE_SUCCEEDED]
    done = vertex.jobs.get_custom_job({"name": job.name})
    assert (done.end_time - done.start_time).total_seconds() == 600
    assert [entry["protoPayload"]["methodName"].rpartition(".")[2] for entry in vertex.audit()] == ["CreateCustomJob"]


def test_finished_jobs_are_found_by_state_label_and_time(vertex: Vertex) -> None:
    early = custom_job(vertex, "early", model="arr-coc")
    vertex.advance(3600)
    late = custom_job(vertex, "late", model="arr-coc")
    custom_job(vertex, "failing", **{"model": "arr-coc", "emulator-outcome": "failed"})
    vertex.advance(3600)

    def found(text: str) -> set[str]:
        return {job.name for job in vertex.jobs.list_custom_jobs({"parent": PARENT, "filter": text})}

    succeeded = 'state="JOB_STATE_SUCCEEDED" AND labels.model=arr-coc'
    assert found(succeeded) == {early.name, late.name}
    assert found(f'{succeeded} AND create_time>"2026-03-01T12:30:00Z"') == {late.name}
    assert found('display_name:"l*" OR NOT state=JOB_STATE_SUCCEEDED') - {late.name} != set()
    failed = vertex.jobs.list_custom_jobs({"parent": PARENT, "filter": "state=JOB_STATE_FAILED"})
    assert [job.error.code for job in failed] == [13]


def test_a_job_runs_as_long_as_its_label_says_and_can_be_cancelled(vertex: Vertex) -> None:
    short = custom_job(vertex, **{"emulator-seconds": "30"})
    vertex.advance(90)
    assert vertex.jobs.get_custom_job({"name": short.name}).state == JobState.JOB_STATE_SUCCEEDED
    other = custom_job(vertex)
    with pytest.raises(exceptions.FailedPrecondition):
        vertex.jobs.delete_custom_job({"name": other.name})
    vertex.jobs.cancel_custom_job({"name": other.name})
    vertex.advance(3600)
    assert vertex.jobs.get_custom_job({"name": other.name}).state == JobState.JOB_STATE_CANCELLED
    vertex.jobs.delete_custom_job({"name": other.name})
    vertex.advance(60)
    with pytest.raises(exceptions.NotFound):
        vertex.jobs.get_custom_job({"name": other.name})


def test_a_training_pipeline_registers_its_model_itself(vertex: Vertex) -> None:
    pipeline = {
        "display_name": "train",
        "training_task_definition": "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml",
        "training_task_inputs": {},
        "model_to_upload": {"display_name": "Relevance", "labels": {"run": "r1"}},
        "model_id": "relevance",
    }
    made = vertex.pipelines.create_training_pipeline({"parent": PARENT, "training_pipeline": pipeline})
    vertex.advance(659)
    assert not list(vertex.models.list_models({"parent": PARENT}))
    vertex.advance(1)
    done = vertex.pipelines.get_training_pipeline({"name": made.name})
    assert done.state == PipelineState.PIPELINE_STATE_SUCCEEDED
    assert done.model_to_upload.name == f"{STORED}/models/relevance"
    model = vertex.models.get_model({"name": done.model_to_upload.name})
    assert (model.training_pipeline, model.version_id, dict(model.labels)) == (made.name, "1", {"run": "r1"})
    uploads = [e for e in vertex.audit() if e["protoPayload"]["methodName"].endswith(".ModelService.UploadModel")]
    assert [("first" in e["operation"], "last" in e["operation"]) for e in uploads] == [(True, False), (False, True)]


def test_a_training_pipeline_whose_model_id_is_taken_fails_with_that_reason(vertex: Vertex) -> None:
    vertex.upload("relevance")
    pipeline = {
        "display_name": "train",
        "training_task_definition": "gs://x.yaml",
        "training_task_inputs": {},
        "model_to_upload": {"display_name": "Relevance"},
        "model_id": "relevance",
    }
    made = vertex.pipelines.create_training_pipeline({"parent": PARENT, "training_pipeline": pipeline})
    vertex.advance(660)
    failed = vertex.pipelines.get_training_pipeline({"name": made.name})
    assert failed.state == PipelineState.PIPELINE_STATE_FAILED
    assert "already exists" in failed.error.message
    pipeline["parent_model"] = f"{STORED}/models/relevance"
    vertex.pipelines.create_training_pipeline({"parent": PARENT, "training_pipeline": pipeline})
    vertex.advance(660)
    assert vertex.models.get_model({"name": f"{STORED}/models/relevance@2"}).training_pipeline


def test_a_training_pipeline_that_fails_registers_nothing(vertex: Vertex) -> None:
    pipeline = {
        "display_name": "train",
        "training_task_definition": "gs://x.yaml",
        "training_task_inputs": {},
        "model_to_upload": {"display_name": "Relevance"},
        "labels": {"emulator-outcome": "failed"},
    }
    vertex.pipelines.create_training_pipeline({"parent": PARENT, "training_pipeline": pipeline})
    vertex.advance(3600)
    listed = vertex.pipelines.list_training_pipelines({"parent": PARENT, "filter": 'state="PIPELINE_STATE_FAILED"'})
    assert len(list(listed)) == 1
    assert not list(vertex.models.list_models({"parent": PARENT}))


def test_a_pipeline_job_writes_its_states_to_the_log(vertex: Vertex) -> None:
    """Shape from the documentation page "Pipeline logs"."""
    job = {"display_name": "arr-coc-train", "pipeline_spec": {"pipelineInfo": {"name": "arr-coc-train"}}}
    made = vertex.pipelines.create_pipeline_job(
        {"parent": PARENT, "pipeline_job": job, "pipeline_job_id": "arr-coc-train-1"}
    )
    assert made.name == f"{STORED}/pipelineJobs/arr-coc-train-1"
    vertex.advance(660)
    events = [entry for entry in vertex.audit() if "pipeline_job_events" in entry["logName"]]
    assert [entry["jsonPayload"]["state"] for entry in events] == [
        "PIPELINE_STATE_PENDING",
        "PIPELINE_STATE_RUNNING",
        "PIPELINE_STATE_SUCCEEDED",
    ]
    assert events[-1]["logName"] == "projects/local-project/logs/aiplatform.googleapis.com%2Fpipeline_job_events"
    assert events[-1]["jsonPayload"]["@type"].endswith("google.cloud.aiplatform.logging.PipelineJobLogEntry")
    assert events[-1]["jsonPayload"]["pipelineName"] == "arr-coc-train"
    assert events[-1]["resource"]["type"] == "aiplatform.googleapis.com/PipelineJob"
    assert events[-1]["resource"]["labels"]["pipeline_job_id"] == "arr-coc-train-1"
