"""What is asked of JobService for the answers to a fixed set, and what is understood of its replies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.cloud.aiplatform_v1.types import batch_prediction_job, job_service
from google.cloud.aiplatform_v1.types.job_state import JobState

from shared.errors import RefusedError, TransientError
from shared.policy.gate import BatchMachine, FixedSet
from shared.rollout.answers import Answers
from shared.vertex.batch import BatchJobs
from tests.contract.vertex.local_vertex import PROJECT, REGION
from tests.contract.vertex.wire import Wire

NAME = f"projects/123456789012/locations/{REGION}/batchPredictionJobs/7"
ASKED = Answers("churn-v2-5e7", "churn", "2", PROJECT, REGION, "", datetime(2026, 11, 23, 12, 0, tzinfo=UTC), attempt=3)
METRICS = [{"name": "error", "kind": "mean_absolute_error", "at_most": 1}]


def spec(**changes: Any) -> FixedSet:
    fixed = {"instances": "gs://golden/*.jsonl", "output": "gs://answers/churn", "truth": "label", "metrics": METRICS}
    return FixedSet.model_validate(fixed | changes)


def job(**fields: Any) -> batch_prediction_job.BatchPredictionJob:
    return batch_prediction_job.BatchPredictionJob(name=NAME, **fields)


def requested(wire: Wire, fixed: FixedSet, machine: BatchMachine) -> Any:
    wire.answer("CreateBatchPredictionJob", job())
    assert BatchJobs().create(ASKED, fixed, machine) == NAME.replace("123456789012", PROJECT)
    (call,) = wire.calls
    return call.read(job_service.CreateBatchPredictionJobRequest).batch_prediction_job


def test_a_job_names_version_set_output_machine_and_whose_it_is(wire: Wire) -> None:
    accelerator = {"type": "NVIDIA_L4", "count": 2}
    asked = requested(
        wire, spec(), BatchMachine.model_validate({"type": "g2-standard-24", "accelerator": accelerator, "replicas": 3})
    )
    assert asked.model == f"projects/{PROJECT}/locations/{REGION}/models/churn@2"
    assert dict(asked.labels) == {"vr-gate": "churn-v2-5e7-3"}
    assert (asked.input_config.instances_format, list(asked.input_config.gcs_source.uris)) == (
        "jsonl",
        ["gs://golden/*.jsonl"],
    )
    assert list(asked.instance_config.excluded_fields) == ["label"]
    assert asked.output_config.predictions_format == "jsonl"
    assert asked.output_config.gcs_destination.output_uri_prefix == "gs://answers/churn"
    resources = asked.dedicated_resources
    assert (resources.starting_replica_count, resources.max_replica_count) == (3, 3)
    assert (resources.machine_spec.machine_type, resources.machine_spec.accelerator_count) == ("g2-standard-24", 2)


def test_a_table_is_read_by_vertex_ai_and_its_rows_are_objects(wire: Wire) -> None:
    asked = requested(wire, spec(instances="bq://shop.golden.churn"), BatchMachine(type="n1-standard-2"))
    assert asked.input_config.bigquery_source.input_uri == "bq://shop.golden.churn"
    assert asked.input_config.instances_format == "bigquery"
    assert asked.instance_config.instance_type == "object"


def test_an_accelerator_that_there_is_not_is_refused_before_anything_is_asked(wire: Wire) -> None:
    machine = BatchMachine.model_validate({"type": "n1-standard-2", "accelerator": {"type": "ABACUS"}})
    with pytest.raises(RefusedError, match="Vertex AI has no accelerator 'ABACUS'"):
        BatchJobs().create(ASKED, spec(), machine)
    assert not wire.calls


def test_a_call_that_may_have_happened_is_not_repeated(wire: Wire) -> None:
    wire.answer("CreateBatchPredictionJob", grpc.StatusCode.UNAVAILABLE, job())
    with pytest.raises(TransientError):
        BatchJobs().create(ASKED, spec(), BatchMachine(type="n1-standard-2"))
    assert len(wire.calls) == 1


@pytest.mark.parametrize(
    ("state", "has_succeeded", "has_ended"),
    [
        ("QUEUED", False, False),
        ("RUNNING", False, False),
        ("CANCELLING", False, False),
        ("PARTIALLY_SUCCEEDED", True, True),
        ("SUCCEEDED", True, True),
        ("FAILED", False, True),
        ("CANCELLED", False, True),
        ("EXPIRED", False, True),
    ],
)
def test_every_state_is_understood(wire: Wire, state: str, has_succeeded: bool, has_ended: bool) -> None:
    wire.answer(
        "GetBatchPredictionJob", job(state=JobState[f"JOB_STATE_{state}"], labels={"vr-gate": "churn-v2-5e7-3"})
    )
    found = BatchJobs().get(NAME)
    assert found is not None
    assert (found.state, found.label, found.has_succeeded, found.has_ended) == (
        state,
        "churn-v2-5e7-3",
        has_succeeded,
        has_ended,
    )


def test_what_came_of_a_job_is_read(wire: Wire) -> None:
    ended = job(
        state=JobState.JOB_STATE_FAILED,
        error={"code": 8, "message": "no quota for n1-standard-2"},
        output_info={"gcs_output_directory": "gs://answers/churn/prediction-churn-2026_11_23T12_00_00_000Z"},
        completion_stats={"successful_count": 97, "failed_count": 3},
    )
    wire.answer("GetBatchPredictionJob", ended)
    found = BatchJobs().get(NAME)
    assert found is not None
    assert (found.error, found.answered, found.unanswered) == ("no quota for n1-standard-2", 97, 3)
    assert found.directory == "gs://answers/churn/prediction-churn-2026_11_23T12_00_00_000Z"


def test_a_job_that_is_gone_is_none(wire: Wire) -> None:
    wire.answer("GetBatchPredictionJob", grpc.StatusCode.NOT_FOUND)
    assert BatchJobs().get(NAME) is None
