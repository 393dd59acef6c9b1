"""A rollout that is being deployed: attempts, their end, and the first share."""

from __future__ import annotations

from shared.policy.units import format_duration
from shared.rollout.back_off import back_off
from shared.rollout.decide import Decision, Kind
from shared.rollout.labels import read_labels
from shared.rollout.moving import (
    is_busy_for_too_long,
    plan_confirmation,
    plan_move,
    plan_operation_end,
    plan_take_back,
)
from shared.rollout.names import deployed_model_id, export_place
from shared.rollout.observed import Endpoint, OperationState
from shared.rollout.record import Operation, Phase
from shared.rollout.split import format_split
from shared.rollout.step_kinds import (
    BACK_OFF,
    VISIBLE_WITHIN,
    Close,
    Deploy,
    Forget,
    Rebase,
    Retry,
    Situation,
    Step,
    Wait,
    pause,
)
from shared.rollout.stranding import plan_end_without_heir
from shared.rollout.together import why_apart


def plan_deploying(s: Situation) -> Step:
    """Until it is ready and has its first share, or failed."""
    r, endpoint = s.rollout, s.endpoint
    if endpoint is None:
        return Close(Phase.FAILED, f"Endpoint {r.target} was deleted while v{r.version} was being deployed")
    if endpoint.find(r.deployed_id) is None:
        if r.operation is not None:
            return plan_deployment(s)
        if r.hold:
            return Wait(f"paused by {r.hold.by}: {r.hold.reason}")
        if s.barred:
            return Wait(s.barred)
        return plan_deploy(s, endpoint, r.stable_id, r.stable_version)
    if r.operation is not None and r.operation.kind == "deploy":
        return Forget(f"v{r.version} is ready")
    apart = why_apart(s.partners)
    if apart and not endpoint.share(r.deployed_id):
        return Close(Phase.REJECTED, f"Rejected v{r.version} before it had traffic: {apart}")
    return plan_confirmation(s, endpoint) or _plan_place(s, endpoint) or _plan_ready(s, endpoint)


def _plan_place(s: Situation, endpoint: Endpoint) -> Step | None:
    """A candidate on the endpoint of a pair that became live meanwhile (by a rollback) is deployed again, on the other one."""
    r, live = s.rollout, endpoint.pair.live if endpoint.pair else None
    if live is None or live.find(r.deployed_id) is None or live.share(r.deployed_id):
        return None
    if r.operation is not None or r.stop or r.hold:
        return None
    why = f"{live.ref.endpoint} became live while v{r.version} was deployed on it"
    return Retry(s.now, f"Deploying v{r.version} again, on the other endpoint: {why}", is_elsewhere=True)


def _plan_ready(s: Situation, endpoint: Endpoint) -> Step:
    r = s.rollout
    is_stable_there = endpoint.find(r.stable_id) is not None
    is_ours = r.stop is not None or read_labels(endpoint.labels).rollout == r.id
    if endpoint.share(r.deployed_id) and is_ours and is_stable_there and not _is_another_stable(s, endpoint):
        return plan_take_back(s, endpoint)
    kept = plan_end_without_heir(s, endpoint) if r.stable_id else None
    if kept:
        return kept
    other = plan_other_holder(s, endpoint)
    if other:
        return other
    if r.hold:
        return plan_operation_end(s) or Wait(f"paused by {r.hold.by}: {r.hold.reason}")
    if r.stable_id and not is_stable_there:
        return pause(
            s,
            f"the stable (deployed model {r.stable_id}) is no longer deployed; a candidate without it has no way back",
        )
    stages = s.policy.rollout.stages
    stage = 0 if r.stable_id else len(stages) - 1
    why = f"v{r.version} is ready" if r.stable_id else f"v{r.version} is ready and the first of its model"
    return plan_move(s, endpoint, stage, Decision(Kind.PROMOTE if stages[stage].traffic == 100 else Kind.ADVANCE, why))


def _is_another_stable(s: Situation, endpoint: Endpoint) -> bool:
    """Whether the endpoint says that another one is the stable by now: who was rolled back meanwhile is given nothing."""
    return read_labels(endpoint.labels).stable not in ("", s.rollout.stable_id)


def plan_other_holder(s: Situation, endpoint: Endpoint) -> Step | None:
    """Ten minutes pass while a model is deployed, and the traffic may have changed hands.

    A rollback in a watch gives it to the fallback, an ``adopt`` names a stable where there was none: whoever holds it now is the
    stable, and the first share is taken from nobody else. Anything else is drift.
    """
    r, trial = s.rollout, read_labels(endpoint.labels)
    holders = {model for model, share in endpoint.split.items() if share}
    if trial.rollout == r.id:
        holders -= {r.deployed_id}
    if holders == ({r.stable_id} if r.stable_id else set()):
        return None
    names = {d.id: f"v{d.version}" for d in endpoint.deployed}
    found = format_split(endpoint.split, names)
    heir = endpoint.find(holders.pop()) if len(holders) == 1 else None
    is_known = heir is not None and (s.away_from is None or bool(heir.copied_as))
    if (
        heir
        and is_known
        and heir.id != r.deployed_id
        and (heir.id == trial.stable or s.policy.rollout.drift == "adopt")
    ):
        return Rebase(heir.id, heir.version, f"v{heir.version} is the stable for v{r.version} now: {found}")
    owner = f"v{r.stable_version}, the stable" if r.stable_version else "whoever had it before"
    return pause(
        s, f"the traffic has changed while v{r.version} was being deployed ({found}): give all of it to {owner}"
    )


def plan_deployment(s: Situation) -> Step:
    """The deployed model is not visible: under way, failed, or lost."""
    r, op = s.rollout, s.rollout.operation
    assert op is not None  # noqa: S101 (the caller has looked)
    waited = s.now - op.intended_at
    if s.operation and s.operation.done:
        if s.operation.error:
            return plan_failed(s, s.operation)
        if waited > VISIBLE_WITHIN + s.policy.rollout.deploy_within:
            return Close(Phase.FAILED, f"v{r.version} was deployed and somebody has undeployed it")
        return Wait(f"v{r.version} was deployed and is not visible yet")
    if export_place(r.target) and not op.name and waited >= VISIBLE_WITHIN:
        # Copying is no operation that goes on by itself: whoever did it has died, and what is there is not copied again.
        return Forget(f"the export of v{r.version} was interrupted")
    if waited < s.policy.rollout.deploy_within:
        return Wait(f"v{r.version} has been deploying for {format_duration(waited)}")
    if not op.name:
        return plan_failed(
            s, OperationState("", True, "the call that would have deployed it left no trace", retryable=True)
        )
    return Close(
        Phase.FAILED,
        f"Failed v{r.version}: its deployment did not end within {format_duration(s.policy.rollout.deploy_within)}",
    )


def plan_deploy(s: Situation, endpoint: Endpoint, stable_id: str, stable_version: str) -> Step:
    """The next attempt, under an id that is derived and not taken."""
    r = s.rollout
    early = wait_for_attempt(s)
    if early:
        return early
    draw = 0
    while endpoint.find(deployed_id := deployed_model_id(r.id, r.attempt, draw)):
        draw += 1
    beside = f" beside v{stable_version}" if stable_version else ", the first"
    attempt = f" (attempt {r.attempt})" if r.attempt > 1 else ""
    export = export_place(r.target)
    copied = f" (v{s.copied} in {r.target.region})" if s.copied else ""
    verb, where = (
        ("Exporting", f"to gs://{'/'.join(export)}") if export else ("Deploying", f"on {s.policy.machine.type}")
    )
    return Deploy(
        deployed_id, r.attempt, stable_id, stable_version, f"{verb} v{r.version}{copied}{beside} {where}{attempt}"
    )


def wait_for_attempt(s: Situation) -> Step | None:
    """After a failure, or when Vertex AI was busy, the next call has its time; and there is an end to it."""
    again, limit = s.rollout.not_before, s.policy.rollout.deadline.after
    if is_busy_for_too_long(s):
        return Close(
            Phase.FAILED,
            f"Failed v{s.rollout.version}: for {format_duration(limit)} Vertex AI had no quota to take the request",
        )
    return Wait(f"the next attempt is at {again:%H:%M} UTC: {s.rollout.sentence}") if again and s.now < again else None


def plan_under_way(s: Situation, op: Operation, late: str, meanwhile: str) -> Step:
    """What was asked for and is not there yet: it has failed, its call was lost, it takes too long (``late``), or it is waited for."""
    waited, within = s.now - op.intended_at, s.policy.rollout.deploy_within
    if s.operation and s.operation.done and s.operation.error:
        return plan_failed(s, s.operation)
    if not op.name and waited >= VISIBLE_WITHIN:
        return Forget(f"the call for {op.detail} left no trace")
    return Close(Phase.FAILED, f"{late} within {format_duration(within)}") if waited >= within else Wait(meanwhile)


def plan_failed(s: Situation, operation: OperationState) -> Step:
    """Again later where that can help, and not for ever."""
    r = s.rollout
    if operation.retryable and r.attempt < s.policy.rollout.deploy_attempts:
        later = s.now + back_off(r.id, r.attempt, BACK_OFF)
        return Retry(later, f"Attempt {r.attempt} failed, the next is at {later:%H:%M} UTC: {operation.error}")
    return Close(
        Phase.FAILED,
        f"Failed v{r.version} after {r.attempt} of {s.policy.rollout.deploy_attempts} attempts: {operation.error}",
    )
