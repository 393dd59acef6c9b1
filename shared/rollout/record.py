"""The record of one rollout, and of each decision about it.

A rollout is the journey of one version on one target. Its record changes only with a transition, and only at the revision that
was read; every transition writes one ledger entry in the same commit, so each is in the ledger exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import TypeAdapter

from shared.rollout.observed import TargetRef

SCHEMA = 1
"""Written on every record; readers accept the version before, so functions can be upgraded in the middle of a rollout."""


class Phase(StrEnum):
    """Where a rollout is."""

    QUEUED = "queued"
    """Recorded; waits for its evaluation, for the target before it, or for the trial on its endpoint to end."""
    SHADOW = "shadow"
    """Answers users' requests a second time, on an endpoint of its own; nobody but us sees how."""
    EXPERIMENT = "experiment"
    """Several versions beside the stable; its winner goes on as a canary."""
    DEPLOYING = "deploying"
    CANARY = "canary"
    WATCHING = "watching"
    """All the traffic, with a fallback that is ready."""
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"

    @property
    def is_open(self) -> bool:
        return self in _OPEN

    @property
    def is_trial(self) -> bool:
        """Whether it occupies its endpoint: at most one trial per endpoint. A watch is not a trial."""
        return self in (Phase.SHADOW, Phase.EXPERIMENT, Phase.DEPLOYING, Phase.CANARY)


_OPEN = (Phase.QUEUED, Phase.SHADOW, Phase.EXPERIMENT, Phase.DEPLOYING, Phase.CANARY, Phase.WATCHING)


class Verdict(StrEnum):
    """What one check says; five, never folded into fewer."""

    PASS = "pass"  # noqa: S105 (a verdict, not a password)
    INCONCLUSIVE = "inconclusive"
    """Too little evidence yet."""
    NO_DATA = "no_data"
    PROVIDER_ERROR = "provider_error"
    FAIL = "fail"

    @property
    def weight(self) -> int:
        return list(Verdict).index(self)


def worst(verdicts: list[Verdict]) -> Verdict:
    """The one that decides; no verdict at all is a pass (a policy without checks advances by bake time)."""
    return max(verdicts, key=lambda v: v.weight, default=Verdict.PASS)


@dataclass(frozen=True)
class CheckResult:
    """One check, judged: the numbers that a person needs to agree."""

    metric: str
    verdict: Verdict
    sentence: str
    """``error_rate 12.4% > 1% (31 of 250 requests)``"""
    observed: float | None = None
    limit: float | None = None
    stable: float | None = None
    samples: int = 0
    gating: bool = True


@dataclass(frozen=True)
class Operation:
    """A long-running operation of ours: the intent is recorded before the call, the name after it."""

    kind: Literal["create_pool", "create_endpoint", "copy", "deploy", "set_replicas", "undeploy", "delete_endpoint"]
    subject: str
    """Endpoint id or deployed-model id."""
    intended_at: datetime
    name: str = ""
    """Empty until Vertex AI has answered; an operation whose name was lost is found by what it makes, or waited out."""
    detail: str = ""


@dataclass(frozen=True)
class Shift:
    """A movement of traffic that was decided and not yet confirmed."""

    to: dict[str, int]
    stage: int
    phase: Phase
    intended_at: datetime
    sentence: str
    decision: str = "advance"
    checks: tuple[CheckResult, ...] = ()
    before: dict[str, int] = field(default_factory=dict)
    winner: str = ""
    """The arm of a sticky experiment that goes on; it has no traffic at first."""


@dataclass(frozen=True)
class Hold:
    """Why a rollout stands still although nothing failed."""

    reason: str
    by: str
    since: datetime


@dataclass(frozen=True)
class Stop:
    """Somebody wants it to end: a person, or a newer version. Traffic is given back first, then the record closes."""

    outcome: Phase
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True)
class Consent:
    """What a person was asked before a stage, and what came of it."""

    stage: int
    asked_at: datetime
    until: datetime
    given_by: str = ""
    """Empty until somebody agrees; the address in a verified ID token."""
    given_at: datetime | None = None


@dataclass(frozen=True)
class Arm:
    """One version of an experiment, beside the control."""

    name: str
    version: str
    deployed_id: str = ""
    """Empty until its deployment was asked for."""
    out: str = ""
    """Why it is out of the experiment; empty while it is in."""


@dataclass(frozen=True)
class Rollout:
    """One rollout, as stored."""

    id: str
    model: str
    version: str
    target: TargetRef
    target_index: int
    policy_version: int
    phase: Phase
    created_at: datetime
    updated_at: datetime
    phase_since: datetime
    stage: int = -1
    """Index into the policy's stages; -1 before the first share."""
    stage_since: datetime | None = None
    attempt: int = 1
    not_before: datetime | None = None
    """The next attempt of what failed for want of quota."""
    busy: int = 0
    """How often in a row Vertex AI took no request of it for want of quota."""
    busy_since: datetime | None = None
    resizes_failed: int = 0
    """How many changes of replicas have failed since the traffic was moved last, or a person resumed."""
    deployed_id: str = ""
    stable_id: str = ""
    """Who held the traffic when it started; empty for the first version of a model."""
    stable_version: str = ""
    pinned: dict[str, int] = field(default_factory=dict)
    """Deployed-model id to the minimum replicas it had before we raised them."""
    arms: tuple[Arm, ...] = ()
    """Of an experiment; the rollout's version is the newest of them, and the winner once there is one."""
    operation: Operation | None = None
    shift: Shift | None = None
    hold: Hold | None = None
    stop: Stop | None = None
    shadowed: bool = False
    """The shadow was judged without harm; it is removed, then the version is deployed."""
    ready: bool = False
    """Its last stage is due, and it waits for the variants that it is promoted with."""
    examined: str = ""
    """By which answers to the gate's fixed set it has passed, so that this is said once."""
    approved: bool = False
    """A person said: go on now."""
    consent: Consent | None = None
    """Of the stage that is due, or of the last one that asked for it."""
    resumed_at: datetime | None = None
    """When a person last resumed it; what had to be borne until then is not held against it again."""
    sentence: str = ""
    """Why it is where it is: the last transition's."""
    sequence: int = 0
    """Number of ledger entries so far."""
    aliases_due: bool = False
    """Whether aliases have to be projected again; they have no etag, so it stays set until they were seen to stand."""
    observed: str = ""
    """In observe mode: the last thing it would have done in this stage; noted once, not at every tick."""
    schema: int = SCHEMA

    @property
    def is_unsettled(self) -> bool:
        """Whether ticks still have to look at it."""
        return self.phase.is_open or self.aliases_due

    def moved(self, now: datetime, **changes: Any) -> Rollout:
        """A copy with changes; a change of phase or stage restarts its clock."""
        changes.setdefault("updated_at", now)
        if changes.get("phase", self.phase) != self.phase:
            changes.setdefault("phase_since", now)
        return replace(self, **changes)


@dataclass(frozen=True)
class LedgerEntry:
    """One decision: numbers, limits, traffic before and after, event, actor."""

    id: str
    rollout: str
    model: str
    at: datetime
    decision: str
    """advance, promote, hold, pause, resume, roll_back, reassert, start, operate, drop, fail, reject, refuse, supersede, finish, adopt,
    note"""
    sentence: str
    severity: Literal["info", "warning", "error"] = "info"
    target: str = ""
    version: str = ""
    phase: str = ""
    stage: int = -1
    traffic_before: dict[str, int] | None = None
    traffic_after: dict[str, int] | None = None
    checks: tuple[CheckResult, ...] = ()
    event: str = ""
    """The id of the message that led to it."""
    actor: str = ""
    """The function, or the verified e-mail address of a person."""
    began_at: datetime | None = None
    """For a rollback: when the incident began."""
    detected_at: datetime | None = None
    """For a rollback: when the alert that led to it was published."""
    restored_at: datetime | None = None
    """For a rollback: when the traffic was given back. The entry is later where the store was down meanwhile."""
    schema: int = SCHEMA


ROLLOUT = TypeAdapter(Rollout)
LEDGER_ENTRY = TypeAdapter(LedgerEntry)
