"""What a version has answered to a fixed set, and what is computed of it: pure, on plain JSON values.

One batch prediction job makes the answers of one version; what is kept of them are numbers, so that a champion's are there for every later
candidate. Nobody waits for a job: each look finds it as far as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any

from shared.policy.gate import FixedMetric, FixedSet
from shared.policy.shadow import Comparison
from shared.rollout.comparing import does_agree, select

GATE = "vr-gate"
"""The label of a job: whose answers it makes, and at which attempt."""


class State(StrEnum):
    """How far the answers are."""

    ASKED = "asked"
    MADE = "made"
    FAILED = "failed"


@dataclass(frozen=True)
class Answers:
    """What is known of the answers of one version to one set."""

    id: str
    model: str
    version: str
    project: str
    region: str
    instances: str
    """Where the set is, for sentences."""
    asked_at: datetime
    """When the job was asked for: the intent is written down before the call."""
    attempt: int = 1
    job: str = ""
    """Its name; empty until Vertex AI has answered. One whose name was lost is found by its label."""
    state: State = State.ASKED
    ended_at: datetime | None = None
    directory: str = ""
    error: str = ""
    """Why there are none."""
    answered: int = 0
    unanswered: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    """Of every metric, by its recipe; one that no answer has a value for is not there."""
    recipes: tuple[str, ...] = ()
    """What was computed, whether it came to a value or not."""
    agreed: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """How many were compared with a champion's and how many agree, by ``agreement_key``."""

    @property
    def label(self) -> str:
        """The value of ``GATE``: another one for every attempt."""
        return f"{self.id}-{self.attempt}"


@dataclass(frozen=True)
class BatchJob:
    """A batch prediction job as read at one moment."""

    name: str
    label: str
    state: str
    """Without the enum's prefix: ``RUNNING``."""
    created_at: datetime | None = None
    error: str = ""
    directory: str = ""
    answered: int = 0
    unanswered: int = 0

    @property
    def has_ended(self) -> bool:
        return self.has_succeeded or self.state in ("FAILED", "CANCELLED", "EXPIRED")

    @property
    def has_succeeded(self) -> bool:
        return self.state in ("SUCCEEDED", "PARTIALLY_SUCCEEDED")


def set_digest(spec: FixedSet, generations: Iterable[tuple[str, int]]) -> str:
    """What makes a set the same: where it is, how it is read, and which objects are there now."""
    parts = [spec.instances, spec.format, spec.truth or "", *(f"{name}#{number}" for name, number in generations)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def answers_id(model: str, version: str, digest: str) -> str:
    """One document for each version and set; with an attempt behind it a legal label (at most 63 of ``[a-z0-9_-]``)."""
    return f"{model[:32]}-v{version}-{digest}"


def is_answer_file(name: str) -> bool:
    """Whether an object of a job's directory has predictions: as models of one's own write them, or those with schemata."""
    return name.rpartition("/")[2].startswith(("prediction.results-", "predictions_"))


@dataclass(frozen=True)
class Answer:
    """One line."""

    instance: Any
    prediction: Any
    truth: Any = None


def read_answers(lines: Iterable[bytes], truth: str | None) -> Iterator[Answer]:
    """``{"instance": ..., "prediction": ...}``; the field that was kept from the model is in the instance, or beside it. ValueError for
    a line that is none."""
    for line in lines:
        if not line.strip():
            continue
        found = json.loads(line)
        if not isinstance(found, dict) or "prediction" not in found:
            raise ValueError(f"no prediction in {line[:100]!r}")
        instance, right = found.get("instance"), None
        if truth is not None:
            right = found.get(truth)
            if isinstance(instance, dict):
                right = instance.get(truth, right)
                instance = {key: value for key, value in instance.items() if key != truth}
        yield Answer(instance, found["prediction"], right)


def compute(metrics: Sequence[FixedMetric], answers: Sequence[Answer]) -> dict[str, float]:
    """Every metric by its recipe; one without a single usable answer is left out."""
    made = {metric.recipe: _value(metric, answers) for metric in metrics}
    return {recipe: value for recipe, value in made.items() if value is not None}


def _value(metric: FixedMetric, answers: Sequence[Answer]) -> float | None:
    pairs = [(_one(metric.path, answer.prediction), answer.truth) for answer in answers]
    if metric.kind == "accuracy":
        exact = Comparison(name="accuracy", kind="label", at_least=1.0)
        right = [does_agree(exact, truth, found) for found, truth in pairs if truth is not None]
        return sum(right) / len(right) if right else None
    numbers = [(_number(found), _number(truth)) for found, truth in pairs]
    if metric.kind == "mean":
        return _mean([found for found, _ in numbers if found is not None])
    known = [(found, truth) for found, truth in numbers if found is not None and truth is not None]
    if metric.kind == "auc":
        return _area(known)
    power = 1 if metric.kind == "mean_absolute_error" else 2
    return _mean([abs(found - truth) ** power for found, truth in known])


def _one(path: str, prediction: Any) -> Any:
    found = select(path, prediction)
    return found[0] if len(found) == 1 else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _area(scored: Iterable[tuple[float, float]]) -> float | None:
    """The area under the ROC curve: how often one that is true (above 0) has the higher score; equal scores count half."""
    ranked = sorted(scored)
    positives = sum(truth > 0 for _, truth in ranked)
    negatives = len(ranked) - positives
    if not positives or not negatives:
        return None
    below = won = 0.0
    for _, ties in groupby(ranked, key=lambda pair: pair[0]):
        true = [truth > 0 for _, truth in ties]
        won += sum(true) * (below + (len(true) - sum(true)) / 2)
        below += len(true) - sum(true)
    return won / (positives * negatives)


def agreement_key(comparison: Comparison, champion: Answers) -> str:
    """Another one when the champion is asked anew, or something else is looked at."""
    recipe = comparison.model_dump_json(exclude={"name", "at_least", "min_samples", "gating"})
    return hashlib.sha256(f"{champion.label}\0{recipe}".encode()).hexdigest()[:16]


def compare(
    comparisons: Sequence[Comparison], candidate: Iterable[Answer], champion: Iterable[Answer]
) -> list[tuple[int, int]]:
    """For each comparison how many instances both have answered, and on how many of them they agree; files have no order."""
    waiting: dict[bytes, list[Any]] = defaultdict(list)
    for answer in champion:
        waiting[_instance_key(answer.instance)].append(answer.prediction)
    both, agreeing = 0, [0] * len(comparisons)
    for answer in candidate:
        found = waiting.get(_instance_key(answer.instance))
        if not found:
            continue
        both += 1
        before = found.pop()
        for number, comparison in enumerate(comparisons):
            agreeing[number] += does_agree(comparison, before, answer.prediction)
    return [(both, one) for one in agreeing]


def _instance_key(instance: Any) -> bytes:
    return hashlib.sha256(json.dumps(instance, sort_keys=True).encode()).digest()[:12]
