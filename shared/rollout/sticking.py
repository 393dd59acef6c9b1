"""What a sticky experiment needs beyond others: a bucket, and an endpoint for each arm, with all of its own traffic before clients are told."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.rollout.decide import Decision
from shared.rollout.deploying import plan_under_way, wait_for_attempt
from shared.rollout.labels import ARM
from shared.rollout.moving import plan_operation_end, release_labels
from shared.rollout.names import arm_target
from shared.rollout.observed import Endpoint, TargetRef
from shared.rollout.record import Arm, Phase, Rollout
from shared.rollout.step_kinds import Arrange, AskRollback, Close, Forget, Move, Situation, Step, Wait

KEPT = timedelta(minutes=10)
"""How long an arm that is out is kept: longer than any client may go on with what it has read."""


def plan_bucket(s: Situation) -> Step | None:
    """Nothing begins that clients could not be told of."""
    spec = s.policy.rollout.experiment
    if spec is None or not spec.is_sticky or s.has_bucket:
        return None
    why = "a sticky experiment needs a bucket that says whose each key is, and the functions have none (LIVE_BUCKET)"
    return Close(Phase.REJECTED, f"Refused v{s.rollout.version}: {why}")


def plan_places(s: Situation, endpoint: Endpoint) -> Step | None:
    """An endpoint for each arm, one after another; None once all are there."""
    r = s.rollout
    for arm in r.arms:
        ref = arm_target(r.id, arm.name, r.target)
        own = endpoint.group.arm_on(ref.endpoint) if endpoint.group else None
        if own is None:
            return _plan_place(s, arm, ref)
        if own.labels.get(ARM) != r.id:
            why = f"endpoint {ref} is there already and is not that of an arm of it"
            return Close(Phase.FAILED, f"Failed the experiment {r.id}: {why}")
    return None


def _plan_place(s: Situation, arm: Arm, ref: TargetRef) -> Step:
    r, op = s.rollout, s.rollout.operation
    if op is None:
        if r.hold or s.barred:
            return Wait(s.barred or f"paused by {r.hold.by if r.hold else ''}: {r.hold.reason if r.hold else ''}")
        return wait_for_attempt(s) or Arrange("create", f"Creating endpoint {ref} for arm {arm.name}", arm=arm)
    if op.subject != ref.endpoint:
        return Forget(op.detail)
    late = f"Failed the experiment {r.id}: endpoint {ref} was not there"
    return plan_under_way(s, op, late, f"endpoint {ref} is being created")


def plan_serving(s: Situation, endpoint: Endpoint) -> Step | None:
    """Each arm all the traffic of its own endpoint, which nobody asks yet."""
    group = endpoint.group
    arm = next((a for a in s.rollout.arms if group and not group.answers(a.deployed_id)), None)
    if arm is None:
        return None
    return Arrange("serve", f"Arm {arm.name} v{arm.version} answers on its endpoint", arm=arm)


def plan_silent(s: Situation, endpoint: Endpoint) -> Step | None:
    """An arm whose endpoint somebody has emptied or deleted is dropped: its keys would be answered by nobody."""
    arm = silent_arm(s.rollout, endpoint)
    if arm is None:
        return None
    return AskRollback(f"arm {arm.name} v{arm.version} no longer answers on its endpoint", (), arm.deployed_id)


def silent_arm(rollout: Rollout, endpoint: Endpoint) -> Arm | None:
    """One that has keys and does not answer."""
    group = endpoint.group
    inside = [arm for arm in rollout.arms if not arm.out and endpoint.share(arm.deployed_id)]
    return next((arm for arm in inside if group and not group.answers(arm.deployed_id)), None)


def plan_end(s: Situation, endpoint: Endpoint, won: Arm, decision: Decision) -> Step:
    """All keys to the control; the winner is deployed on the main endpoint and goes on there as an ordinary candidate."""
    r = s.rollout
    pending = plan_operation_end(s) or (Wait(s.barred) if s.barred else None)
    if pending:
        return pending
    labels = release_labels(endpoint, r.stable_id, rollout=r.id)
    where = r.target.endpoint
    sentence = f"Ended the experiment: v{won.version} goes on as a canary on {where}, until then the control has all keys: {decision.sentence}"
    to = {r.stable_id: 100}
    return Move(to, labels, -1, Phase.DEPLOYING, decision.kind, sentence, decision.checks, won.deployed_id)


def is_arm_over(rollout: Rollout, ref: TargetRef, now: datetime) -> bool:
    """Whether an arm's endpoint can go: it is out, and every client has heard of it."""
    if rollout.phase is not Phase.EXPERIMENT:
        return now - rollout.phase_since >= KEPT
    own = next((arm for arm in rollout.arms if arm_target(rollout.id, arm.name, rollout.target) == ref), None)
    return own is not None and bool(own.out) and now - rollout.updated_at >= KEPT
