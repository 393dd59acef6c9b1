"""A fleet as the audit sees it: endpoints, what is deployed on them, and what was measured, step by step.

Nothing here knows where it is from: Vertex AI and Cloud Monitoring, or a described fleet (``fleet_file``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import fsum, isnan
from typing import Literal

from shared.costs.prices import Hardware

Role = Literal["stable", "candidate", "fallback", "shadow", "forgotten", "gone"]
"""``forgotten`` is deployed and in no role; ``gone`` was undeployed within the window, and its role is not known any more."""
Steps = Sequence[float]
"""One number per step of the fleet's window; NaN where nothing was measured, which is not 0."""
OWNER_LABELS = ("owner", "team", "cost-center", "vr-model")
"""The labels that say whose something is, the first that is there. ``vr-model`` is ours: the policy's people own it."""


@dataclass(frozen=True)
class Measured:
    """What was measured of one deployed model. None: not measured at all."""

    replicas: Steps | None = None
    """The mean number of replicas in the step."""
    replicas_peak: Steps | None = None
    """The most replicas at any moment of the step; without it, ``replicas`` rounded up."""
    predictions: Steps | None = None
    """How many were answered in the step."""
    cpu: Steps | None = None
    """Mean use of the replicas' processors, a fraction: 0.6 is 60 %."""
    cpu_peak: Steps | None = None
    """The highest minute of the step."""
    cpu_low: Steps | None = None
    """The lowest minute of the step; without it every rise within a step is taken to begin at nothing."""
    gpu_peak: Steps | None = None
    """The highest minute of the accelerators' duty cycle, a fraction."""
    memory_gb: Steps | None = None
    """The most memory that any replica used, in GB."""
    p50_ms: Steps | None = None
    p95_ms: Steps | None = None
    """Of the latency in total, in milliseconds."""


@dataclass(frozen=True)
class Span:
    """From ``start`` on, the deployed model had this role, in this stage of its rollout."""

    start: datetime
    role: Role
    stage: str = ""


@dataclass(frozen=True)
class Deployed:
    """One model version on machines of its own."""

    id: str
    model: str
    version: str
    hardware: Hardware
    share: int
    """Percent of the endpoint's traffic now."""
    minimum: int
    maximum: int
    created: datetime
    role: Role = "stable"
    stage: str = ""
    until: datetime | None = None
    """When it was undeployed; None while it is deployed."""
    target: float = 0.6
    """The use of the processor that the autoscaler aims at."""
    spans: tuple[Span, ...] = ()
    """Earlier roles, in order; the last is the present one. Empty: the present role all the time."""
    standby_hold_until: datetime | None = None
    """Of a fallback: until then it keeps the replicas with which it carried the traffic."""
    standby_until: datetime | None = None
    """Of a fallback: until then it is kept for an instant rollback."""
    standby_replicas: int = 1
    rollout: str = ""
    rollout_open: bool = False
    measured: Measured = Measured()


@dataclass(frozen=True)
class Endpoint:
    """One endpoint with what is deployed on it."""

    project: str
    region: str
    id: str
    created: datetime
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    policy: str = ""
    """The model whose policy has this endpoint as a target."""
    p95_target_ms: float | None = None
    budget_usd_month: float | None = None
    deployed: tuple[Deployed, ...] = ()

    def __str__(self) -> str:
        return f"{self.project}/{self.region}/{self.id}"

    @property
    def title(self) -> str:
        return self.name or self.id

    @property
    def owner(self) -> str:
        """Whose it is, or nothing."""
        return next((self.labels[label] for label in OWNER_LABELS if self.labels.get(label)), self.policy)


@dataclass(frozen=True)
class Version:
    """One version in the Model Registry."""

    project: str
    region: str
    model: str
    version: str
    created: datetime
    aliases: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return next((self.labels[label] for label in OWNER_LABELS if self.labels.get(label)), "")


@dataclass(frozen=True)
class Fleet:
    """Everything that is audited, from ``start`` to ``at``, in steps."""

    start: datetime
    at: datetime
    step: timedelta
    endpoints: tuple[Endpoint, ...]
    versions: tuple[Version, ...] = ()

    @property
    def steps(self) -> int:
        return int((self.at - self.start) / self.step)

    def life(self, deployed: Deployed) -> tuple[datetime, datetime]:
        """The part of the window in which it was deployed; empty (end before start) where there is none."""
        return max(self.start, deployed.created), min(self.at, deployed.until or self.at)


@dataclass(frozen=True)
class Summed:
    """A series over a time: the sum of value times hours, and the hours that were measured at all."""

    value_hours: float
    hours: float


def summed(fleet: Fleet, series: Steps | None, begin: datetime, end: datetime) -> Summed:
    """The series between two moments; a step that is cut counts by its part."""
    if series is None or end <= begin:
        return Summed(0.0, 0.0)
    first, last = (begin - fleet.start) / fleet.step, (end - fleet.start) / fleet.step
    low, high = int(first), min(int(last), len(series))
    step_hours = fleet.step / timedelta(hours=1)
    values = series[low:high]
    amount = fsum(values)
    if isnan(amount):  # looked at one by one only where there is a gap
        values = [value for value in values if not isnan(value)]
        amount = fsum(values)
    count = float(len(values))
    # The first step may be cut at its beginning, and there may be a part of one more at the end.
    for index, correction in ((low, -(first - low)), (high, last - high)):
        if correction and index < len(series) and not isnan(series[index]):
            amount += correction * series[index]
            count += correction
    return Summed(amount * step_hours, count * step_hours)


def highest(series: Steps | None) -> float | None:
    """The highest measured value; None where nothing was measured."""
    if series is None:
        return None
    measured = series if not isnan(fsum(series)) else [value for value in series if not isnan(value)]
    return max(measured, default=None)


def measured_steps(series: Steps | None) -> int:
    """In how many steps there is a value."""
    if series is None:
        return 0
    return len(series) if not isnan(fsum(series)) else sum(not isnan(value) for value in series)
