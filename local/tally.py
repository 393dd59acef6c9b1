"""What the caller's app counts of the answers it gets, per deployed model."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

RESERVOIR = 2048
"""Latencies kept per deployed model: every answer has the same chance to be among them."""

OK = "OK"


@dataclass(frozen=True, slots=True)
class Result:
    """One answered, or failed, prediction request."""

    code: str
    """Name of the gRPC status: ``OK``, ``UNAVAILABLE``, ..."""
    latency_ms: float
    """Real milliseconds, seen from the caller."""
    deployed_model_id: str = ""
    """Empty when the failure does not say whose it is."""
    model: str = ""
    """The model's id, the last segment of its name."""
    version: str = ""
    predictions: tuple[Mapping[str, float], ...] = ()
    """The numbers in each prediction, by field."""
    detail: str = ""
    """What the service said about a failure."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Values of one field of the predictions."""

    count: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class VersionSnapshot:
    """What one deployed model answered so far."""

    deployed_model_id: str
    model: str
    version: str
    requests: int
    ok: int
    errors: Mapping[str, int]
    """By gRPC status."""
    latency_ms: Mapping[str, float]
    """p50, p95, p99 over all requests, failed ones included; empty before the first."""
    quality: Mapping[str, Summary]


@dataclass(slots=True)
class Tally:
    """Counts of one deployed model; whoever owns it guards it with a lock."""

    deployed_model_id: str
    model: str = ""
    version: str = ""
    requests: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    values: dict[str, Summary] = field(default_factory=dict)

    def add(self, result: Result, generator: random.Random) -> None:
        """Count one result."""
        self.model, self.version = result.model or self.model, result.version or self.version
        self.requests += 1
        if result.code != OK:
            self.errors[result.code] = self.errors.get(result.code, 0) + 1
        if len(self.latencies) < RESERVOIR:
            self.latencies.append(result.latency_ms)
        elif (place := generator.randrange(self.requests)) < RESERVOIR:
            self.latencies[place] = result.latency_ms
        for prediction in result.predictions:
            for name, value in prediction.items():
                self.values[name] = _with(self.values.get(name), value)

    def snapshot(self) -> VersionSnapshot:
        """The counts as they are now."""
        ordered = sorted(self.latencies)
        return VersionSnapshot(
            deployed_model_id=self.deployed_model_id,
            model=self.model,
            version=self.version,
            requests=self.requests,
            ok=self.requests - sum(self.errors.values()),
            errors=dict(self.errors),
            latency_ms={f"p{percent}": _percentile(ordered, percent) for percent in (50, 95, 99)} if ordered else {},
            quality=dict(self.values),
        )


def _with(summary: Summary | None, value: float) -> Summary:
    if summary is None:
        return Summary(1, value, value, value)
    count = summary.count + 1
    mean = summary.mean + (value - summary.mean) / count
    return Summary(count, mean, min(summary.low, value), max(summary.high, value))


def _percentile(ordered: list[float], percent: int) -> float:
    """The nearest-rank percentile of a sorted list."""
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
