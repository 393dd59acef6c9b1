"""The endpoint's labels: all that a rollback needs, kept where the traffic is.

Rolling back must work while store, metrics and chat are down, so what it has to know stands on the endpoint itself and is written in
the same call as the split. Everything else about a rollout lives in its record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

PREFIX = "vr-"
MODEL = "vr-model"
ROLLOUT = "vr-rollout"
STABLE = "vr-stable"
CANDIDATE = "vr-candidate"
ARMS = "vr-arms"
"""The arms of an experiment that still have traffic, their ids joined by ``_``."""
FALLBACK = "vr-fallback"
SINCE = "vr-since"
LAG = "vr-lag"
UNNAMED = "vr-unnamed"
TTL = "vr-ttl"
"""How long clients may go on with what they know; only of a pair and of a sticky experiment."""
PAIR = "vr-pair"
"""On both endpoints of a pair: the first one's name."""
STICKY = "vr-sticky"
"""On the endpoint of a sticky experiment: the rollout whose split and labels stand in the bucket's object."""
ARM = "vr-arm"
"""On the endpoint of one arm of a sticky experiment: the rollout that made it."""
ARM_OF = "vr-arm-of"
"""And the endpoint that it is beside."""
ARM_NAME = "vr-arm-name"
CLOSED = "vr-closed"
CLOSED_FROM = "vr-closed-from"
"""Who lost the traffic then."""
CLOSED_AT = "vr-closed-at"
"""And when: an alert that names nobody and began before it was answered already."""
ADOPTED = "vr-adopted"
"""Of an endpoint away from where versions are registered: a deployed model that somebody else has put there, and the version that it is. Its
own name says nothing of that and cannot be changed."""


@dataclass(frozen=True)
class TrialLabels:
    """What the labels say about one endpoint."""

    model: str = ""
    """The model whose policy owns the endpoint."""
    rollout: str = ""
    """The trial or watch in progress."""
    stable: str = ""
    candidate: str = ""
    """Who is on trial; empty in a watch, when the former candidate is the stable."""
    arms: tuple[str, ...] = ()
    """Of an experiment; empty otherwise."""
    fallback: str = ""
    since: datetime | None = None
    """When the present trial or watch began: an incident that began earlier is not its fault."""
    lag: timedelta = timedelta(minutes=4)
    unnamed: str = "act"
    ttl: timedelta | None = None
    closed: str = ""
    """The rollout that was rolled back last."""
    closed_from: str = ""
    closed_at: datetime | None = None

    @property
    def at(self) -> datetime | None:
        """When what holds now began to: the trial or watch, or the rollback that ended it."""
        return self.since if self.rollout else self.closed_at

    @property
    def is_ours(self) -> bool:
        return bool(self.stable or self.rollout)


def read_labels(labels: Mapping[str, str]) -> TrialLabels:
    """The trial as the labels have it; an endpoint of somebody else reads as empty.

    Anybody may edit labels, and a rollback may not stumble over what they wrote: a number that is none reads as absent.
    """
    lag, ttl = labels.get(LAG, ""), labels.get(TTL, "")
    return TrialLabels(
        model=labels.get(MODEL, ""),
        rollout=labels.get(ROLLOUT, ""),
        stable=labels.get(STABLE, ""),
        candidate=labels.get(CANDIDATE, ""),
        arms=tuple(filter(None, labels.get(ARMS, "").split("_"))),
        fallback=labels.get(FALLBACK, ""),
        since=_moment(labels.get(SINCE, "")),
        lag=timedelta(seconds=int(lag)) if _NUMBER.fullmatch(lag) else TrialLabels.lag,
        unnamed=labels.get(UNNAMED, "act"),
        ttl=timedelta(seconds=int(ttl)) if _NUMBER.fullmatch(ttl) else None,
        closed=labels.get(CLOSED, ""),
        closed_from=labels.get(CLOSED_FROM, ""),
        closed_at=_moment(labels.get(CLOSED_AT, "")),
    )


_NUMBER = re.compile(r"[0-9]{1,10}")
"""Ten digits reach to the year 2286; more would overflow a date."""


def _moment(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if _NUMBER.fullmatch(text) else None


def _seconds(at: datetime | None) -> str:
    return str(int(at.timestamp())) if at else ""


def write_labels(before: Mapping[str, str], trial: TrialLabels) -> dict[str, str]:
    """The whole label map to write: a mask on a map replaces it whole, so everybody else's labels are carried over."""
    ours = {
        MODEL: trial.model,
        ROLLOUT: trial.rollout,
        STABLE: trial.stable,
        CANDIDATE: trial.candidate,
        ARMS: "_".join(trial.arms),
        FALLBACK: trial.fallback,
        SINCE: _seconds(trial.since),
        LAG: str(int(trial.lag.total_seconds())),
        UNNAMED: trial.unnamed if trial.unnamed != "act" else "",
        TTL: str(int(trial.ttl.total_seconds())) if trial.ttl else "",
        CLOSED: trial.closed,
        CLOSED_FROM: trial.closed_from,
        CLOSED_AT: _seconds(trial.closed_at),
    }
    others = {key: value for key, value in before.items() if not key.startswith(PREFIX)}
    return others | adopted(before) | {key: value for key, value in ours.items() if value}


def adopt_as(deployed_id: str, version: str) -> dict[str, str]:
    """The label that says which version a deployed model is."""
    return {ADOPTED: f"{deployed_id}_{version}"}


def adopted(labels: Mapping[str, str]) -> dict[str, str]:
    """That label, where there is one: it is true for as long as the deployed model stands there, whatever else is written."""
    return {ADOPTED: labels[ADOPTED]} if ADOPTED in labels else {}
