"""A described fleet, ``fleet/v1``: the file that ``rollouts costs --from FLEET.json`` reads.

Anyone can write one of his own. A series may be a list with one number per step, or one number that holds for the whole life of the
deployed model; null is "not measured" and never 0. ``docs/fleet.schema.json`` is its JSON Schema.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import nan
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.costs.fleet import Deployed, Endpoint, Fleet, Measured, Role, Span, Steps, Version
from shared.costs.prices import Hardware
from shared.errors import PermanentError

SCHEMA = "fleet/v1"
SERIES = tuple(Measured.__dataclass_fields__)


class FleetError(PermanentError):
    """A file that cannot be read as a described fleet."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Amount = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]
Values = list[Amount | None] | Amount
Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Measured(_Strict):
    replicas: Values | None = Field(default=None, description="Mean number of replicas in each step.")
    replicas_peak: Values | None = Field(default=None, description="Most replicas at any moment of the step.")
    predictions: Values | None = Field(default=None, description="Predictions answered in the step.")
    cpu: Values | None = Field(default=None, description="Mean use of the processors, a fraction: 0.6 is 60 %.")
    cpu_peak: Values | None = Field(default=None, description="The highest minute of the step.")
    cpu_low: Values | None = Field(default=None, description="The lowest minute of the step.")
    gpu_peak: Values | None = Field(default=None, description="The highest minute of the accelerators' duty cycle.")
    memory_gb: Values | None = Field(default=None, description="Most memory used by any replica, in GB.")
    p50_ms: Values | None = Field(default=None, description="Median latency of the step, in milliseconds.")
    p95_ms: Values | None = Field(default=None, description="95th percentile of the latency, in milliseconds.")


class _Accelerator(_Strict):
    type: Name
    count: int = Field(default=1, ge=1, le=16)


class _Machine(_Strict):
    type: Name
    accelerator: _Accelerator | None = None
    spot: bool = False


class _Replicas(_Strict):
    min: int = Field(default=1, ge=1)
    max: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"max ({self.max}) is below min ({self.min})")
        return self


class _Span(_Strict):
    start: AwareDatetime
    role: Role
    stage: str = ""


class _Standby(_Strict):
    hold_until: AwareDatetime | None = None
    until: AwareDatetime | None = None
    replicas: int = Field(default=1, ge=1)


class _Rollout(_Strict):
    id: Name
    open: bool = False


class _Deployed(_Strict):
    id: Name
    model: Name
    version: str = "1"
    machine: _Machine
    replicas: _Replicas = _Replicas()
    autoscale_percent: float = Field(default=60, ge=1, le=100, description="The autoscaler's target for the processor.")
    created: AwareDatetime
    undeployed: AwareDatetime | None = None
    role: Role | None = Field(default=None, description="Default: stable with traffic, forgotten without.")
    stage: str = ""
    history: list[_Span] = Field(default=[], description="Earlier roles and stages, in order, with the present one.")
    standby: _Standby | None = None
    rollout: _Rollout | None = None
    measured: _Measured = _Measured()


class _Endpoint(_Strict):
    project: Name
    region: Name
    id: Name
    name: str = ""
    created: AwareDatetime
    labels: dict[str, str] = {}
    policy: str = Field(default="", description="The model whose policy has this endpoint as a target.")
    p95_target_ms: float | None = Field(default=None, gt=0)
    budget_usd_month: float | None = Field(default=None, gt=0)
    traffic: dict[str, int] = Field(default={}, description="Deployed-model id to percent; 100 in all, or empty.")
    deployed: list[_Deployed] = []

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.traffic and sum(self.traffic.values()) != 100:
            raise ValueError(f"the traffic adds up to {sum(self.traffic.values())}, not to 100")
        if unknown := sorted(set(self.traffic) - {one.id for one in self.deployed}):
            raise ValueError(f"the traffic names {unknown[0]}, which is not deployed")
        return self


class _Version(_Strict):
    project: Name
    region: Name
    model: Name
    version: str
    created: AwareDatetime
    aliases: list[str] = []
    labels: dict[str, str] = {}


class FleetFile(_Strict):
    """A described fleet, as it is written."""

    form: Literal["fleet/v1"] = Field(alias="schema")
    start: AwareDatetime = Field(description="Where the window begins: the first step's beginning.")
    at: AwareDatetime = Field(description="Where it ends: the moment of the audit.")
    step_seconds: int = Field(default=3600, ge=60, le=86_400)
    endpoints: list[_Endpoint]
    versions: list[_Version] = []

    @model_validator(mode="after")
    def _in_steps(self) -> Self:
        length = (self.at - self.start).total_seconds()
        if length <= 0 or length % self.step_seconds:
            raise ValueError(f"from start to at are {length:g} s, which are not whole steps of {self.step_seconds} s")
        return self


def read_fleet(text: str | bytes, source: str) -> Fleet:
    """A described fleet; everything that is wrong with it in one ``FleetError``."""
    try:
        parsed = FleetFile.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False)
        if found[0]["type"] == "json_invalid":
            raise FleetError(f"{source} is not JSON: {found[0]['msg']}") from None
        wrong = "; ".join(_place(one["loc"]) + one["msg"] for one in found[:10])
        raise FleetError(f"{source} is not a described fleet ({SCHEMA}): {wrong}") from None
    step = timedelta(seconds=parsed.step_seconds)
    reader = _Reader(parsed.start, parsed.at, step, source)
    return Fleet(
        parsed.start,
        parsed.at,
        step,
        tuple(reader.endpoint(one) for one in parsed.endpoints),
        tuple(
            Version(v.project, v.region, v.model, v.version, v.created, tuple(v.aliases), v.labels)
            for v in parsed.versions
        ),
    )


def fleet_json_schema() -> dict[str, Any]:
    """The published schema."""
    schema = FleetFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A described fleet"}


class _Reader:
    """Turns what is written into what is audited."""

    def __init__(self, start: datetime, at: datetime, step: timedelta, source: str) -> None:
        self._start, self._step, self._source = start, step, source
        self._steps = int((at - start) / step)
        self._at = at

    def endpoint(self, given: _Endpoint) -> Endpoint:
        return Endpoint(
            given.project,
            given.region,
            given.id,
            given.created,
            given.name,
            given.labels,
            given.policy,
            given.p95_target_ms,
            given.budget_usd_month,
            tuple(self._deployed(given, one) for one in given.deployed),
        )

    def _deployed(self, endpoint: _Endpoint, given: _Deployed) -> Deployed:
        gpu = given.machine.accelerator
        standby = given.standby or _Standby()
        return Deployed(
            given.id,
            given.model,
            given.version,
            Hardware(
                endpoint.region,
                given.machine.type,
                gpu.type if gpu else "",
                gpu.count if gpu else 0,
                given.machine.spot,
            ),
            endpoint.traffic.get(given.id, 0),
            given.replicas.min,
            given.replicas.max,
            given.created,
            given.role or _role(endpoint, given),
            given.stage,
            given.undeployed,
            given.autoscale_percent / 100,
            tuple(Span(one.start, one.role, one.stage) for one in given.history),
            standby.hold_until,
            standby.until,
            standby.replicas,
            given.rollout.id if given.rollout else "",
            given.rollout.open if given.rollout else False,
            Measured(**{name: self._series(given, name) for name in SERIES}),
        )

    def _series(self, deployed: _Deployed, name: str) -> Steps | None:
        values: Values | None = getattr(deployed.measured, name)
        if values is None:
            return None
        if isinstance(values, list):
            if len(values) != self._steps:
                raise FleetError(
                    f"{self._source}: {name} of deployed model {deployed.id} has {len(values)} values;"
                    f" the window has {self._steps} steps"
                )
            known: Steps = [nan if value is None else value for value in values]
            return known
        first = int(max(0.0, (deployed.created - self._start) / self._step))
        end = min(deployed.undeployed or self._at, self._at)
        last = max(first, -int(-((end - self._start) / self._step) // 1))
        return [nan] * first + [values] * (last - first) + [nan] * (self._steps - last)


def _role(endpoint: _Endpoint, deployed: _Deployed) -> Role:
    """What one is whose role nobody wrote down."""
    if deployed.undeployed:
        return "gone"
    return "stable" if endpoint.traffic.get(deployed.id) else "forgotten"


def _place(path: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".") + ": "
