"""How a version travels from deployed to all traffic: stages, what they judge, and how long what is borne."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.policy.base import Strict
from shared.policy.blue_green import LONGEST_TTL, BlueGreen
from shared.policy.experiment import Experiment
from shared.policy.findings import Finding, refuse
from shared.policy.shadow import Shadow
from shared.policy.times import Approval, Freeze, Window
from shared.policy.units import Duration, Factor, Share, format_duration

MINUTE = timedelta(minutes=1)
ERROR_RATE = "error_rate"
"""The one metric that is counted, not distributed."""
MEASURED = (ERROR_RATE, "latency_ms")
"""What Vertex AI measures; every other name is the user's."""


class Stage(Strict):
    """One step of a rollout: a share of the traffic, for a time."""

    traffic: int = Field(ge=1, le=100)
    """Percent; Vertex AI splits traffic in whole percents."""
    bake: Duration = timedelta(minutes=15)
    """How long the stage must have been judged without harm before the next one; counted from the shift."""
    approval: Approval | None = None
    """A person must agree before this stage is entered."""


class Labels(Strict):
    """How predictions are joined with truths that come later (``quality-reported``: ``predictions``, ``truths``)."""

    ripe_after: Duration
    """Every prediction is judged at this age, with its truth or without: truths that come soon are often not like those that come late."""
    coverage: Share = 0.5
    """The share of ripe predictions whose truth must be known; of less nothing is concluded."""
    outcome: Literal["agrees", "absolute_error"] = "agrees"
    """``agrees``: 1 where the prediction is the truth, else 0; limit it with mean_at_least. ``absolute_error``: how far the two numbers are apart."""

    @model_validator(mode="after")
    def _not_at_once(self) -> Self:
        if self.ripe_after < MINUTE:
            allowed = "at least 1m; what is known at once is reported as a metric"
            refuse([Finding("nothing ripens in less than a minute", ("ripe_after",), allowed)])
        return self


class Check(Strict):
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
    share_above: dict[float, Share] = Field(default={})
    share_below: dict[float, Share] = Field(default={})
    margin: Factor | None = None
    """How much worse than the stable the candidate may be: of error_rate the ratio of the shares, of others that of the P95 or the mean."""
    labels: Labels | None = None
    """The metric is made of predictions and their truths. A stage that is shorter than they need does not wait for it; a later one, or the
    watch, does."""
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
        of_this, of_others = (_OF_A_SHARE, _OF_VALUES) if self.metric == ERROR_RATE else (_OF_VALUES, _OF_A_SHARE)
        given = [name for name in _OF_A_SHARE + _OF_VALUES if self._limits_by(name)]
        for name in given:
            if name in of_others:
                yield Finding(
                    f"{name} cannot limit {self.metric}", (name,), f"for {self.metric}: {', '.join(of_this)}, margin"
                )
        if self.labels and self.metric in MEASURED:
            message = f"{self.metric} is measured by Vertex AI and has no truths"
            yield Finding(message, ("labels",), "a name of your own", (("metric",), ("labels",)))
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


class Metrics(Strict):
    """How served metrics are read."""

    lag: Duration = timedelta(minutes=4)
    """Ticks younger than this are not judged: Cloud Monitoring shows some series only after minutes."""
    window: Duration = timedelta(minutes=10)
    """How far back a check looks at one time."""
    settle: Duration = timedelta(minutes=1)
    """What is dropped after a shift of traffic: caches are cold and minutes are mixed."""


class Standby(Strict):
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


class Patience(Strict):
    """How long something is borne, and what follows."""

    after: Duration
    then: Literal["hold", "pause", "roll_back"]


class Confidence(Strict):
    """How often ``advance: evidence`` may be wrong; for the whole rollout, all its checks and all looks together."""

    harm: Annotated[Share, Field(gt=0, le=0.2)] = 0.01
    """Candidates that do no harm and are taken back all the same."""
    no_harm: Annotated[Share, Field(gt=0, le=0.2)] = 0.05
    """Candidates beyond a margin throughout that pass a stage all the same."""


class RolloutSpec(Strict):
    """How a version travels from deployed to all traffic."""

    strategy: Literal["canary", "experiment", "blue_green"] = "canary"
    """``experiment``: several versions at once, and the best of them goes on by the stages. ``blue_green``: two endpoints, and clients ask the
    one that is live; all of them are switched at once."""
    experiment: Experiment | None = None
    blue_green: BlueGreen | None = None
    """Only with ``strategy: blue_green``, which has it in any case."""
    advance: Literal["evidence", "bake"] = "evidence"
    """``bake``: a stage advances when its bake time and the minimum samples have passed without harm. ``evidence``: when there is evidence of
    no harm, and it is taken back on evidence of harm, with error rates that hold however often one looks; ``bake`` is its least time then."""
    confidence: Confidence = Confidence()
    """For ``advance: evidence``."""
    shadow: Shadow | None = None
    """A stage before the first share; a model's first version has none."""
    stages: list[Stage] = Field(default=[Stage(traffic=10), Stage(traffic=50), Stage(traffic=100)], min_length=1)
    checks: list[Check] = Field(default=[])
    together: list[str] = Field(default=[])
    """Other models that the same training run makes (variants): the last stage waits until their versions of the run are ready for theirs or have
    all their traffic, and what one of them loses this one gives back. None: promoted apart."""
    metrics: Metrics = Metrics()
    standby: Standby = Standby()
    windows: list[Window] = Field(default=[])
    """When a version may be deployed and its share raised; none means always. A rollback asks for no window."""
    freezes: list[Freeze] = Field(default=[])
    """Days on which neither happens."""
    drift: Literal["pause", "reassert", "adopt"] = "pause"
    """When somebody else has moved the traffic. Reasserting only ever lowers a candidate."""
    supersede: Literal["queue", "replace", "reject"] = "queue"
    """When a newer version arrives during a trial."""
    stable_missing: Literal["pause", "redeploy"] = "pause"
    """When somebody has undeployed what a candidate could be rolled back to: pause and call a person, or deploy that version again (in a
    watch: the fallback, which is not minded otherwise)."""
    no_data: Patience = Patience(after=timedelta(minutes=30), then="pause")
    provider_error: Patience = Patience(after=timedelta(minutes=30), then="pause")
    deadline: Patience = Patience(after=timedelta(hours=24), then="pause")
    """For one stage, from its shift."""
    deploy_attempts: int = Field(default=3, ge=1, le=10)
    deploy_within: Duration = timedelta(hours=2)
    """How long one deployment may take; container_spec.deployment_timeout is at most 2 h."""

    @model_validator(mode="before")
    @classmethod
    def _switched(cls, value: Any) -> Any:
        """A switch has one stage, and need not say so."""
        if isinstance(value, dict) and value.get("strategy") == "blue_green":
            return {"stages": [{"traffic": 100}], **value, "blue_green": value.get("blue_green") or {}}
        return value

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        refuse(self._findings())
        return self

    def _findings(self) -> Iterator[Finding]:
        yield from self._stages_that_do_not_rise()
        yield from self._too_short_stages()
        yield from self._only_relative_checks()
        yield from self._unripe_checks()
        yield from self._unfit_experiment()
        yield from self._unfit_switch()

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
        if self.shadow and self.shadow.bake < least:
            yield Finding(
                f"{format_duration(self.shadow.bake)} is too short to be judged: metrics are {format_duration(lag)} late"
                f" and the first {format_duration(settle)} is dropped",
                ("shadow", "bake"),
                f"at least {format_duration(least)}, or a smaller rollout.metrics.lag",
                (("shadow",), ("metrics",)),
            )
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

    def _unripe_checks(self) -> Iterator[Finding]:
        """The watch is the last that can hear of a truth."""
        for number, check in enumerate(self.checks):
            if check.labels is None:
                continue
            needs = check.labels.ripe_after + self.metrics.lag + self.metrics.settle + MINUTE
            if self.standby.keep < needs:
                yield Finding(
                    f"truths are ripe after {format_duration(check.labels.ripe_after)}, and the watch is over by then:"
                    " nobody would ever judge them",
                    ("checks", number, "labels", "ripe_after"),
                    f"less, or a rollout.standby.for of at least {format_duration(needs)}",
                    (("checks",), ("standby",), ("metrics",)),
                )

    def _unfit_experiment(self) -> Iterator[Finding]:
        judged = (("strategy",), ("experiment",), ("shadow",), ("metrics",))
        if (self.strategy == "experiment") != (self.experiment is not None):
            yield Finding(
                "strategy and experiment do not go together",
                ("strategy",),
                "strategy: experiment with a section experiment, or neither",
                judged,
            )
        if self.experiment is None:
            return
        if self.shadow is not None:
            yield Finding("an experiment has no shadow before it", ("shadow",), "rollout.shadow left out", judged)
        least = self.metrics.lag + self.metrics.settle + MINUTE
        if self.experiment.within < least:
            within = format_duration(self.experiment.within)
            yield Finding(
                f"{within} is too short to be judged",
                ("experiment", "within"),
                f"at least {format_duration(least)}",
                judged,
            )

    def _unfit_switch(self) -> Iterator[Finding]:
        """All clients are switched at once: there is no share to begin with, and no stable beside the candidate afterwards."""
        if self.blue_green is None:
            return
        judged = (("strategy",), ("blue_green",), ("stages",), ("checks",), ("standby",), ("shadow",))
        if self.strategy != "blue_green":
            message = f"blue_green stands beside strategy: {self.strategy}"
            yield Finding(message, ("blue_green",), "strategy: blue_green, or no section blue_green", judged)
            return
        if len(self.stages) > 1:
            yield Finding(
                "two endpoints cannot share the traffic: clients ask one of them",
                ("stages",),
                "left out, or one stage with traffic: 100",
                judged,
            )
        if self.blue_green.ttl > LONGEST_TTL:
            allowed = f"at most {format_duration(LONGEST_TTL)}"
            yield Finding(f"{format_duration(self.blue_green.ttl)} is too long", ("blue_green", "ttl"), allowed, judged)
        for number, check in enumerate(self.checks):
            if check.gating and not check.is_absolute and self.shadow is None:
                yield Finding(
                    f"{check.metric} is only compared with the stable, which answers nobody once clients are switched",
                    ("checks", number),
                    "a limit such as at_most or p95_at_most, or a rollout.shadow, in which both answer",
                    judged,
                )
        if self.standby.keep <= self.blue_green.ttl:
            yield Finding(
                "the watch is over before all clients have followed",
                ("standby", "for"),
                f"more than the ttl of {format_duration(self.blue_green.ttl)}",
                judged,
            )
