"""The steps that a rollout can take, and all that the choice between them depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from shared.policy.schema import Policy
from shared.rollout.capacity import ReplicaChange
from shared.rollout.decide import Decision, Kind
from shared.rollout.gate import GateResult
from shared.rollout.labels import TrialLabels
from shared.rollout.observed import Endpoint, OperationState, Pool
from shared.rollout.record import Arm, CheckResult, Phase, Rollout

if TYPE_CHECKING:
    from shared.rollout.fixed_set import Task, Work
    from shared.rollout.together import Partner

BACK_OFF = timedelta(minutes=5)
"""Before the second attempt of a deployment or a change of replicas; doubles with each (``back_off``)."""
BUSY_BACK_OFF = timedelta(minutes=2)
"""Before what was put off for want of request quota is asked for again; doubles each time, and no attempt is counted."""
VISIBLE_WITHIN = timedelta(minutes=10)
"""How long a deployed model may stay invisible after its operation is done."""
REPLICAS_WITHIN = timedelta(minutes=20)
"""How long replicas that were asked for are waited for before a person is told."""


@dataclass(frozen=True)
class Wait:
    """Nothing to do now."""

    sentence: str


@dataclass(frozen=True)
class CreateEndpoint:
    sentence: str
    is_green: bool = False
    """The second of two."""


@dataclass(frozen=True)
class Couple:
    """Two endpoints become one target (blue-green)."""

    sentence: str


@dataclass(frozen=True)
class CreatePool:
    """Machines that the version shares with others."""

    pool: str
    sentence: str


@dataclass(frozen=True)
class Copy:
    """The version into the target's region or project."""

    sentence: str


@dataclass(frozen=True)
class Deploy:
    """Start the deployment with an empty split: a split sent now would overwrite the endpoint's at its end, ten minutes later."""

    deployed_id: str
    attempt: int
    stable_id: str
    stable_version: str
    sentence: str


@dataclass(frozen=True)
class SetReplicas:
    change: ReplicaChange
    sentence: str


@dataclass(frozen=True)
class Retry:
    """The operation failed; another attempt later."""

    not_before: datetime
    sentence: str
    is_elsewhere: bool = False
    """What was deployed stands where it must not have traffic; the next one gets another id."""


@dataclass(frozen=True)
class PutOff:
    """A change of replicas failed for want of capacity; it is asked for again later."""

    not_before: datetime
    sentence: str


@dataclass(frozen=True)
class Forget:
    """The recorded operation is over."""

    sentence: str


@dataclass(frozen=True)
class Rebase:
    """The traffic has another holder than when the deployment began: it is the stable from now on."""

    stable_id: str
    stable_version: str
    sentence: str


@dataclass(frozen=True)
class Redeploy:
    """Start the deployment of the stable's version once more: somebody has undeployed it."""

    deployed_id: str
    replicas: int
    """At least; what carries the traffic now has so many."""
    sentence: str


@dataclass(frozen=True)
class Reinstate:
    """What was deployed again takes the stable's place, in one guarded write; the candidate gets nothing by it."""

    deployed_id: str
    split: dict[str, int]
    labels: TrialLabels
    sentence: str


@dataclass(frozen=True)
class Move:
    """Write traffic and labels in one guarded call."""

    split: dict[str, int]
    labels: TrialLabels
    stage: int
    phase: Phase
    decision: Kind
    sentence: str
    checks: tuple[CheckResult, ...] = ()
    winner: str = ""
    """The arm of a sticky experiment that goes on, without traffic until it is deployed beside the control."""


@dataclass(frozen=True)
class Confirm:
    """The traffic already is where an interrupted step wanted it; only the record is behind."""

    sentence: str


@dataclass(frozen=True)
class Lower:
    """Reassert: give the candidate less, never more."""

    split: dict[str, int]
    sentence: str


@dataclass(frozen=True)
class Pause:
    reason: str
    by: str = "policy"


@dataclass(frozen=True)
class AskApproval:
    """The stage is due and a person must agree first."""

    stage: int
    until: datetime
    sentence: str


@dataclass(frozen=True)
class Ready:
    """The last stage is due, and another variant of the same run is not as far."""

    sentence: str


@dataclass(frozen=True)
class AskRollback:
    """Publish to ``alert-fired``: there is exactly one way to roll back."""

    sentence: str
    checks: tuple[CheckResult, ...] = ()
    deployed: str = ""
    """One arm of an experiment; empty for all that is on trial."""


@dataclass(frozen=True)
class Supersede:
    """Ask the trial that is in the way to stop; it gives its traffic back by itself."""

    other: str
    sentence: str


@dataclass(frozen=True)
class Close:
    """The rollout ends here; ``release`` removes its labels from the endpoint first."""

    phase: Phase
    sentence: str
    release: bool = False
    checks: tuple[CheckResult, ...] = ()
    restored_at: datetime | None = None
    """When ``roll_back`` gave the traffic back, whose record this makes up for; the ledger calls it so, whatever the end is."""


@dataclass(frozen=True)
class Examine:
    """The answers of candidate and champion to the gate's fixed set are not complete."""

    tasks: tuple[Task, ...]
    sentence: str


@dataclass(frozen=True)
class Examined:
    """They are, and nothing speaks against the version."""

    key: str
    sentence: str
    checks: tuple[CheckResult, ...] = ()


@dataclass(frozen=True)
class Tend:
    """Something about the rollout's shadow, which no user ever meets."""

    action: Literal["start", "create", "deploy", "serve", "begin", "end", "undeploy", "delete"]
    sentence: str
    deployed_id: str = ""
    """The candidate on the shadow endpoint."""
    stable_id: str = ""
    """For ``start``: beside whom."""
    stable_version: str = ""
    checks: tuple[CheckResult, ...] = ()


@dataclass(frozen=True)
class Arrange:
    """Something about an experiment's arms, before and after they have traffic."""

    action: Literal["start", "create", "deploy", "serve", "drop"]
    sentence: str
    arm: Arm | None = None
    arms: tuple[Arm, ...] = ()
    stable_id: str = ""
    stable_version: str = ""


Step = (
    Wait
    | CreateEndpoint
    | Couple
    | CreatePool
    | Copy
    | Deploy
    | SetReplicas
    | Retry
    | PutOff
    | Forget
    | Rebase
    | Redeploy
    | Reinstate
    | Move
    | Confirm
    | Lower
    | Pause
    | AskApproval
    | Ready
    | AskRollback
    | Supersede
    | Examine
    | Examined
    | Tend
    | Arrange
    | Close
)


@dataclass(frozen=True)
class Situation:
    """All that the next step depends on."""

    policy: Policy
    rollout: Rollout
    endpoint: Endpoint | None
    decision: Decision
    now: datetime
    operation: OperationState | None = None
    """The recorded operation as read now; None where there is none or its name was lost."""
    gate: GateResult | None = None
    """Only for a queued rollout."""
    work: Work | None = None
    """What is missing of the answers to the gate's fixed set; only for a queued rollout."""
    is_lost: bool = False
    """Whether the registry has no such version; only asked of a queued rollout."""
    before: Rollout | None = None
    """The rollout of the same version on the target before this one."""
    shadow: Endpoint | None = None
    """The shadow endpoint; only for a rollout in its shadow."""
    arms: tuple[Arm, ...] = ()
    """The arms that have a queued version; only for a queued rollout of an experiment."""
    named: Mapping[str, str] = field(default_factory=dict)
    """By queued version: which arm it is, "" for none."""
    leading: tuple[Rollout, ...] = ()
    """Other open rollouts of the endpoint that have arms."""
    pool: Pool | None = None
    """The pool that the policy names, where it is there; only for a queued rollout."""
    away_from: tuple[str, str] | None = None
    """Project and region in which the version is registered, where the target is in another one."""
    copied: str = ""
    """The number of the version's copy there; only for a queued rollout."""
    partners: tuple[Partner, ...] = ()
    """The variants of the same run that it is promoted with."""
    green: Endpoint | None = None
    """The second endpoint, alone; only for a queued rollout of blue-green."""
    has_bucket: bool = False
    """Whether there is a bucket that says which endpoint is live."""
    busy: str = ""
    """The rollout whose trial occupies the endpoint; at most one does."""
    barred: str = ""
    """Why nothing may go forward now (a freeze, or no window is open); never asked on the way back."""
    over_budget: str = ""
    """Why its machines would cost too much; only for a queued rollout."""
    short_of_budget: str = ""
    """Why they would cost too much now, and will not soon; part of ``barred``, which the gate does not ask."""


def pause(s: Situation, reason: str, by: str = "policy") -> Step:
    """A pause, told once: what is paused already stays so."""
    return Wait(f"paused: {reason}") if s.rollout.hold else Pause(reason, by)
