"""The shadow before the first share: requests that users sent, sent again to the candidate, whose answers nobody but us sees.

Vertex AI mirrors nothing, and Predict cannot name a deployed model, so the candidate stands on an endpoint of its own for this time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.policy.base import Strict
from shared.policy.findings import Finding, refuse
from shared.policy.units import Duration, Share, described

SAME_SCHEMA = "same_schema"
"""The comparison that is always made."""
TAKEN = (SAME_SCHEMA, "error_rate", "latency_ms")

JsonPath = Annotated[
    str,
    StringConstraints(pattern=r"^\$(\.[A-Za-z_][A-Za-z0-9_-]*|\['[^']+'\]|\[[0-9]+\]|\[\*\])*$"),
    described("a path such as $, $.label, $.scores['not relevant'], $.items[0] or $.items[*].id"),
]


class Comparison(Strict):
    """One way in which the candidate's answer is held beside the stable's, for each prediction of a request."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
    """What it is called in sentences and in the ledger."""
    kind: Literal["exact", "numeric", "ranking", "label"]
    path: JsonPath = "$"
    """Which part of a prediction is compared."""
    tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """For numeric: how far each number may be from the stable's, in its own unit."""
    relative: Share = 0.0
    """For numeric: the same as a share of the stable's number; the wider of the two counts."""
    top: int = Field(default=10, ge=1, le=1000)
    """For ranking: how many of the first are looked at."""
    overlap: Share = 1.0
    """For ranking: the share of the stable's first that must be among the candidate's first, the very first in first place."""
    at_least: Share
    """The share of predictions that must agree."""
    min_samples: int = Field(default=50, ge=1)
    """Fewer are no verdict (inconclusive)."""
    gating: bool = True
    """False: judged and shown, but it decides nothing."""


class Shadow(Strict):
    """The stage before the first share of traffic."""

    bake: Duration = timedelta(minutes=15)
    """How long it must have been judged without harm; counted from when the candidate can answer."""
    source: Literal["published", "logged"] = "published"
    """``published``: the caller publishes its predictions on ``prediction-logged``. ``logged``: ``replay_requests`` reads them in the
    table of the target's ``request_logging``."""
    sample: Share = 1.0
    """The share of what is published that is sent again; the same requests each time, by a hash of their id."""
    per_minute: int = Field(default=60, ge=1, le=6000)
    """The budget: at most so many requests are sent again in one minute."""
    payload_kib: int = Field(default=256, ge=1, le=1536)
    """A request of more KiB is not sent again; Predict takes 1.5 MB at most."""
    replicas: int = Field(default=1, ge=1)
    """Of the policy's machine, for as long as the shadow lasts."""
    same_schema: Share = 1.0
    """The share of predictions that must have the stable's keys and types. A request that the candidate refuses counts as one that has not."""
    compare: list[Comparison] = Field(default=[])

    @model_validator(mode="after")
    def _apart(self) -> Self:
        refuse(self._same_names())
        return self

    def _same_names(self) -> Iterator[Finding]:
        first: dict[str, int] = {}
        for number, comparison in enumerate(self.compare):
            if comparison.name in TAKEN:
                message = f"{comparison.name} is the name of something else"
                yield Finding(message, ("compare", number, "name"), f"none of {', '.join(TAKEN)}", (("compare",),))
            before = first.setdefault(comparison.name, number)
            if before != number:
                message = f"the same name as compare[{before}]"
                yield Finding(message, ("compare", number, "name"), "each name once", (("compare",),))
