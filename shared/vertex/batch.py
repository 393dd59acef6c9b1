"""Batch prediction jobs: one answers a whole set of instances and writes the answers to a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.cloud.aiplatform_v1.services.job_service.client import JobServiceClient
from google.cloud.aiplatform_v1.services.job_service.transports.grpc import JobServiceGrpcTransport
from google.cloud.aiplatform_v1.types import accelerator_type, batch_prediction_job, job_service, machine_resources
from google.cloud.aiplatform_v1.types.job_state import JobState
from google.rpc import code_pb2

from shared.channels import vertex_clients
from shared.errors import NotFoundError, RefusedError
from shared.gapic import patience
from shared.gapic.errors import translated
from shared.gapic.values import moment, raw, raw_pages
from shared.policy.gate import BatchMachine, FixedSet
from shared.rollout.answers import GATE, Answers, BatchJob
from shared.vertex import full_names

_PAGE = 100
_OVER = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED")


class BatchJobs:
    """Vertex AI's JobService as far as it predicts, one call per method (lists: one per page)."""

    def __init__(self) -> None:
        self._client = vertex_clients(JobServiceClient, JobServiceGrpcTransport)

    def create(self, answers: Answers, spec: FixedSet, machine: BatchMachine) -> str:
        """Start the job that makes these answers; its name. Vertex AI lets nobody choose the name, so the label says whose it is."""
        model = full_names.model(answers.project, answers.region, answers.model, answers.version)
        request = job_service.CreateBatchPredictionJobRequest(
            parent=full_names.location(answers.project, answers.region),
            batch_prediction_job=batch_prediction_job.BatchPredictionJob(
                display_name=answers.label,
                model=model,
                labels={GATE: answers.label},
                input_config=_input(spec),
                instance_config=_instances(spec),
                output_config={
                    "predictions_format": "jsonl",
                    "gcs_destination": {"output_uri_prefix": spec.output},
                },
                dedicated_resources=machine_resources.BatchDedicatedResources(
                    machine_spec=_machine(machine),
                    starting_replica_count=machine.replicas,
                    max_replica_count=machine.replicas,
                ),
            ),
        )
        with translated(f"starting a batch prediction of {answers.model}@{answers.version} on {spec.instances}"):
            made = self._client(answers.region).create_batch_prediction_job(request, **patience.write())
        return full_names.of_project(made.name, answers.project)

    def get(self, name: str) -> BatchJob | None:
        """The job as it is now; None where there is none of that name."""
        request = job_service.GetBatchPredictionJobRequest(name=name)
        try:
            with translated(f"reading batch prediction {full_names.last_segment(name)}"):
                reply = self._client(full_names.region_of(name)).get_batch_prediction_job(request, **patience.read())
        except NotFoundError:
            return None
        return _job(raw(reply), name)

    def of(self, answers: Answers) -> list[BatchJob]:
        """Every job that was started for these answers, oldest first."""
        found = self._listed(answers.project, answers.region, f"labels.{GATE}={answers.label}")
        return sorted(found, key=lambda job: (str(job.created_at), job.name))

    def under_way(self, project: str, region: str) -> list[BatchJob]:
        """Every job of ours that has not ended."""
        states = " AND ".join(f'state!="JOB_STATE_{state}"' for state in _OVER)
        return list(self._listed(project, region, f"labels.{GATE}:* AND {states}"))

    def cancel(self, job: BatchJob) -> None:
        """Ask it to end; one that has ended is no error."""
        request = job_service.CancelBatchPredictionJobRequest(name=job.name)
        with translated(f"cancelling batch prediction {full_names.last_segment(job.name)}"):
            self._client(full_names.region_of(job.name)).cancel_batch_prediction_job(request, **patience.write())

    def _listed(self, project: str, region: str, words: str) -> Iterator[BatchJob]:
        request = job_service.ListBatchPredictionJobsRequest(
            parent=full_names.location(project, region), filter=words, page_size=_PAGE
        )
        with translated(f"listing the batch predictions of {project}/{region}"):
            pager = self._client(region).list_batch_prediction_jobs(request, **patience.read())
            found = list(raw_pages(pager, "batch_prediction_jobs"))
        for message in found:
            yield _job(message, full_names.of_project(message.name, project))


def _input(spec: FixedSet) -> Any:
    if spec.instances.startswith("bq://"):
        return {"instances_format": spec.format, "bigquery_source": {"input_uri": spec.instances}}
    return {"instances_format": spec.format, "gcs_source": {"uris": [spec.instances]}}


def _instances(spec: FixedSet) -> Any:
    """A row of a table goes to the model as an object, as a line of JSON does; its truth stays behind and is put beside the answer."""
    config: dict[str, Any] = {"instance_type": "object"} if spec.format == "bigquery" else {}
    return config | ({"excluded_fields": [spec.truth]} if spec.truth else {})


def _machine(machine: BatchMachine) -> Any:
    spec = machine_resources.MachineSpec(machine_type=machine.type)
    if machine.accelerator:
        known = {kind.name: kind for kind in accelerator_type.AcceleratorType if kind.value}
        if machine.accelerator.type not in known:
            raise RefusedError(f"Vertex AI has no accelerator {machine.accelerator.type!r} for a batch prediction")
        spec.accelerator_type = known[machine.accelerator.type]
        spec.accelerator_count = machine.accelerator.count
    return spec


def _job(message: Any, name: str) -> BatchJob:
    error = message.error
    return BatchJob(
        name=name,
        label=message.labels.get(GATE, ""),
        state=JobState(message.state).name.removeprefix("JOB_STATE_"),
        created_at=moment(message, "create_time"),
        error=error.message or (code_pb2.Code.Name(error.code) if error.code else ""),
        directory=message.output_info.gcs_output_directory,
        answered=message.completion_stats.successful_count,
        unanswered=message.completion_stats.failed_count,
    )
