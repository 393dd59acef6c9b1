"""The next step of one rollout: one pure function from what is to what has to be done.

Level-triggered: it never asks which event came, only what is still missing. A step is one call to Vertex AI or one change of the
record; whoever applies it records the intent first and comes back here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.policy.schema import Policy
from shared.policy.units import format_duration
from shared.rollout.capacity import ReplicaChange, is_strong_enough, plan_candidate, plan_pin
from shared.rollout.decide import Decision, Kind
from shared.rollout.gate import GateResult
from shared.rollout.labels import TrialLabels, read_labels
from shared.rollout.names import deployed_model_id
from shared.rollout.observed import Endpoint, OperationState
from shared.rollout.record import CheckResult, Phase, Rollout, Verdict
from shared.rollout.split import canary_split, format_split, same_split

BACK_OFF = timedelta(minutes=5)
"""Before the second deployment attempt; doubles with each."""
BUSY_BACK_OFF = timedelta(minutes=2)
"""Before what was put off for want of request quota is asked for again; no attempt is counted."""
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


@dataclass(frozen=True)
class Forget:
    """The recorded operation is over."""

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
class AskRollback:
    """Publish to ``alert-fired``: there is exactly one way to roll back."""

    sentence: str
    checks: tuple[CheckResult, ...] = ()


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


Step = (
    Wait
    | CreateEndpoint
    | Deploy
    | SetReplicas
    | Retry
    | Forget
    | Move
    | Confirm
    | Lower
    | Pause
    | AskRollback
    | Supersede
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
    before: Rollout | None = None
    """The rollout of the same version on the target before this one."""
    busy: str = ""
    """The rollout whose trial occupies the endpoint; at most one does."""


def plan_step(s: Situation) -> Step:
    """The one next step."""
    r = s.rollout
    if r.stop and r.phase in (Phase.QUEUED, Phase.DEPLOYING) and not (s.endpoint and s.endpoint.share(r.deployed_id)):
        return Close(r.stop.outcome, f"Stopped v{r.version} before it had traffic, by {r.stop.by}: {r.stop.reason}")
    if r.phase is Phase.QUEUED:
        return _plan_queued(s)
    if r.phase is Phase.DEPLOYING:
        return _plan_deploying(s)
    if r.phase is Phase.CANARY:
        return _plan_canary(s)
    if r.phase is Phase.WATCHING:
        return _plan_watching(s)
    return Wait(f"ended: {r.sentence}")


def _plan_queued(s: Situation) -> Step:
    turn = _plan_turn(s)
    if turn:
        return turn
    if s.gate is not None and s.gate.verdict is Verdict.FAIL:
        return Close(
            Phase.REJECTED, f"Rejected v{s.rollout.version} by the gate: {s.gate.sentence}", checks=s.gate.checks
        )
    if s.gate is not None and s.gate.verdict is Verdict.NO_DATA:
        return Wait(s.gate.sentence)
    if s.rollout.hold:
        return Wait(f"paused by {s.rollout.hold.by}: {s.rollout.hold.reason}")
    if s.endpoint is None:
        return _plan_endpoint(s)
    if s.busy and s.busy != s.rollout.id:
        return _plan_behind(s)
    return _plan_start(s, s.endpoint)


def _plan_behind(s: Situation) -> Step:
    """Another trial is on the endpoint: the policy says what a newer version does."""
    r = s.rollout
    if s.policy.rollout.supersede == "replace":
        return Supersede(s.busy, f"v{r.version} is newer")
    if s.policy.rollout.supersede == "reject":
        return Close(
            Phase.REJECTED, f"Rejected v{r.version}: {s.busy} is on trial, and the policy rejects what comes meanwhile"
        )
    return Wait(f"waits for the trial {s.busy}")


def _plan_turn(s: Situation) -> Step | None:
    """Targets in order, stopped by the first failure; and one trial per endpoint."""
    before = s.before
    if before is not None and before.phase is not Phase.PROMOTED:
        if before.phase.is_open:
            return Wait(f"waits for target {before.target}, which is {before.phase}")
        return Close(
            Phase.REJECTED,
            f"Stopped v{s.rollout.version}: on target {before.target} it was {before.phase}: {before.sentence}",
        )
    trial = read_labels(s.endpoint.labels) if s.endpoint else TrialLabels()
    stable = s.endpoint.find(trial.stable) if s.endpoint else None
    if stable and stable.model == s.rollout.model and _number(stable.version) > _number(s.rollout.version):
        return Close(
            Phase.SUPERSEDED, f"Superseded v{s.rollout.version}: v{stable.version} is newer and has the traffic"
        )
    return None


def _plan_endpoint(s: Situation) -> Step:
    ref, op = s.rollout.target, s.rollout.operation
    if ref.endpoint.isdigit():
        return Close(
            Phase.FAILED, f"Endpoint {ref} does not exist, and only Vertex AI can give an endpoint a number for its id"
        )
    if op is None:
        return CreateEndpoint(f"Creating endpoint {ref}")
    if s.operation and s.operation.done:
        if s.operation.error:
            return _plan_failed(s, s.operation)
        return Wait(f"endpoint {ref} was created and is not visible yet")
    if not op.name and s.now - op.intended_at >= VISIBLE_WITHIN:
        return Forget("the call that would have created the endpoint left no trace")
    return Wait(f"endpoint {ref} is being created")


def _plan_start(s: Situation, endpoint: Endpoint) -> Step:
    """Who is the stable, whether there is room, and the first deployment."""
    r, op = s.rollout, s.rollout.operation
    if op is not None and op.kind == "create_endpoint":
        return Forget(f"endpoint {r.target} is there")
    trial = read_labels(endpoint.labels)
    if trial.model and trial.model != r.model:
        return Close(
            Phase.REJECTED, f"Refused v{r.version}: endpoint {r.target} belongs to the policy of {trial.model}"
        )
    holders = [model for model, share in endpoint.split.items() if share]
    if len(holders) > 1:
        return Close(
            Phase.REJECTED,
            f"Refused v{r.version}: several models hold traffic on {r.target} ({format_split(endpoint.split)})",
        )
    if holders and not trial.is_ours:
        return Wait(f"endpoint {r.target} lived before this policy: `rollouts adopt {r.model}` brings it under it")
    stable = endpoint.find(holders[0]) if holders else None
    if stable and stable.model == r.model and stable.version == r.version:
        return Close(Phase.REJECTED, f"Refused v{r.version}: it has the traffic already")
    return _plan_deploy(s, endpoint, stable.id if stable else "", stable.version if stable else "")


def _plan_deploy(s: Situation, endpoint: Endpoint, stable_id: str, stable_version: str) -> Step:
    r = s.rollout
    if r.not_before and s.now < r.not_before:
        return Wait(f"the next attempt is at {r.not_before:%H:%M} UTC: {r.sentence}")
    draw = 0
    while endpoint.find(deployed_id := deployed_model_id(r.id, r.attempt, draw)):
        draw += 1
    beside = f" beside v{stable_version}" if stable_version else ", the first"
    attempt = f" (attempt {r.attempt})" if r.attempt > 1 else ""
    machine = s.policy.machine.type
    return Deploy(
        deployed_id, r.attempt, stable_id, stable_version, f"Deploying v{r.version}{beside} on {machine}{attempt}"
    )


def _plan_deploying(s: Situation) -> Step:
    r, endpoint = s.rollout, s.endpoint
    if endpoint is None:
        return Close(Phase.FAILED, f"Endpoint {r.target} was deleted while v{r.version} was being deployed")
    if r.operation is None and not endpoint.find(r.deployed_id):
        return _plan_deploy(s, endpoint, r.stable_id, r.stable_version)
    if endpoint.find(r.deployed_id) is None:
        return _plan_deployment(s)
    if r.operation is not None and r.operation.kind == "deploy":
        return Forget(f"v{r.version} is ready")
    if r.hold:
        return Wait(f"paused by {r.hold.by}: {r.hold.reason}")
    if r.shift:
        return _plan_shift(s, endpoint)
    if r.stable_id and endpoint.find(r.stable_id) is None:
        return Pause(
            f"the stable (deployed model {r.stable_id}) is no longer deployed; a candidate without it has no way back"
        )
    stage = 0 if r.stable_id else len(s.policy.rollout.stages) - 1
    why = f"v{r.version} is ready" if r.stable_id else f"v{r.version} is ready and the first of its model"
    decision = Decision(Kind.ADVANCE if r.stable_id else Kind.PROMOTE, why)
    return _plan_move(s, endpoint, stage, decision)


def _plan_deployment(s: Situation) -> Step:
    """The deployed model is not visible: under way, failed, or lost."""
    r, op = s.rollout, s.rollout.operation
    assert op is not None  # noqa: S101 (the caller has looked)
    waited = s.now - op.intended_at
    if s.operation and s.operation.done:
        if s.operation.error:
            return _plan_failed(s, s.operation)
        if waited > VISIBLE_WITHIN + s.policy.rollout.deploy_within:
            return Close(Phase.FAILED, f"v{r.version} was deployed and somebody has undeployed it")
        return Wait(f"v{r.version} was deployed and is not visible yet")
    if waited < s.policy.rollout.deploy_within:
        return Wait(f"v{r.version} has been deploying for {format_duration(waited)}")
    if not op.name:
        return _plan_failed(
            s, OperationState("", True, "the call that would have deployed it left no trace", retryable=True)
        )
    return Close(
        Phase.FAILED,
        f"Failed v{r.version}: its deployment did not end within {format_duration(s.policy.rollout.deploy_within)}",
    )


def _plan_failed(s: Situation, operation: OperationState) -> Step:
    r = s.rollout
    if operation.retryable and r.attempt < s.policy.rollout.deploy_attempts:
        later = s.now + BACK_OFF * 2 ** (r.attempt - 1)
        return Retry(later, f"Attempt {r.attempt} failed, the next is at {later:%H:%M} UTC: {operation.error}")
    return Close(
        Phase.FAILED,
        f"Failed v{r.version} after {r.attempt} of {s.policy.rollout.deploy_attempts} attempts: {operation.error}",
    )


def _plan_canary(s: Situation) -> Step:
    r, endpoint = s.rollout, s.endpoint
    if endpoint is None:
        return Close(Phase.FAILED, f"Endpoint {r.target} was deleted during the trial of v{r.version}")
    lost = _plan_lost(s, endpoint)
    if lost:
        return lost
    if s.decision.kind is Kind.ROLL_BACK:
        return AskRollback(s.decision.sentence, s.decision.checks)
    if r.shift:
        return _plan_shift(s, endpoint)
    drift = _plan_drift(s, endpoint)
    if drift:
        return drift
    if s.decision.kind is Kind.PAUSE:
        return Pause(s.decision.sentence)
    if s.decision.kind in (Kind.ADVANCE, Kind.PROMOTE):
        return _plan_move(s, endpoint, r.stage + 1, s.decision)
    return _plan_operation_end(s) or Wait(s.decision.sentence)


def _plan_lost(s: Situation, endpoint: Endpoint) -> Step | None:
    """The trial was ended by somebody: by a rollback whose record was lost, or by hand."""
    r, trial = s.rollout, read_labels(endpoint.labels)
    if trial.closed == r.id:
        return Close(
            Phase.ROLLED_BACK, f"Rolled back v{r.version}; found on the endpoint's labels, the record was behind"
        )
    if endpoint.find(r.deployed_id) is None:
        return Close(Phase.FAILED, f"Failed v{r.version}: somebody has undeployed it", release=trial.rollout == r.id)
    if r.stable_id and endpoint.find(r.stable_id) is None and not r.hold:
        return Pause(f"the stable (deployed model {r.stable_id}) is no longer deployed; v{r.version} has no way back")
    return None


def _plan_drift(s: Situation, endpoint: Endpoint) -> Step | None:
    r = s.rollout
    expected = canary_split(r.stable_id, r.deployed_id, s.policy.rollout.stages[r.stage].traffic)
    if same_split(endpoint.split, expected) or s.policy.rollout.drift == "adopt":
        return None
    found = f"the traffic is {format_split(endpoint.split)}, not {format_split(expected)}: somebody else has moved it"
    if s.policy.rollout.drift == "reassert" and endpoint.share(r.deployed_id) > expected.get(r.deployed_id, 0):
        return Lower(expected, f"Reasserted {format_split(expected)}: {found}")
    return Wait(f"paused: {found}") if r.hold else Pause(found)


def _plan_shift(s: Situation, endpoint: Endpoint) -> Step:
    """An interrupted movement of traffic: it stands already, or it is decided anew."""
    shift = s.rollout.shift
    assert shift is not None  # noqa: S101 (the caller has looked)
    if same_split(endpoint.split, shift.to) and read_labels(endpoint.labels).rollout == s.rollout.id:
        return Confirm(shift.sentence)
    if s.decision.is_due or s.rollout.phase is Phase.DEPLOYING:
        decision = Decision(s.decision.kind, s.decision.sentence, s.decision.checks)
        if s.rollout.phase is Phase.DEPLOYING:
            decision = Decision(
                Kind.PROMOTE if shift.phase is Phase.WATCHING else Kind.ADVANCE, f"v{s.rollout.version} is ready"
            )
        return _plan_move(s, endpoint, shift.stage, decision)
    return Forget("the movement of traffic was interrupted and is no longer wanted")


def _plan_move(s: Situation, endpoint: Endpoint, stage: int, decision: Decision) -> Step:
    """Capacity first, then the one write."""
    r = s.rollout
    stages = s.policy.rollout.stages
    share = stages[stage].traffic
    candidate, stable = endpoint.find(r.deployed_id), endpoint.find(r.stable_id)
    assert candidate is not None  # noqa: S101 (the caller has looked)
    pending = _plan_operation_end(s)
    if pending:
        return pending
    capacity = _plan_capacity(s, endpoint, share)
    if capacity:
        return capacity
    names = {d.id: f"v{d.version}" for d in endpoint.deployed}
    split = canary_split(r.stable_id, r.deployed_id, share)
    last = share == 100
    labels = TrialLabels(
        model=r.model,
        rollout=r.id,
        stable=r.deployed_id if last else r.stable_id,
        candidate="" if last else r.deployed_id,
        fallback=r.stable_id if last and stable else "",
        since=s.now if last or r.stage < 0 else read_labels(endpoint.labels).since or s.now,
        lag=s.policy.rollout.metrics.lag,
        unnamed=s.policy.alerts.unnamed,
    )
    verb = "Promoted" if last else "Advanced"
    sentence = f"{verb} v{r.version} to {share} % ({format_split(split, names)}): {decision.sentence}"
    return Move(
        split, labels, stage, Phase.WATCHING if last else Phase.CANARY, decision.kind, sentence, decision.checks
    )


def _plan_capacity(s: Situation, endpoint: Endpoint, share: int) -> Step | None:
    r = s.rollout
    candidate, stable = endpoint.find(r.deployed_id), endpoint.find(r.stable_id)
    if stable is not None:
        pin = plan_pin(stable, r.pinned)
        if pin:
            return SetReplicas(pin, f"v{stable.version} {pin.why}")
    if candidate is None:
        return None
    more = plan_candidate(candidate, stable, share, s.policy.machine)
    if more:
        return SetReplicas(more, f"v{r.version} gets {more.why}")
    if not is_strong_enough(candidate):
        if s.now - r.updated_at > REPLICAS_WITHIN and not r.hold:
            return Pause(
                f"v{r.version} has {candidate.available_replicas} of {candidate.min_replicas} replicas and cannot carry {share} %"
            )
        return Wait(
            f"v{r.version} has {candidate.available_replicas} of {candidate.min_replicas} replicas that {share} % need"
        )
    return None


def _plan_operation_end(s: Situation) -> Step | None:
    """A change of replicas that is under way, over, failed or lost."""
    op = s.rollout.operation
    if op is None:
        return None
    if s.operation and s.operation.done:
        if s.operation.error:
            return Pause(f"{op.detail} failed: {s.operation.error}")
        return Forget(op.detail)
    if not op.name and s.now - op.intended_at >= VISIBLE_WITHIN:
        return Forget(f"the call for {op.detail} left no trace")
    return Wait(f"under way: {op.detail}")


def _plan_watching(s: Situation) -> Step:
    r, endpoint = s.rollout, s.endpoint
    if endpoint is None:
        return Close(Phase.FAILED, f"Endpoint {r.target} was deleted during the watch of v{r.version}")
    trial = read_labels(endpoint.labels)
    if trial.closed == r.id:
        return Close(
            Phase.ROLLED_BACK, f"Rolled back v{r.version}; found on the endpoint's labels, the record was behind"
        )
    if trial.rollout != r.id:
        return Close(
            Phase.PROMOTED,
            f"Promoted v{r.version}: its watch ended with the first share of {trial.rollout or 'another'}",
        )
    if s.decision.kind is Kind.ROLL_BACK:
        if trial.fallback:
            return AskRollback(s.decision.sentence, s.decision.checks)
        return (
            Wait(s.decision.sentence)
            if r.hold
            else Pause(f"{s.decision.sentence}; there is no fallback to give the traffic to")
        )
    if s.decision.kind is Kind.FINISH:
        return Close(
            Phase.PROMOTED, f"Promoted v{r.version}: {s.decision.sentence}", release=True, checks=s.decision.checks
        )
    return _plan_operation_end(s) or Wait(s.decision.sentence)


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0


def release_labels(endpoint: Endpoint, stable_id: str) -> TrialLabels:
    """The labels of an endpoint on which nothing is on trial or watched any more."""
    trial = read_labels(endpoint.labels)
    return replace(trial, rollout="", stable=stable_id or trial.stable, candidate="", fallback="", since=None)
