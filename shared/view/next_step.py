"""What will happen to a rollout next, and what a person can do about it: one or two sentences."""

from __future__ import annotations

from datetime import datetime

from shared.policy.schema import Policy
from shared.policy.units import format_duration
from shared.rollout.decide import Decision, Kind
from shared.rollout.record import Operation, Phase, Rollout

_OPERATIONS = {
    "create_endpoint": "the endpoint is being created",
    "deploy": "the version is being deployed",
    "set_replicas": "replicas are being changed",
    "undeploy": "a version is being undeployed",
    "delete_endpoint": "the shadow endpoint is being deleted",
}


def next_step(rollout: Rollout, policy: Policy | None, decision: Decision | None, busy: str, now: datetime) -> str:
    """What is waited for, and what comes then.

    ``decision`` is what the evidence of this moment asks for, leaving aside that the rollout is paused.
    """
    r = rollout
    if not r.phase.is_open:
        return "nothing; it has ended"
    if r.stop:
        return f"its traffic is given back, then it ends as {r.stop.outcome.value.replace('_', ' ')}"
    if r.hold and r.phase is not Phase.WATCHING:
        return _of_hold(r, decision)
    if policy is None:
        return "nothing; the policy that it keeps is not in the store"
    if r.not_before and now < r.not_before:
        return f"the next attempt, at {_clock(r.not_before, now)}"
    if r.operation:
        return f"{_operation(r.operation, now)}; then {_after(r, policy)}"
    if r.phase is Phase.QUEUED:
        waits = f"it waits for {busy}, whose trial is on the endpoint; " if busy and busy != r.id else ""
        fixed = policy.gate.fixed_set
        if fixed and not r.examined and policy.mode == "enforce":
            return f"{waits}it is deployed once its answers to {fixed.instances} have passed the gate"
        return f"{waits}then it is deployed" if waits else "it is deployed once nothing is in its way"
    if r.shift:
        return f"{r.shift.to.get(r.deployed_id, 0)} % of the traffic is confirmed at the next step"
    if r.consent and not r.consent.given_by and r.consent.stage > r.stage and r.phase.is_trial:
        share = policy.rollout.stages[r.consent.stage].traffic
        return f"{share} % waits for approval until {_clock(r.consent.until, now)}; `rollouts approve {r.id}` gives it"
    if r.phase is Phase.DEPLOYING or decision is None:
        return _after(r, policy)
    return _of_decision(r, policy, decision)


def _of_hold(r: Rollout, decision: Decision | None) -> str:
    if decision and decision.kind is Kind.ROLL_BACK:
        return f"it is rolled back, paused or not: {decision.sentence}"
    if decision and decision.kind is Kind.PAUSE:
        return (
            f"nothing by itself, and resumed it would be paused again: {decision.sentence}; `rollouts promote {r.id}` takes it "
            f"to the next stage, `rollouts abort {r.id}` ends it"
        )
    return f"nothing by itself; `rollouts resume {r.id}` lets it go on, `rollouts abort {r.id}` ends it"


def _of_decision(r: Rollout, policy: Policy, decision: Decision) -> str:
    if decision.kind is Kind.HOLD:
        return f"{decision.sentence}; then {_after(r, policy)}"
    verbs = {
        Kind.ADVANCE: _after(r, policy),
        Kind.PROMOTE: _after(r, policy),
        Kind.PAUSE: "it is paused",
        Kind.ROLL_BACK: "it is rolled back",
        Kind.FINISH: "it is promoted",
    }
    would = "would be due if its policy did not only observe" if policy.mode == "observe" else "is due now"
    return f"{verbs[decision.kind]} ({would}): {decision.sentence}"


def _after(r: Rollout, policy: Policy) -> str:
    """What follows the present phase when all goes well."""
    stages = policy.rollout.stages
    if r.phase is Phase.QUEUED:
        return "the version is deployed"
    if r.phase is Phase.WATCHING:
        return "it is promoted"
    if r.phase is Phase.SHADOW and not r.shadowed:
        return "its shadow is removed and the version is deployed"
    first_of_its_model = r.phase is Phase.DEPLOYING and not r.stable_id
    following = len(stages) - 1 if first_of_its_model else min(r.stage + 1, len(stages) - 1)
    stage = stages[following]
    if stage.traffic == 100:
        return f"100 % of the traffic, watched for {format_duration(policy.rollout.standby.keep)}"
    return f"stage {following + 1} of {len(stages)}: {stage.traffic} % of the traffic for {format_duration(stage.bake)}"


def _operation(operation: Operation, now: datetime) -> str:
    return f"{_OPERATIONS[operation.kind]} since {_clock(operation.intended_at, now)}"


def _clock(at: datetime, now: datetime) -> str:
    """The time, with its day if that is not today's."""
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"
