"""The offline gate: what a version must show before any machine that serves is paid for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.policy.base import Strict
from shared.policy.findings import Finding, refuse
from shared.policy.shadow import Comparison, JsonPath
from shared.policy.units import Duration, Share, described

ANSWERED = "answered"
"""The check that is always made of a fixed set."""
WITHOUT_TRUTH = "mean"


class GateMetric(Strict):
    """One evaluation metric, before any machine is paid for."""

    name: str
    at_least: float | None = None
    at_most: float | None = None
    not_below_champion_by: float | None = Field(default=None, ge=0)
    not_above_champion_by: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        given = (self.at_least, self.at_most, self.not_below_champion_by, self.not_above_champion_by)
        if all(limit is None for limit in given):
            refuse(
                [
                    Finding(
                        f"the metric {self.name} has no limit",
                        allowed="at least one of at_least, at_most, not_below_champion_by, not_above_champion_by",
                    )
                ]
            )
        return self

    @property
    def needs_champion(self) -> bool:
        return self.not_below_champion_by is not None or self.not_above_champion_by is not None


class FixedMetric(GateMetric):
    """One number over all answers to the fixed set."""

    kind: Literal["accuracy", "auc", "mean_absolute_error", "mean_squared_error", "mean"]
    path: JsonPath = "$"
    """Which part of a prediction is meant."""

    @property
    def recipe(self) -> str:
        """How it is computed, whatever it is called and limited by."""
        return f"{self.kind} {self.path}"


class Accelerator(Strict):
    type: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Z0-9_]+$"),
        described("an AcceleratorType such as NVIDIA_TESLA_T4 or NVIDIA_L4"),
    ]
    count: int = Field(default=1, ge=1, le=16)


class BatchMachine(Strict):
    """What a batch prediction job runs on (BatchDedicatedResources)."""

    type: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9]+-[a-z0-9-]+$"), described("a machine type such as n1-standard-4")
    ]
    accelerator: Accelerator | None = None
    replicas: int = Field(default=1, ge=1, le=100)


class FixedSet(Strict):
    """Instances that every version answers in a batch prediction job before it is deployed, the champion too."""

    instances: Annotated[
        str,
        StringConstraints(pattern=r"^(gs://[a-z0-9][a-z0-9._-]+/.+|bq://[^.]+\.[^.]+\.[^.]+)$"),
        described("gs://BUCKET/OBJECT, where * stands for anything, or bq://PROJECT.DATASET.TABLE"),
    ]
    """Where the set is. The champion's answers are computed once for it, and again when its objects are written anew."""
    format: Literal["jsonl", "csv", "bigquery", "tf-record", "tf-record-gzip", "file-list"] = "jsonl"
    """``instances_format`` of the job; ``bigquery`` for a table, which need not be said."""
    output: Annotated[
        str, StringConstraints(pattern=r"^gs://[a-z0-9][a-z0-9._-]+(/.*)?$"), described("gs://BUCKET/FOLDER")
    ]
    """Where Vertex AI writes the answers, a folder for each job; the bucket's own lifecycle deletes them."""
    truth: str | None = Field(default=None, min_length=1)
    """The field of each instance that is the right answer. It is kept from the model (``excluded_fields``)."""
    metrics: list[FixedMetric] = Field(default=[])
    compare: list[Comparison] = Field(default=[])
    """As in a shadow: the answers beside the champion's, for each instance."""
    answered: Share = 1.0
    """The share of instances that must be answered at all."""
    machine: BatchMachine | None = None
    """Default: the policy's machine, one of it."""
    deadline: Duration = timedelta(hours=6)
    """How long one job may take, from the request."""
    failed: Literal["reject", "pass"] = "reject"
    """What a job means that failed, was cancelled or has not ended by then, the champion's too."""

    @model_validator(mode="before")
    @classmethod
    def _of_a_table(cls, value: object) -> object:
        is_table = isinstance(value, dict) and str(value.get("instances", "")).startswith("bq://")
        return {"format": "bigquery", **value} if is_table and isinstance(value, dict) else value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        refuse(self._findings())
        return self

    def _findings(self) -> Iterator[Finding]:
        if not self.metrics and not self.compare:
            message = "nothing is computed of the answers"
            yield Finding(message, (), "metrics, compare or both", (("metrics",), ("compare",)))
        if self.instances.startswith("bq://") != (self.format == "bigquery"):
            message = f"{self.instances} is not of the format {self.format}"
            allowed = "bigquery for bq://, another one for gs://"
            yield Finding(message, ("format",), allowed, (("format",), ("instances",)))
        if self.truth and self.format not in ("jsonl", "bigquery"):
            message = f"instances of the format {self.format} have no fields that could be kept from the model"
            yield Finding(message, ("truth",), "format: jsonl, or a table", (("truth",), ("format",)))
        for number, metric in enumerate(self.metrics):
            if metric.kind != WITHOUT_TRUTH and not self.truth:
                message = f"{metric.kind} needs the right answers"
                yield Finding(message, ("metrics", number, "kind"), "truth, or kind: mean", (("metrics",), ("truth",)))
        yield from self._same_names()

    def _same_names(self) -> Iterator[Finding]:
        first: dict[str, str] = {ANSWERED: "the check of how many were answered"}
        for key, names in (("metrics", [m.name for m in self.metrics]), ("compare", [c.name for c in self.compare])):
            for number, name in enumerate(names):
                taken = first.setdefault(name, f"{key}[{number}]")
                if taken != f"{key}[{number}]":
                    message = f"{name} is the name of {taken} already"
                    yield Finding(message, (key, number, "name"), "each name once", (("metrics",), ("compare",)))

    @property
    def needs_champion(self) -> bool:
        return bool(self.compare) or any(metric.needs_champion for metric in self.metrics)


class Gate(Strict):
    """The offline gate."""

    metrics: list[GateMetric] = Field(default=[])
    wait: Duration = timedelta(hours=2)
    """How long a missing evaluation is waited for: it is often imported after the upload."""
    missing: Literal["reject", "pass"] = "reject"
    """What an evaluation means that did not come in that time."""
    fixed_set: FixedSet | None = None
    """A set that the candidate answers in a batch prediction job, once it has passed ``metrics``."""
