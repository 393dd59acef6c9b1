"""A training run is over.

Of Vertex AI's three kinds of training only PipelineJob announces its end, by a log entry that a sink exports. CustomJobs and
TrainingPipelines are found by polling and published in our own form, which training code may also publish by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from shared.errors import PermanentError
from shared.events.log_entry import LogEntry
from shared.events.message import Ignored, Message
from shared.events.wire import (
    LooseObject,
    LooseText,
    Moment,
    Ours,
    Text,
    Theirs,
    decode_object,
    encode,
    last_segment,
    part_of,
    read_as,
    read_ours,
    show_keys,
    write_moment,
)

SCHEMA = "training-completed/v1"
Kind = Literal["pipeline", "custom_job", "training_pipeline", "message"]


@dataclass(frozen=True)
class TrainingRun:
    """One finished training run; ``kind`` and ``run_id`` together are its identity."""

    kind: Kind
    run_id: str
    """The last segment of the resource, or the plain message's own."""
    project: str | None
    region: str | None
    resource: str | None
    """The full resource name; None for a plain message that names none."""
    display_name: str | None
    """None for a PipelineJob's log entry: the job has to be read."""
    model: str | None
    """Only a plain message names the model; other runs are matched by their display name."""
    artifact_uri: str | None
    """None: to be read from the job."""
    labels: Mapping[str, str]
    metrics: Mapping[str, float] | None
    """Evaluation metrics that the message itself brings."""
    dataset: str | None
    code_revision: str | None
    pipeline_job: str | None
    """The full name of the PipelineJob that this run belongs to (Model.pipeline_job)."""
    finished_at: datetime | None
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """Further models of the same run, such as a light one for edge devices, by the name that a policy has in ``register.artifact``."""


@dataclass(frozen=True)
class Variant:
    """One further model that a run has made."""

    artifact_uri: str
    metrics: Mapping[str, float] | None = None


class _Variant(Theirs):
    model_config = ConfigDict(extra="forbid")
    artifact_uri: Text
    metrics: dict[str, float] | None = None


class _Wire(Ours):
    kind: Kind = "message"
    run_id: Text | None = None
    project: Text | None = None
    region: Text | None = None
    resource: Text | None = None
    display_name: Text | None = None
    model: Text | None = None
    artifact_uri: Text | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, float] | None = None
    dataset: Text | None = None
    code_revision: Text | None = None
    pipeline_job: Text | None = None
    finished_at: Moment | None = None
    variants: dict[str, _Variant] = Field(default_factory=dict)


class _PipelinePayload(Theirs):
    """google.cloud.aiplatform.logging.PipelineJobLogEntry."""

    type: LooseText = Field(default=None, alias="@type")
    pipeline_name: LooseText = Field(default=None, alias="pipelineName")
    state: LooseText = None


class _PipelineEntry(LogEntry):
    payload: Annotated[_PipelinePayload, LooseObject] = Field(default=_PipelinePayload(), alias="jsonPayload")


def parse_training_completed(message: Message) -> TrainingRun | Ignored:
    """A PipelineJob's log entry, or a message of our own form."""
    value = decode_object(message.data, "training-completed")
    if "schema" in value:
        return _own(value)
    if "logName" in value and "jsonPayload" in value:
        return _pipeline_job(read_as(_PipelineEntry, value, "PipelineJob log entry"))
    raise PermanentError(
        f'training-completed: expected a PipelineJob log entry (logName, jsonPayload) or "schema": "{SCHEMA}";'
        f" found {show_keys(value)}"
    )


def training_completed_message(run: TrainingRun) -> bytes:
    """What ``find_training_runs`` publishes; ``parse_training_completed`` reads the same run back."""
    return encode(SCHEMA, {**asdict(run), "finished_at": write_moment(run.finished_at)})


def _own(value: Mapping[str, Any]) -> TrainingRun:
    wire = read_ours(_Wire, value, SCHEMA)
    run_id = wire.run_id or (last_segment(wire.resource) if wire.resource else None)
    if not run_id:
        raise PermanentError(f"{SCHEMA}: run_id: is missing; it tells a repeated message from a new run")
    if wire.kind == "message" and not wire.model:
        raise PermanentError(f"{SCHEMA}: model: is missing; a plain message has to name the model it belongs to")
    if wire.kind != "message" and not wire.resource:
        raise PermanentError(f"{SCHEMA}: resource: is missing; a {wire.kind} is read by its full resource name")
    return TrainingRun(
        kind=wire.kind,
        run_id=run_id,
        project=wire.project or part_of(wire.resource, "projects"),
        region=wire.region or part_of(wire.resource, "locations"),
        resource=wire.resource,
        display_name=wire.display_name,
        model=wire.model,
        artifact_uri=wire.artifact_uri,
        labels=wire.labels,
        metrics=wire.metrics,
        dataset=wire.dataset,
        code_revision=wire.code_revision,
        pipeline_job=wire.pipeline_job or (wire.resource if wire.kind == "pipeline" else None),
        finished_at=wire.finished_at,
        variants={name: Variant(one.artifact_uri, one.metrics) for name, one in wire.variants.items()},
    )


def _pipeline_job(entry: _PipelineEntry) -> TrainingRun | Ignored:
    log = last_segment(entry.log_name or "").removeprefix("aiplatform.googleapis.com%2F")
    if log == "pipeline_job_task_events":
        return Ignored("one task of a pipeline run, not the run")
    if log != "pipeline_job_events":
        return Ignored(f"an entry of the log {log[:60]!r}, not of pipeline_job_events")
    labels = entry.resource.labels
    said = entry.payload.pipeline_name
    # Whether pipelineName is the job's name or only its pipeline's is not documented; the resource's label is the job's id for certain.
    name = said if said and part_of(said, "pipelineJobs") else labels.get("pipeline_job_id") or said
    if not name or not (run_id := last_segment(name)):
        raise PermanentError("PipelineJob log entry: jsonPayload.pipelineName: expected the job's name; found none")
    if not entry.payload.state:
        raise PermanentError(
            "PipelineJob log entry: jsonPayload.state: expected one of PIPELINE_STATE_*, such as PIPELINE_STATE_SUCCEEDED; found none"
        )
    state = entry.payload.state.removeprefix("PIPELINE_STATE_")
    if state != "SUCCEEDED":
        return Ignored(f"pipeline run {run_id[:100]} is {state[:60]}")
    project = entry.project(name)
    region = part_of(name, "locations") or labels.get("location")
    resource = name if part_of(name, "projects") else None
    if resource is None and project and region:
        resource = f"projects/{project}/locations/{region}/pipelineJobs/{run_id}"
    return TrainingRun(
        kind="pipeline",
        run_id=run_id,
        project=project,
        region=region,
        resource=resource,
        display_name=None,
        model=None,
        artifact_uri=None,
        labels={},
        metrics=None,
        dataset=None,
        code_revision=None,
        pipeline_job=resource,
        finished_at=entry.timestamp,
    )
