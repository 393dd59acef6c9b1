"""Finished training: CustomJobs, TrainingPipelines and PipelineJobs.

Only PipelineJobs announce their end (by a log entry), and that entry names no artifact. So the first two are found by listing,
and the third is read when its entry arrives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from google.cloud.aiplatform_v1.services.job_service.client import JobServiceClient
from google.cloud.aiplatform_v1.services.job_service.transports.grpc import JobServiceGrpcTransport
from google.cloud.aiplatform_v1.services.pipeline_service.client import PipelineServiceClient
from google.cloud.aiplatform_v1.services.pipeline_service.transports.grpc import PipelineServiceGrpcTransport
from google.cloud.aiplatform_v1.types import job_service, pipeline_service
from google.cloud.aiplatform_v1.types.job_state import JobState
from google.cloud.aiplatform_v1.types.pipeline_state import PipelineState

from shared.channels import vertex_clients
from shared.errors import NotFoundError
from shared.gapic import patience
from shared.gapic.errors import translated
from shared.gapic.values import moment, numbers, plain, raw, raw_pages
from shared.vertex import full_names

LONGEST_RUN = timedelta(days=30)
"""Jobs can be filtered by their beginning but not by their end: one that took longer than this is not found."""

_MODEL_ARTIFACTS = {"system.Model", "google.UnmanagedContainerModel"}
_REGISTERED_MODEL = "google.VertexModel"
_METRICS = {"system.Metrics", "system.ClassificationMetrics"}
_DATASETS = {"system.Dataset", "google.VertexDataset"}
_PAGE = 100


@dataclass(frozen=True)
class FinishedJob:
    """One training run as Vertex AI has it; only a PipelineJob that was asked for by name may still be running."""

    kind: str
    """``custom_job``, ``training_pipeline`` or ``pipeline``."""
    resource: str
    run_id: str
    """The last segment of ``resource``."""
    display_name: str
    state: str
    """Without the enum's prefix, e.g. ``SUCCEEDED``."""
    finished_at: datetime | None
    artifact_uri: str = ""
    """Where the model is; empty when the run has none, or several (see ``artifacts``)."""
    labels: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    dataset: str = ""
    uploaded_model: str | None = None
    """``model@version`` that the run registered by itself; without a version where Vertex AI does not say which."""
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """Every model among a pipeline's outputs: URI by the output's name, ``task.output`` where two tasks share it."""


class Jobs:
    """Vertex AI's JobService and PipelineService, reading only."""

    def __init__(self) -> None:
        self._jobs = vertex_clients(JobServiceClient, JobServiceGrpcTransport)
        self._pipelines = vertex_clients(PipelineServiceClient, PipelineServiceGrpcTransport)

    def custom_jobs(
        self, project: str, region: str, since: datetime, display_name: str | None = None
    ) -> list[FinishedJob]:
        """CustomJobs that succeeded after ``since``, in the order in which they ended."""
        request = job_service.ListCustomJobsRequest(
            parent=full_names.location(project, region),
            filter=_filter("JOB_STATE_SUCCEEDED", since, display_name),
            page_size=_PAGE,
        )
        with translated(f"listing the custom jobs of {project}/{region}"):
            pager = self._jobs(region).list_custom_jobs(request, **patience.read())
            found = [_custom_job(item, project) for item in raw_pages(pager, "custom_jobs")]
        return _ended_after(since, found)

    def training_pipelines(
        self, project: str, region: str, since: datetime, display_name: str | None = None
    ) -> list[FinishedJob]:
        """TrainingPipelines that succeeded after ``since``, in the order in which they ended."""
        request = pipeline_service.ListTrainingPipelinesRequest(
            parent=full_names.location(project, region),
            filter=_filter("PIPELINE_STATE_SUCCEEDED", since, display_name),
            page_size=_PAGE,
        )
        with translated(f"listing the training pipelines of {project}/{region}"):
            pager = self._pipelines(region).list_training_pipelines(request, **patience.read())
            found = [_training_pipeline(item, project) for item in raw_pages(pager, "training_pipelines")]
        return _ended_after(since, found)

    def pipeline_job(self, project: str, region: str, name: str) -> FinishedJob | None:
        """One PipelineJob, by id or full name, in whatever state it is; None where there is none."""
        job_id = full_names.last_segment(name)
        request = pipeline_service.GetPipelineJobRequest(
            name=f"{full_names.location(project, region)}/pipelineJobs/{job_id}"
        )
        try:
            with translated(f"reading pipeline job {project}/{region}/{job_id}"):
                reply = self._pipelines(region).get_pipeline_job(request, **patience.read())
        except NotFoundError:
            return None
        return _pipeline_job(raw(reply), project)


def _filter(state: str, since: datetime, display_name: str | None) -> str:
    begun = (since - LONGEST_RUN).strftime("%Y-%m-%dT%H:%M:%SZ")
    terms = [f'state="{state}"', f'create_time>="{begun}"']
    if display_name:
        terms.append(f'display_name="{display_name}"')
    return " AND ".join(terms)


def _ended_after(since: datetime, jobs: list[FinishedJob]) -> list[FinishedJob]:
    ended = [(job.finished_at, job.run_id, job) for job in jobs if job.finished_at and job.finished_at > since]
    return [job for _, _, job in sorted(ended, key=lambda row: row[:2])]


def _custom_job(message: Any, project: str) -> FinishedJob:
    output = message.job_spec.base_output_directory.output_uri_prefix.rstrip("/")
    return FinishedJob(
        kind="custom_job",
        resource=full_names.of_project(message.name, project),
        run_id=full_names.last_segment(message.name),
        display_name=message.display_name,
        state=JobState(message.state).name.removeprefix("JOB_STATE_"),
        finished_at=moment(message, "end_time"),
        # What training code finds as AIP_MODEL_DIR (CustomJobSpec.base_output_directory).
        artifact_uri=f"{output}/model" if output else "",
        labels=dict(message.labels),
    )


def _training_pipeline(message: Any, project: str) -> FinishedJob:
    model = message.model_to_upload
    return FinishedJob(
        kind="training_pipeline",
        resource=full_names.of_project(message.name, project),
        run_id=full_names.last_segment(message.name),
        display_name=message.display_name,
        state=_pipeline_state(message),
        finished_at=moment(message, "end_time"),
        artifact_uri=model.artifact_uri,
        labels=dict(message.labels),
        dataset=message.input_data_config.dataset_id,
        uploaded_model=full_names.model_at(model.name, model.version_id) if model.name else None,
    )


def _pipeline_state(message: Any) -> str:
    return str(PipelineState(message.state).name).removeprefix("PIPELINE_STATE_")


@dataclass(frozen=True)
class _Output:
    """One artifact that a task of a pipeline has put out."""

    task: str
    name: str
    kind: str
    uri: str
    metadata: Mapping[str, Any]


def _pipeline_job(message: Any, project: str) -> FinishedJob:
    outputs = list(_outputs(message))
    artifacts = _model_artifacts(outputs)
    uris = set(artifacts.values())
    registered = [str(o.metadata.get("resourceName", "")) for o in outputs if o.kind == _REGISTERED_MODEL]
    metrics: dict[str, float] = {}
    for output in outputs:
        if output.kind in _METRICS:
            metrics |= numbers(output.metadata)
    return FinishedJob(
        kind="pipeline",
        resource=full_names.of_project(message.name, project),
        run_id=full_names.last_segment(message.name),
        display_name=message.display_name,
        state=_pipeline_state(message),
        finished_at=moment(message, "end_time"),
        artifact_uri=uris.pop() if len(uris) == 1 else "",
        labels=dict(message.labels),
        metrics=metrics,
        dataset=next((o.uri for o in outputs if o.kind in _DATASETS and o.uri), ""),
        uploaded_model=next((full_names.model_at(name, "") for name in registered if name), None),
        artifacts=artifacts,
    )


def _outputs(message: Any) -> Iterator[_Output]:
    tasks = sorted(message.job_detail.task_details, key=lambda task: task.task_id)
    for task in tasks:
        for name in sorted(task.outputs):
            for artifact in task.outputs[name].artifacts:
                yield _Output(task.task_name, name, artifact.schema_title, artifact.uri, plain(artifact.metadata))


def _model_artifacts(outputs: list[_Output]) -> dict[str, str]:
    """Models by output name. The same model handed on by a second task under the same name is one."""
    by_name: dict[str, dict[str, str]] = defaultdict(dict)
    for output in outputs:
        if output.kind in _MODEL_ARTIFACTS and output.uri:
            by_name[output.name][output.task] = output.uri
    named: dict[str, str] = {}
    for name, by_task in by_name.items():
        if len(set(by_task.values())) == 1:
            named[name] = next(iter(by_task.values()))
        else:
            named |= {f"{task}.{name}": uri for task, uri in by_task.items()}
    return named
