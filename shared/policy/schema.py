"""What the user declares for one model.

Every key has its unit, its default and its reason beside it. Unknown keys are refused: a misspelt limit that is silently
ignored is worse than none. One endpoint belongs to one policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.policy.findings import Finding, refuse
from shared.policy.units import Duration, Factor, Share, described, format_duration

ModelId = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,62}$"),
    described("1 to 63 of a-z, 0-9, _ and -, the first a letter or _"),
]
"""UploadModelRequest.model_id: at most 63 of ``[a-z0-9_-]``, the first neither a digit nor a hyphen."""
EndpointId = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z][a-z0-9-]{0,61}[a-z0-9]|[0-9]{1,20})$"),
    described(
        "2 to 63 of a-z, 0-9 and -, the first a letter, the last no hyphen; or, in quotes, the number of an endpoint"
    ),
]
"""CreateEndpointRequest.endpoint_id, or the number that Vertex AI gave an endpoint made without one."""
Region = Annotated[str, StringConstraints(pattern=r"^[a-z]+-[a-z]+[0-9]+$"), described("a region such as us-central1")]
LabelText = Annotated[str, StringConstraints(min_length=1, max_length=256)]

MINUTE = timedelta(minutes=1)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


class Target(_Strict):
    """One endpoint that the model is delivered to."""

    region: Region
    endpoint: EndpointId
    """Created when missing, except where it is a number: only Vertex AI gives those."""
    project: str | None = None
    """Default: the project that the functions run in."""
    dedicated: bool = False
    """A dedicated endpoint has a DNS name of its own and no neighbours."""
    service_account: str | None = None
    """What the serving container runs as; default: the one that Vertex AI gives it."""
    access_logging: bool = False
    request_logging: RequestLogging | None = None


class RequestLogging(_Strict):
    """Request-response logging into BigQuery (Endpoint.predict_request_response_logging_config)."""

    sample: Share = 1.0
    table: Annotated[
        str, StringConstraints(pattern=r"^bq://.+"), described("a table such as bq://project.dataset.table")
    ]


class TrainingSource(_Strict):
    """Which finished training runs are this model's: by display name of the job, or by the plain message's model."""

    pipeline: str | None = None
    custom_job: str | None = None
    training_pipeline: str | None = None
    message: bool = False

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if not (self.pipeline or self.custom_job or self.training_pipeline or self.message):
            refuse(
                [
                    Finding(
                        "no source is named",
                        allowed="pipeline, custom_job or training_pipeline (a display name), message: true",
                    )
                ]
            )
        return self


class Container(_Strict):
    """The serving container (ModelContainerSpec); its contract is documented in infra/serving."""

    image: str
    predict_route: str = "/predict"
    health_route: str = "/health"
    port: int = Field(default=8080, ge=1, le=65535)
    command: list[str] = []
    args: list[str] = []
    env: dict[str, str] = {}


class Register(_Strict):
    """How a finished training run becomes a version."""

    source: TrainingSource = Field(alias="from")
    container: Container
    labels: dict[str, LabelText] = {}
    """Put on every version. Made legal for Vertex AI without losing which value was meant."""
    required_labels: list[str] = []
    """A version that lacks one of them is refused by the gate."""
    artifact: str | None = None
    """Which output of a pipeline is the model, where it has several: the output's name."""


class GateMetric(_Strict):
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


class Gate(_Strict):
    """The offline gate."""

    metrics: list[GateMetric] = []
    wait: Duration = timedelta(hours=2)
    """How long a missing evaluation is waited for: it is often imported after the upload."""
    missing: Literal["reject", "pass"] = "reject"
    """What an evaluation means that did not come in that time."""


class Accelerator(_Strict):
    type: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Z0-9_]+$"),
        described("an AcceleratorType such as NVIDIA_TESLA_T4 or NVIDIA_L4"),
    ]
    count: int = Field(default=1, ge=1, le=16)


class Replicas(_Strict):
    min: int = Field(default=1, ge=1)
    """At least 1: Vertex AI's v1 has no scale to zero."""
    max: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max < self.min:
            refuse([Finding(f"max ({self.max}) is below min ({self.min})", ("max",), f"at least {self.min}")])
        return self


class Autoscale(_Strict):
    """Targets in percent; Vertex AI's default is 60."""

    cpu: int | None = Field(default=None, ge=1, le=100)
    gpu: int | None = Field(default=None, ge=1, le=100)


class Machine(_Strict):
    type: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9]+-[a-z0-9-]+$"), described("a machine type such as n1-standard-4")
    ]
    accelerator: Accelerator | None = None
    replicas: Replicas = Replicas()
    autoscale: Autoscale = Autoscale()
    spot: bool = False

    @model_validator(mode="after")
    def _gpu_to_scale_on(self) -> Self:
        if self.autoscale.gpu and not self.accelerator:
            refuse(
                [
                    Finding(
                        "there is no accelerator whose use could be measured",
                        ("autoscale", "gpu"),
                        "a machine with an accelerator, or autoscale.cpu",
                        judged=(("autoscale",), ("accelerator",)),
                    )
                ]
            )
        return self


class Stage(_Strict):
    """One step of a rollout: a share of the traffic, for a time."""

    traffic: int = Field(ge=1, le=100)
    """Percent; Vertex AI splits traffic in whole percents."""
    bake: Duration = timedelta(minutes=15)
    """How long the stage must have been judged without harm before the next one; counted from the shift."""


class Check(_Strict):
    """One metric that a stage judges.

    ``error_rate`` and ``latency_ms`` are measured by Vertex AI; any other name is a metric of the user's own, written to Cloud Monitoring as
    ``custom.googleapis.com/vertex_rollouts/NAME`` (a distribution, with the labels endpoint_id and deployed_model_id).
    """

    metric: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
    at_most: Share | None = None
    """For error_rate: the share of requests that may fail."""
    p50_at_most: float | None = None
    p95_at_most: float | None = None
    p99_at_most: float | None = None
    mean_at_most: float | None = None
    mean_at_least: float | None = None
    range: tuple[float, float] | None = None
    """Values outside it may be at most the share ``outside``."""
    outside: Share = 0.01
    share_above: dict[float, Share] = {}
    share_below: dict[float, Share] = {}
    margin: Factor | None = None
    """How much worse than the stable the candidate may be: of error_rate the ratio of the shares, of others that of the P95 or the mean."""
    floor: Share = 0.005
    """An error rate below this is never worse than the stable's: twice almost nothing is still almost nothing."""
    min_samples: int = Field(default=50, ge=1)
    """Fewer are no verdict (inconclusive)."""
    gating: bool = True
    """False: judged and shown, but it decides nothing."""

    @model_validator(mode="after")
    def _fits_its_metric(self) -> Self:
        refuse(self._findings())
        return self

    def _findings(self) -> Iterator[Finding]:
        of_this, of_others = (_OF_A_SHARE, _OF_VALUES) if self.metric == "error_rate" else (_OF_VALUES, _OF_A_SHARE)
        given = [name for name in _OF_A_SHARE + _OF_VALUES if self._limits_by(name)]
        for name in given:
            if name in of_others:
                yield Finding(
                    f"{name} cannot limit {self.metric}", (name,), f"for {self.metric}: {', '.join(of_this)}, margin"
                )
        if not given and self.margin is None:
            yield Finding(
                f"the check of {self.metric} has neither a limit nor a margin", (), f"{', '.join(of_this)}, margin"
            )
        if self.range and self.range[0] >= self.range[1]:
            low, high = self.range
            yield Finding(
                f"the range is empty: it begins at {low:g} and ends at {high:g}", ("range",), "[lowest, highest]"
            )

    def _limits_by(self, name: str) -> bool:
        # Not simply its truth: a limit of 0 is one.
        return getattr(self, name) not in (None, {})

    @property
    def is_absolute(self) -> bool:
        """Whether the check can judge a candidate without a stable beside it."""
        return any(self._limits_by(name) for name in _OF_A_SHARE + _OF_VALUES)


_OF_A_SHARE = ("at_most",)
"""What can limit error_rate."""
_OF_VALUES = (
    "p50_at_most",
    "p95_at_most",
    "p99_at_most",
    "mean_at_most",
    "mean_at_least",
    "range",
    "share_above",
    "share_below",
)
"""What can limit every other metric."""


class Metrics(_Strict):
    """How served metrics are read."""

    lag: Duration = timedelta(minutes=4)
    """Ticks younger than this are not judged: Cloud Monitoring shows some series only after minutes."""
    window: Duration = timedelta(minutes=10)
    """How far back a check looks at one time."""
    settle: Duration = timedelta(minutes=1)
    """What is dropped after a shift of traffic: caches are cold and minutes are mixed."""


class Standby(_Strict):
    """The fallback after a promotion."""

    hold: Duration = timedelta(hours=1)
    """How long it keeps the replicas with which it carried the traffic: a rollback must not be an outage."""
    keep: Duration = Field(default=timedelta(hours=24), alias="for")
    """How long it is kept at all; the watch."""
    replicas: int = Field(default=1, ge=1)
    """Its minimum replicas between ``hold`` and ``for``."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.keep < self.hold:
            refuse(
                [
                    Finding(
                        f"the fallback would be gone ({format_duration(self.keep)}) before its replicas may shrink",
                        ("for",),
                        f"at least hold ({format_duration(self.hold)})",
                        judged=(("for",), ("hold",)),
                    )
                ]
            )
        return self


class Patience(_Strict):
    """How long something is borne, and what follows."""

    after: Duration
    then: Literal["hold", "pause", "roll_back"]


class RolloutSpec(_Strict):
    """How a version travels from deployed to all traffic."""

    strategy: Literal["canary"] = "canary"
    advance: Literal["bake"] = "bake"
    """``bake``: a stage advances when its bake time and the minimum samples have passed without harm."""
    stages: list[Stage] = Field(default=[Stage(traffic=10), Stage(traffic=50), Stage(traffic=100)], min_length=1)
    checks: list[Check] = []
    metrics: Metrics = Metrics()
    standby: Standby = Standby()
    drift: Literal["pause", "reassert", "adopt"] = "pause"
    """When somebody else has moved the traffic. Reasserting only ever lowers a candidate."""
    supersede: Literal["queue", "replace", "reject"] = "queue"
    """When a newer version arrives during a trial."""
    no_data: Patience = Patience(after=timedelta(minutes=30), then="pause")
    provider_error: Patience = Patience(after=timedelta(minutes=30), then="pause")
    deadline: Patience = Patience(after=timedelta(hours=24), then="pause")
    """For one stage, from its shift."""
    deploy_attempts: int = Field(default=3, ge=1, le=10)
    deploy_within: Duration = timedelta(hours=2)
    """How long one deployment may take; container_spec.deployment_timeout is at most 2 h."""

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        refuse(self._findings())
        return self

    def _findings(self) -> Iterator[Finding]:
        yield from self._stages_that_do_not_rise()
        yield from self._too_short_stages()
        yield from self._only_relative_checks()

    def _stages_that_do_not_rise(self) -> Iterator[Finding]:
        judged = (("stages",),)
        shares = [stage.traffic for stage in self.stages]
        for number, (before, share) in enumerate(pairwise(shares), 1):
            if share <= before:
                message = f"the share does not rise: {before} % is followed by {share} %"
                yield Finding(message, ("stages", number, "traffic"), f"more than {before}", judged)
        if shares[-1] != 100:
            last = len(shares) - 1
            yield Finding(
                f"the last stage ends at {shares[-1]} %", ("stages", last, "traffic"), "100, all the traffic", judged
            )

    def _too_short_stages(self) -> Iterator[Finding]:
        lag, settle = self.metrics.lag, self.metrics.settle
        least = lag + settle + MINUTE
        for number, stage in enumerate(self.stages[:-1] if self.checks else []):
            if stage.bake < least:
                yield Finding(
                    f"{format_duration(stage.bake)} is too short to be judged: metrics are {format_duration(lag)} late"
                    f" and the first {format_duration(settle)} is dropped",
                    ("stages", number, "bake"),
                    f"at least {format_duration(least)}, or a smaller rollout.metrics.lag",
                    (("stages",), ("metrics",)),
                )

    def _only_relative_checks(self) -> Iterator[Finding]:
        gating = [check for check in self.checks if check.gating]
        if gating and not any(check.is_absolute for check in gating):
            yield Finding(
                "no check has an absolute limit; at 100 % there is no stable to compare with",
                ("checks",),
                "at least one gating check with a limit such as at_most or p95_at_most",
                (("checks",),),
            )


class Alerts(_Strict):
    """What an alert from outside may do."""

    unnamed: Literal["act", "hold"] = "act"
    """When it names no deployed model: take the traffic from the candidate or from the stable in its watch, or only hold."""


class Access(_Strict):
    """Who may command; e-mail addresses as in a verified ID token."""

    operators: list[str] = []
    """Empty: everyone whom Cloud Run lets invoke ``receive_command``."""


class Policy(_Strict):
    """The whole of what is declared for one model."""

    model: ModelId
    display_name: str | None = None
    targets: list[Target] = Field(min_length=1)
    register_: Register = Field(alias="register")
    gate: Gate = Gate()
    machine: Machine
    rollout: RolloutSpec = RolloutSpec()
    alerts: Alerts = Alerts()
    access: Access = Access()
    mode: Literal["enforce", "observe"] = "enforce"
    """``observe`` judges and says what it would have done, and writes nothing to Vertex AI."""
    notify: list[
        Annotated[
            str,
            StringConstraints(pattern=r"^webhook://[a-z0-9-]+$"),
            described("a channel such as webhook://ml-alerts"),
        ]
    ] = []
    """Names of channels; their addresses and secrets are the deployment's (NOTIFY_CHANNELS), never the policy's."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        refuse(self._same_targets())
        return self

    def _same_targets(self) -> Iterator[Finding]:
        first: dict[tuple[str | None, str, str], int] = {}
        for number, target in enumerate(self.targets):
            before = first.setdefault((target.project, target.region, target.endpoint), number)
            if before != number:
                message = f"the same endpoint as targets[{before}]"
                yield Finding(message, ("targets", number), "each endpoint once", (("targets",),))


Target.model_rebuild()
