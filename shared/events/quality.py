"""What users think of answers, or what answers look like: reported by whoever serves or uses them, per deployed model.

Values are reported as they are, or summed up: a histogram, a mean, a share, a count. A prediction whose truth is known only hours later is
reported by its id, and its truth in another report. The outcome of a sticky experiment is reported by the digest of its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.events.message import Message
from shared.events.wire import Moment, Ours, Text, decode_object, encode, read_ours, write_moment

SCHEMA = "quality-reported/v1"
MOST_VALUES = 10_000
"""Of one metric in one report."""
MOST_IDS = 200
"""Predictions, truths and outcomes in one report together; each is a document, and one commit of Firestore has at most 500."""

Label = str | int | float | bool
"""What was predicted, or what was true."""
MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,99}$")]


@dataclass(frozen=True)
class Reported:
    """One metric of one report, in one of five forms."""

    form: Literal["values", "histogram", "mean", "share", "count"]
    values: tuple[float, ...] = ()
    """The values themselves; of a count the one number."""
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    """Of a histogram: below the first edge, between each two, above the last."""
    number: int = 0
    """How many values a mean or a share is of."""
    mean: float = 0.0
    """Of a share: how many of the values are 1, as a share."""
    deviation: float = 0.0
    """Sum of squared deviations from the mean."""


@dataclass(frozen=True)
class QualityReported:
    """One report."""

    region: str
    endpoint: str
    report_id: str
    """The same in every delivery of it: it is counted once."""
    deployed_model: str = ""
    """Who answered; empty only where a report has nothing but truths."""
    metrics: Mapping[str, Reported] = field(default_factory=dict)
    predictions: Mapping[str, Mapping[str, Label]] = field(default_factory=dict)
    """By metric and the prediction's id: what was predicted."""
    truths: Mapping[str, Mapping[str, Label]] = field(default_factory=dict)
    """By metric and the prediction's id: what was true."""
    at: datetime | None = None
    """When the predictions were given; None: when the report arrives."""
    project: str = ""
    """Empty: the one that the functions run in."""
    experiment: str = ""
    """The sticky experiment that the endpoint belongs to, as its object in the bucket says."""
    outcomes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By metric and the digest of the key: what came of it. The first outcome of a key counts."""


class _Share(Ours):
    are: Annotated[int, Field(ge=0)]
    of: Annotated[int, Field(ge=1, le=10**9)]

    @model_validator(mode="after")
    def _is_a_part(self) -> Self:
        if self.are > self.of:
            raise ValueError(f"{self.are} of {self.of} is more than all")
        return self


class _Mean(Ours):
    mean: float
    number: Annotated[int, Field(ge=1, le=10**9)]
    deviation: Annotated[float, Field(ge=0)]


class _Histogram(Ours):
    edges: Annotated[list[float], Field(min_length=1, max_length=200)]
    counts: Annotated[list[Annotated[int, Field(ge=0, le=10**9)]], Field(max_length=201)]
    mean: float
    deviation: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if sorted(set(self.edges)) != self.edges:
            raise ValueError("edges must rise")
        if len(self.counts) != len(self.edges) + 1:
            raise ValueError(f"{len(self.edges)} edges have {len(self.edges) + 1} counts; found {len(self.counts)}")
        if not sum(self.counts):
            raise ValueError("a histogram without values says nothing; leave it out")
        return self


class _Metric(Ours):
    values: Annotated[list[float], Field(min_length=1, max_length=MOST_VALUES)] | None = None
    histogram: _Histogram | None = None
    mean: _Mean | None = None
    share: _Share | None = None
    count: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = [name for name in _FORMS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of {', '.join(_FORMS)}; found {', '.join(given) or 'none'}")
        return self


_FORMS = ("values", "histogram", "mean", "share", "count")


class _Tokens(Ours):
    before: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1, max_length=MOST_VALUES)]
    after: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1, max_length=MOST_VALUES)]

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if len(self.before) != len(self.after):
            raise ValueError(f"{len(self.before)} images before and {len(self.after)} after are no pairs")
        return self


_Labels = dict[MetricName, dict[Text, Label]]
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Wire(Ours):
    project: Text | None = None
    region: Text
    endpoint: Text
    report_id: Text
    deployed_model: Text | None = None
    at: Moment | None = None
    metrics: dict[MetricName, _Metric] = Field(default_factory=dict)
    tokens: _Tokens | None = None
    predictions: _Labels = Field(default_factory=dict)
    truths: _Labels = Field(default_factory=dict)
    experiment: Text | None = None
    outcomes: dict[MetricName, dict[_Digest, float]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        ids = sum(len(some) for group in (self.predictions, self.truths, self.outcomes) for some in group.values())
        if not (self.metrics or self.tokens or ids):
            raise ValueError("expected metrics, tokens, predictions, truths or outcomes; found none")
        if ids > MOST_IDS:
            raise ValueError(f"at most {MOST_IDS} predictions, truths and outcomes in one report; found {ids}")
        if self.outcomes and self.experiment is None:
            raise ValueError(
                "experiment is missing; whose keys the outcomes are of is said by the object in the bucket"
            )
        if self.deployed_model is None and (self.metrics or self.tokens or self.predictions or self.outcomes):
            raise ValueError("deployed_model is missing; only truths belong to whatever model was asked")
        if any(
            self.predictions[name].keys() & ids.keys() for name, ids in self.truths.items() if name in self.predictions
        ):
            raise ValueError("a prediction whose truth is known at once is no delayed label; report it as a metric")
        for name in ("error_rate", "latency_ms"):
            if any(name in some for some in (self.metrics, self.predictions, self.truths, self.outcomes)):
                raise ValueError(f"{name} is measured by Vertex AI; a metric of your own needs another name")
        return self


def parse_quality_reported(message: Message) -> QualityReported:
    """``{"schema": "quality-reported/v1", "region": ..., "endpoint": ..., "report_id": ..., "deployed_model": ..., "metrics": ...}``.

    ``tokens`` is short for two metrics: ``tokens_per_image`` (after) and ``compression`` (before by after, of each image).
    """
    wire = read_ours(_Wire, decode_object(message.data, SCHEMA), SCHEMA)
    metrics = {name: _reported(one) for name, one in wire.metrics.items()}
    if wire.tokens:
        pairs = zip(wire.tokens.before, wire.tokens.after, strict=True)
        metrics["tokens_per_image"] = Reported("values", tuple(wire.tokens.after))
        metrics["compression"] = Reported("values", tuple(before / after for before, after in pairs))
    return QualityReported(
        wire.region,
        wire.endpoint,
        wire.report_id,
        wire.deployed_model or "",
        metrics,
        wire.predictions,
        wire.truths,
        wire.at,
        wire.project or "",
        wire.experiment or "",
        wire.outcomes,
    )


def _reported(wire: _Metric) -> Reported:
    if wire.values is not None:
        return Reported("values", tuple(wire.values))
    if wire.histogram is not None:
        h = wire.histogram
        return Reported("histogram", (), tuple(h.edges), tuple(h.counts), 0, h.mean, h.deviation)
    if wire.mean is not None:
        return Reported("mean", number=wire.mean.number, mean=wire.mean.mean, deviation=wire.mean.deviation)
    if wire.share is not None:
        return Reported("share", counts=(wire.share.of - wire.share.are, wire.share.are), number=wire.share.of)
    return Reported("count", (float(wire.count or 0),))


def quality_reported_message(report: QualityReported) -> bytes:
    """What a reporter publishes."""
    metrics = {name: _written(one) for name, one in report.metrics.items()}
    return encode(
        SCHEMA,
        {
            "project": report.project or None,
            "region": report.region,
            "endpoint": report.endpoint,
            "report_id": report.report_id,
            "deployed_model": report.deployed_model or None,
            "at": write_moment(report.at),
            "metrics": metrics or None,
            "predictions": {name: dict(some) for name, some in report.predictions.items()} or None,
            "truths": {name: dict(some) for name, some in report.truths.items()} or None,
            "experiment": report.experiment or None,
            "outcomes": {name: dict(some) for name, some in report.outcomes.items()} or None,
        },
    )


def _written(one: Reported) -> dict[str, Any]:
    match one.form:
        case "values":
            return {"values": list(one.values)}
        case "histogram":
            given = {"edges": list(one.edges), "counts": list(one.counts)}
            return {"histogram": given | {"mean": one.mean, "deviation": one.deviation}}
        case "mean":
            return {"mean": {"mean": one.mean, "number": one.number, "deviation": one.deviation}}
        case "share":
            return {"share": {"are": one.counts[1], "of": one.number}}
        case "count":
            return {"count": one.values[0]}
