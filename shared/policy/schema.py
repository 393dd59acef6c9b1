"""What the user declares for one model.

Every key has its unit, its default and its reason beside it. Unknown keys are refused: a misspelt limit that is silently
ignored is worse than none. One endpoint belongs to one policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.policy.base import Strict
from shared.policy.blue_green import LONGEST_NAME, BlueGreen
from shared.policy.experiment import Experiment, Objective
from shared.policy.findings import Finding, refuse
from shared.policy.gate import Accelerator, BatchMachine, FixedMetric, FixedSet, Gate, GateMetric
from shared.policy.rollout import MEASURED, Check, Confidence, Labels, Metrics, Patience, RolloutSpec, Stage, Standby
from shared.policy.shadow import Comparison, Shadow
from shared.policy.times import Approval, Freeze, Window
from shared.policy.units import Duration, Share, described

__all__ = [
    "Accelerator",
    "Access",
    "Alerts",
    "Approval",
    "Autoscale",
    "BatchMachine",
    "BlueGreen",
    "Budget",
    "Check",
    "Comparison",
    "Confidence",
    "Container",
    "EndpointId",
    "Experiment",
    "FixedMetric",
    "FixedSet",
    "Freeze",
    "Gate",
    "GateMetric",
    "LabelText",
    "Labels",
    "Machine",
    "Metrics",
    "ModelId",
    "Objective",
    "Patience",
    "Policy",
    "PoolName",
    "Region",
    "Register",
    "Replicas",
    "RequestLogging",
    "Retention",
    "RolloutSpec",
    "Shadow",
    "Stage",
    "Standby",
    "Target",
    "TrainingSource",
    "Window",
]

ModelId = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z_][a-z0-9_-]{0,62}|[0-9]{1,20})$"),
    described("1 to 63 of a-z, 0-9, _ and -, the first a letter or _; or, in quotes, the number of a model"),
]
"""UploadModelRequest.model_id: at most 63 of ``[a-z0-9_-]``, the first neither a digit nor a hyphen; or the number that Vertex AI gave a
model uploaded without one."""
EndpointId = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z][a-z0-9-]{0,61}[a-z0-9]|[0-9]{1,20})$"),
    described(
        "2 to 63 of a-z, 0-9 and -, the first a letter, the last no hyphen; or, in quotes, the number of an endpoint"
    ),
]
"""CreateEndpointRequest.endpoint_id, or the number that Vertex AI gave an endpoint made without one."""
Region = Annotated[str, StringConstraints(pattern=r"^[a-z]+-[a-z]+[0-9]+$"), described("a region such as us-central1")]
PoolName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,57}[a-z0-9]$"),
    described("2 to 59 of a-z, 0-9 and -, the first a letter, the last no hyphen"),
]
LabelText = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Target(Strict):
    """One endpoint that the model is delivered to."""

    region: Region
    endpoint: EndpointId
    """Created when missing, except where it is a number: only Vertex AI gives those."""
    bucket: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$")
    """A bucket for edge devices in the place of an endpoint: the version's files go into the folder that ``endpoint`` names, with a manifest,
    and ``current.json`` there says which version devices are to follow."""
    project: str | None = None
    """Default: the project that the functions run in."""
    dedicated: bool = False
    """A dedicated endpoint has a DNS name of its own and no neighbours."""
    service_account: str | None = None
    """What the serving container runs as; default: the one that Vertex AI gives it."""
    access_logging: bool = False
    request_logging: RequestLogging | None = None


class RequestLogging(Strict):
    """Request-response logging into BigQuery (Endpoint.predict_request_response_logging_config)."""

    sample: Share = 1.0
    table: Annotated[
        str, StringConstraints(pattern=r"^bq://.+"), described("a table such as bq://project.dataset.table")
    ]


class TrainingSource(Strict):
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


class Container(Strict):
    """The serving container (ModelContainerSpec); its contract is documented in infra/serving."""

    image: str
    predict_route: str = "/predict"
    health_route: str = "/health"
    port: int = Field(default=8080, ge=1, le=65535)
    command: list[str] = Field(default=[])
    args: list[str] = Field(default=[])
    env: dict[str, str] = Field(default={})


class Register(Strict):
    """How a finished training run becomes a version."""

    source: TrainingSource = Field(alias="from")
    container: Container
    labels: dict[str, LabelText] = Field(default={})
    """Put on every version. Made legal for Vertex AI without losing which value was meant."""
    required_labels: list[str] = Field(default=[])
    """A version that lacks one of them is refused by the gate."""
    artifact: str | None = None
    """Which output of a pipeline, or which of a message's ``variants``, is the model, where there are several: its name."""
    variant_of: ModelId | None = None
    """The model whose training runs make this one too, such as a light one for edge devices; a plain message names only that model."""


class Retention(Strict):
    """Which versions stay in the registry. One that is deployed, has an alias, is under way or is the last is never deleted."""

    keep: int = Field(default=10, ge=1)
    """The newest so many stay in any case."""
    after: Duration = timedelta(days=90)
    """Older ones are deleted once they have this age."""


class Budget(Strict):
    """What one target may cost."""

    monthly_usd: float = Field(gt=0, le=100_000_000, allow_inf_nan=False)
    """US dollars for a month of 720 hours, at list prices: everything on the endpoint, and the candidate with as many replicas as the stable.
    Before the gate asks for batch predictions those too, each for its whole ``deadline``. A rollout that would exceed it is not started; one that
    would fit once what is at 0 % is gone waits. It never holds a rollback."""


class Replicas(Strict):
    min: int = Field(default=1, ge=1)
    """At least 1: Vertex AI's v1 has no scale to zero."""
    max: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max < self.min:
            refuse([Finding(f"max ({self.max}) is below min ({self.min})", ("max",), f"at least {self.min}")])
        return self


class Autoscale(Strict):
    """Targets in percent; Vertex AI's default is 60."""

    cpu: int | None = Field(default=None, ge=1, le=100)
    gpu: int | None = Field(default=None, ge=1, le=100)


class Machine(Strict):
    type: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9]+-[a-z0-9-]+$"), described("a machine type such as n1-standard-4")
    ]
    accelerator: Accelerator | None = None
    replicas: Replicas = Replicas()
    autoscale: Autoscale = Autoscale()
    spot: bool = False
    pool: PoolName | None = None
    """Machines that are shared with every policy of the same region that names the same pool (DeploymentResourcePool); made when missing, with
    this machine and these replicas, which Vertex AI then scales for all of its models together."""

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


class Alerts(Strict):
    """What an alert from outside may do."""

    unnamed: Literal["act", "hold"] = "act"
    """When it names no deployed model: take the traffic from the candidate or from the stable in its watch, or only hold."""


class Access(Strict):
    """Who may command; e-mail addresses as in a verified ID token."""

    operators: list[str] = Field(default=[])
    """Empty: those in ``COMMAND_OPERATORS`` of ``receive_command``; nobody, where that is empty too."""


CHANNEL = r"^(slack|gchat|webhook)://[a-z0-9-]+(\?from=(info|warning|error))?$"


class Policy(Strict):
    """The whole of what is declared for one model."""

    model: ModelId
    display_name: str | None = None
    targets: list[Target] = Field(min_length=1)
    register_: Register = Field(alias="register")
    gate: Gate = Gate()
    machine: Machine
    rollout: RolloutSpec = RolloutSpec()
    retention: Retention | None = None
    """Without it no version is ever deleted."""
    budget: Budget | None = None
    savings: Literal["suggest", "apply"] = "suggest"
    """``apply`` lets the daily audit lower a minimum of replicas that the traffic does not need, by half at most, into the ledger;
    ``rollouts undo-saving`` puts it back. Nothing else is ever done by itself."""
    alerts: Alerts = Alerts()
    access: Access = Access()
    mode: Literal["enforce", "observe"] = "enforce"
    """``observe`` judges and says what it would have done, and writes nothing to Vertex AI."""
    notify: list[
        Annotated[
            str,
            StringConstraints(pattern=CHANNEL),
            described("a channel such as slack://ml-alerts, gchat://ml-alerts or webhook://ml-alerts?from=error"),
        ]
    ] = Field(default=[])
    """Names of channels; their addresses and secrets are the deployment's (NOTIFY_CHANNELS), never the policy's. With ``?from=warning`` or
    ``?from=error`` a channel gets only what is at least as serious."""

    @property
    def batch_machine(self) -> BatchMachine:
        """What a batch prediction of the gate runs on."""
        fixed = self.gate.fixed_set
        usual = BatchMachine(type=self.machine.type, accelerator=self.machine.accelerator)
        return fixed.machine if fixed and fixed.machine else usual

    @model_validator(mode="after")
    def _apart(self) -> Self:
        refuse(
            [
                *self._nameless_variant(),
                *self._same_targets(),
                *self._scattered_targets(),
                *self._unlogged_targets(),
                *self._observed_arms(),
                *self._unnamed_pairs(),
                *self._unfit_exports(),
            ]
        )
        return self

    @model_validator(mode="before")
    @classmethod
    def _followed(cls, value: Any) -> Any:
        """Devices follow one version: one stage, and it need not be said."""
        targets = value.get("targets") if isinstance(value, dict) else None
        if isinstance(targets, list) and any(isinstance(one, dict) and one.get("bucket") for one in targets):
            rollout = value.get("rollout") or {}
            return (
                {**value, "rollout": {"stages": [{"traffic": 100}], **rollout}} if isinstance(rollout, dict) else value
            )
        return value

    def _unfit_exports(self) -> Iterator[Finding]:
        """What is exported has no machine, and no traffic that could be split or mirrored."""
        kinds = {target.bucket is not None for target in self.targets}
        if kinds == {False}:
            return
        judged = (("targets",), ("rollout",), ("mode",), ("budget",))
        if len(kinds) > 1:
            message = "some targets are endpoints and some are buckets"
            yield Finding(message, ("targets",), "a policy for each: a variant has its own", judged)
        if len(self.rollout.stages) > 1:
            message = "devices follow one version: there is no share of them"
            yield Finding(message, ("rollout", "stages"), "left out, or one stage with traffic: 100", judged)
        if self.rollout.strategy != "canary" or self.rollout.shadow:
            message = "what is exported answers no requests that could be split or mirrored"
            yield Finding(message, ("rollout",), "neither strategy nor shadow", judged)
        if self.mode == "observe":
            yield Finding("an export cannot be observed: nobody else makes one", ("mode",), "enforce", judged)
        if self.budget:
            yield Finding("an export has no machine to be paid for", ("budget",), "left out", judged)
        for number, check in enumerate(self.rollout.checks):
            if check.metric in MEASURED:
                message = f"Vertex AI measures no {check.metric} of devices"
                yield Finding(message, ("rollout", "checks", number), "a metric that devices report", judged)

    def _nameless_variant(self) -> Iterator[Finding]:
        """Two models of one run have artifacts of their own."""
        own = self.register_
        judged = (("register",), ("model",), ("rollout",), ("targets",))
        together = self.rollout.together
        if self.model in together:
            yield Finding("a model is not its own variant", ("rollout", "together"), "other models", judged)
        if together and len(self.targets) > 1:
            message = "the later targets would wait for the first one's promotion, and that for them"
            yield Finding(message, ("rollout", "together"), "one target, or promoted apart", judged)
        if together and (self.mode == "observe" or self.rollout.experiment):
            message = "neither what is observed nor an experiment can wait for another model"
            yield Finding(message, ("rollout", "together"), "left out", judged)
        if own.variant_of == self.model:
            yield Finding("a model is no variant of itself", ("register", "variant_of"), "another model", judged)
        if own.variant_of and not own.artifact:
            message = f"nothing says which of the models of a run of {own.variant_of} is this one"
            yield Finding(message, ("register",), "register.artifact with its name", judged)

    def _unlogged_targets(self) -> Iterator[Finding]:
        """A shadow that reads the log needs one to read."""
        if self.rollout.shadow is None or self.rollout.shadow.source != "logged":
            return
        for number, target in enumerate(self.targets):
            if target.request_logging is None:
                message = "rollout.shadow.source is logged, and this target logs no requests"
                judged = (("targets",), ("rollout",))
                yield Finding(
                    message, ("targets", number), "request_logging, or rollout.shadow.source: published", judged
                )

    def _observed_arms(self) -> Iterator[Finding]:
        if self.mode == "observe" and self.rollout.strategy != "canary":
            judged = (("mode",), ("rollout",))
            what = "an experiment" if self.rollout.strategy == "experiment" else "a switch of endpoints"
            yield Finding(f"{what} cannot be observed: nobody else makes one", ("mode",), "enforce", judged)

    def _unnamed_pairs(self) -> Iterator[Finding]:
        """The second endpoint is named after the first."""
        if self.rollout.blue_green is None:
            return
        judged = (("targets",), ("rollout",))
        for number, target in enumerate(self.targets):
            if len(target.endpoint) > LONGEST_NAME:
                message = f"the second endpoint would be {target.endpoint}-green, which is too long a name"
                allowed = f"a name of at most {LONGEST_NAME} characters"
                yield Finding(message, ("targets", number, "endpoint"), allowed, judged)
            if target.endpoint.endswith("-green"):
                message = f"{target.endpoint} is named like the second endpoint of another"
                yield Finding(message, ("targets", number, "endpoint"), "a name that does not end in -green", judged)

    def _same_targets(self) -> Iterator[Finding]:
        first: dict[tuple[str | None, str, str], int] = {}
        for number, target in enumerate(self.targets):
            name = f"{target.bucket}:{target.endpoint}" if target.bucket else target.endpoint
            before = first.setdefault((target.project, target.region, name), number)
            if before != number:
                message = f"the same endpoint as targets[{before}]"
                yield Finding(message, ("targets", number), "each endpoint once", (("targets",),))

    def _scattered_targets(self) -> Iterator[Finding]:
        """A version is registered where the first target is, and copied to the other regions and projects."""
        first, judged = self.targets[0], (("targets",), ("model",), ("rollout",), ("mode",))
        away = [t for t in self.targets if not t.bucket and (t.project, t.region) != (first.project, first.region)]
        if not away:
            return
        if self.model.isdigit():
            message = "targets in several regions or projects, and only Vertex AI gives numbers to models: a copy gets another one"
            yield Finding(message, ("model",), "a model id that begins with a letter", judged)
        if self.rollout.experiment:
            message = "an experiment in several regions or projects: its arms are not copied"
            yield Finding(message, ("targets",), "targets of one project and region", judged)
        if self.mode == "observe":
            message = "targets in several regions or projects, and nothing says which version somebody else has copied"
            yield Finding(message, ("targets",), "a policy for each, or mode: enforce", judged)


Target.model_rebuild()
