"""An experiment: several versions beside the stable at once, and the best of them is found by what users get."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.policy.base import Strict
from shared.policy.blue_green import LONGEST_TTL
from shared.policy.findings import Finding, refuse
from shared.policy.units import Duration, Share, format_duration

ArmName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
MOST_ARMS = 5
"""Beside the control; their ids stand in one label of the endpoint."""


class Objective(Strict):
    """What arms are compared by: how often something good happens."""

    metric: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
    """``error_rate`` (good is what does not fail), or a metric with a distribution."""
    good_from: float | None = None
    """A value is good from here on."""
    good_to: float | None = None
    """A value is good up to here."""

    @model_validator(mode="after")
    def _one_edge(self) -> Self:
        refuse(self._findings())
        return self

    def _findings(self) -> Iterator[Finding]:
        given = [name for name in ("good_from", "good_to") if getattr(self, name) is not None]
        if self.metric == "error_rate" and given:
            yield Finding(f"{given[0]} cannot stand beside error_rate", (given[0],), "neither good_from nor good_to")
        if self.metric != "error_rate" and len(given) != 1:
            yield Finding(
                f"what is good of {self.metric} is not said by one edge", ("metric",), "one of good_from and good_to"
            )


class Experiment(Strict):
    """How several versions are compared, and what becomes of the best one."""

    by: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    """The label of a version that says which arm it is."""
    arms: list[ArmName] = Field(min_length=1, max_length=MOST_ARMS)
    """Its values; the stable is the control, whatever its label says. The experiment begins when each arm has a version."""
    share: int = Field(default=10, ge=1, le=50)
    """Percent of the traffic for each arm; the control has the rest."""
    assignment: Literal["request", "key"] = "request"
    """``request``: each request by the split, so one user meets several arms. ``key`` (sticky): one endpoint per arm, and clients find theirs by
    a hash of the user's key; of each key one outcome counts."""
    ttl: Duration = timedelta(seconds=30)
    """For ``assignment: key``: how long a client may go on with the shares that it has read."""
    objective: Objective
    bake: Duration = timedelta(minutes=30)
    """An arm may be dropped at any time; none wins earlier than this."""
    within: Duration = timedelta(days=1)
    """When no arm has won by then, none is better enough."""
    confidence: Share = 0.05
    """How often an arm that is not the best may win, or one that is the best be dropped, in all."""
    winner: Literal["promote", "ask"] = "promote"
    """``ask``: the winner waits for a person's ``rollouts promote``."""
    none: Literal["control", "pause"] = "control"
    """When nobody has won in time: all the traffic to the control, or a person decides."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse(self._misfits())
        return self

    def _misfits(self) -> Iterator[Finding]:
        for number, name in enumerate(self.arms):
            if name in self.arms[:number]:
                yield Finding(f"arm {name} is there twice", ("arms", number), "each arm once", (("arms",),))
        if self.share * len(self.arms) > 90:
            message = f"{len(self.arms)} arms of {self.share} % leave the control less than 10 %"
            yield Finding(message, ("share",), f"at most {90 // len(self.arms)}", (("arms",), ("share",)))
        if self.is_sticky and self.objective.metric == "error_rate":
            message = "error_rate counts requests, of which one key makes many; one outcome per key is reported"
            judged = (("objective",), ("assignment",))
            yield Finding(message, ("objective", "metric"), "a metric of your own, or assignment: request", judged)
        if self.ttl > LONGEST_TTL:
            allowed = f"at most {format_duration(LONGEST_TTL)}"
            yield Finding(f"{format_duration(self.ttl)} is too long", ("ttl",), allowed)

    @property
    def is_sticky(self) -> bool:
        """Whether one user stays with one arm."""
        return self.assignment == "key"
