"""Custom jobs, batch predictions, training pipelines and pipeline jobs: created, listed, and completed as compressed time passes.

A job's label ``emulator-seconds`` sets how long it runs, ``emulator-outcome: failed`` lets it fail; so can the injected
faults. A finished TrainingPipeline uploads its ``model_to_upload`` itself (types/training_pipeline.py); a PipelineJob writes
its states to the log; a CustomJob announces nothing, as in the cloud.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
from google.cloud.aiplatform_v1.types import JobState, PipelineState
from google.protobuf import empty_pb2

from vertex_emulator.errors import ApiError, exists, invalid, missing, precondition
from vertex_emulator.filters import compile_filter, order, page
from vertex_emulator.messages import Document, Message, copy_of, dumped, loaded, moment, raw, timestamp
from vertex_emulator.names import check_labels
from vertex_emulator.operations import Decided, Work

if TYPE_CHECKING:
    from vertex_emulator.filters import Fields
    from vertex_emulator.operations import Operations
    from vertex_emulator.state import State

PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED = 2, 3, 4, 5, 7  # the same in JobState and PipelineState
_OVER = (SUCCEEDED, FAILED, CANCELLED)
_FIELDS = (
    "display_name",
    "state",
    "labels",
    "create_time",
    "update_time",
    "start_time",
    "end_time",
    "pipeline_name",
    "model_display_name",
)
_RETRY = timedelta(seconds=1)
_ORDER = ("display_name", "create_time", "update_time", "end_time")
_OUTPUT_ONLY = ("name", "state", "error", "create_time", "update_time", "start_time", "end_time")


@dataclass(frozen=True)
class Kind:
    """One kind of job: how its messages and its collection are called."""

    message: str
    collection: str
    field: str
    """The job's field in a create request, and (plural) in a list response."""
    states: type[JobState] | type[PipelineState]
    needs_display_name: bool = True


CUSTOM_JOB = Kind("CustomJob", "customJobs", "custom_job", JobState)
BATCH_PREDICTION_JOB = Kind("BatchPredictionJob", "batchPredictionJobs", "batch_prediction_job", JobState)
TRAINING_PIPELINE = Kind("TrainingPipeline", "trainingPipelines", "training_pipeline", PipelineState)
PIPELINE_JOB = Kind("PipelineJob", "pipelineJobs", "pipeline_job", PipelineState, needs_display_name=False)


@dataclass(frozen=True)
class _Plan:
    """What will become of a job."""

    begins: datetime
    ends: datetime
    error: ApiError | None


class Jobs:
    """One kind of job; its methods are bound to the service's names by ``methods``."""

    def __init__(
        self,
        kind: Kind,
        state: State,
        operations: Operations,
        on_success: Callable[[Message, datetime], None] = lambda _job, _now: None,
        on_state: Callable[[Message], None] = lambda _job: None,
        check: Callable[[Message], None] = lambda _job: None,
        is_ready: Callable[[Message], bool] = lambda _job: True,
        on_load: Callable[[Message], None] = lambda _job: None,
    ) -> None:
        """``on_success`` runs before a job succeeds, and may raise ``ApiError``: the job fails with it.

        ``check`` may refuse a job that is to be created; ``is_ready`` is asked once a job's time is over; ``on_load`` hears of
        every job that is loaded from a file.
        """
        self._kind = kind
        self._state = state
        self._operations = operations
        self._on_success = on_success
        self._on_state = on_state
        self._check = check
        self._is_ready = is_ready
        self._on_load = on_load
        self._jobs: dict[str, Message] = {}
        self._plans: dict[str, _Plan] = {}
        operations.make(f"Delete{kind.message}", self._deleting)

    def methods(self) -> dict[str, Callable[[Any], Any]]:
        """Return the handlers by method name, e.g. ``CreateCustomJob``."""
        name = self._kind.message
        return {
            f"Create{name}": self._create,
            f"Get{name}": lambda request: self._find(request.name),
            f"List{name}s": self._list,
            f"Cancel{name}": self._cancel,
            f"Delete{name}": self._delete,
        }

    def _create(self, request: Any) -> Any:
        parent = self._state.projects.location(request.parent)
        job = copy_of(getattr(request, self._kind.field))
        if self._kind.needs_display_name and not job.display_name:
            invalid(f"{self._kind.field}.display_name is required.")
        check_labels(job.labels)
        self._check(job)
        now = self._state.clock()
        for field in _OUTPUT_ONLY:
            job.ClearField(field)
        chosen = getattr(request, "pipeline_job_id", "")
        job.name = f"{parent}/{self._kind.collection}/{chosen or self._state.new_id()}"
        if job.name in self._jobs:
            exists(f"The {self._kind.message} {job.name}")
        job.create_time.CopyFrom(timestamp(now))
        method = f"Create{self._kind.message}"
        seconds = float(job.labels.get("emulator-seconds", self._state.config.durations.job))
        error = self._state.faults.operation_error(method, job.name)
        if error is None and job.labels.get("emulator-outcome") == "failed":
            error = ApiError(grpc.StatusCode.INTERNAL, "The replica workerpool0-0 exited with a non-zero status of 1.")
        self._jobs[job.name] = job
        self._enter(job, PENDING, now)
        begins = now + timedelta(seconds=self._state.config.durations.job_queue)
        ends = begins + timedelta(seconds=self._state.faults.duration(method, seconds, job.name))
        self._plan(job, _Plan(begins, ends, error))
        return job

    def _plan(self, job: Message, plan: _Plan) -> None:
        self._plans[job.name] = plan
        self._state.timeline.plan(plan.begins, lambda at: self._run(job, at))
        self._state.timeline.plan(plan.ends, lambda at: self._end(job, plan.error, at))

    def _run(self, job: Message, now: datetime) -> None:
        if job.state == PENDING:
            self._enter(job, RUNNING, now)

    def _list(self, request: Any) -> Any:
        parent = self._state.projects.location(request.parent)
        matches = compile_filter(request.filter, _FIELDS)
        found = [
            job
            for name, job in reversed(self._jobs.items())
            if name.startswith(f"{parent}/{self._kind.collection}/") and matches(self._fields(job))
        ]
        if order_by := getattr(request, "order_by", ""):
            found = order(found, order_by, self._fields, _ORDER)
        shown, token = page(found, request.page_size, request.page_token)
        response = raw(f"List{self._kind.message}sResponse")(next_page_token=token)
        getattr(response, f"{self._kind.field}s").extend(shown)
        return response

    def _cancel(self, request: Any) -> Any:
        job = self._find(request.name)
        if job.state not in _OVER:
            self._enter(job, CANCELLED, self._state.clock())
        return empty_pb2.Empty()

    def _delete(self, request: Any) -> Any:
        job = self._find(request.name)
        if job.state not in _OVER:
            precondition(f"{job.name} is still running: cancel it first.")

        return self._operations.begin(
            f"Delete{self._kind.message}",
            job.name,
            request,
            raw("DeleteOperationMetadata")(),
            self._state.config.durations.delete,
        )

    def _deleting(self, name: str, _: Message, __: Decided) -> Work:
        def finish(_: datetime) -> Message:
            self._jobs.pop(name, None)
            return empty_pb2.Empty()

        return Work(finish)

    def find(self, name: str) -> Message | None:
        """Return the job of a full name."""
        return self._jobs.get(name)

    def dump(self) -> list[Document]:
        """Return all jobs as JSON has them."""
        return [{"job": dumped(job), "plan": _dumped_plan(self._plans.get(name))} for name, job in self._jobs.items()]

    def load(self, documents: Iterable[Document], shift: timedelta) -> None:
        """Take over jobs that were dumped; those that were not over go on, with as much time left as they had."""
        for document in documents:
            job = loaded(document["job"])
            self._jobs[job.name] = job
            if document["plan"] is not None and job.state not in _OVER:
                self._plan(job, _loaded_plan(document["plan"], shift))
            self._on_load(job)

    def clear(self) -> None:
        """Forget all jobs."""
        self._jobs.clear()
        self._plans.clear()

    def _find(self, name: str) -> Message:
        stored, _ = self._state.projects.resource(name, self._kind.collection)
        job = self._jobs.get(stored)
        if job is None:
            missing(f"The {self._kind.message} {name}")
        return job

    def _end(self, job: Message, error: ApiError | None, now: datetime) -> None:
        if job.state in _OVER:
            return
        if not self._is_ready(job):
            again = max(now, self._state.clock()) + _RETRY
            self._state.timeline.plan(again, lambda later: self._end(job, error, later))
            return
        if error is None:
            try:
                self._on_success(job, now)
            except ApiError as refusal:
                error = refusal
        if error is not None:
            job.error.code = error.number
            job.error.message = error.message
        self._enter(job, SUCCEEDED if error is None else FAILED, now)

    def _enter(self, job: Message, state: int, now: datetime) -> None:
        if job.state in _OVER:
            return
        job.state = state
        job.update_time.CopyFrom(timestamp(now))
        if state == RUNNING:
            job.start_time.CopyFrom(timestamp(now))
        elif state in _OVER:
            self._plans.pop(job.name, None)
            job.end_time.CopyFrom(timestamp(now))
        self._on_state(job)

    def _fields(self, job: Message) -> Fields:
        values = {
            "display_name": job.display_name,
            "state": self._kind.states(job.state).name,
            "labels": dict(job.labels),
            "pipeline_name": pipeline_name(job) if self._kind is PIPELINE_JOB else "",
        }
        for field in ("create_time", "update_time", "start_time", "end_time"):
            if job.HasField(field):
                values[field] = moment(getattr(job, field))
        return values.get


def _dumped_plan(plan: _Plan | None) -> Document | None:
    if plan is None:
        return None
    error = [plan.error.code.name, plan.error.message] if plan.error else None
    return {"begins": plan.begins.isoformat(), "ends": plan.ends.isoformat(), "error": error}


def _loaded_plan(document: Document, shift: timedelta) -> _Plan:
    error = document["error"]
    return _Plan(
        datetime.fromisoformat(document["begins"]) + shift,
        datetime.fromisoformat(document["ends"]) + shift,
        ApiError(grpc.StatusCode[error[0]], error[1]) if error else None,
    )


def pipeline_name(job: Message) -> str:
    """Return the name of the pipeline that a PipelineJob runs, from its specification."""
    spec = job.pipeline_spec
    if "pipelineInfo" not in spec:
        return str(job.display_name)
    return str(spec["pipelineInfo"]["name"])
