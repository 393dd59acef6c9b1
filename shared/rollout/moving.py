"""Moving traffic up: what was interrupted, what somebody else has moved, capacity first, then the one write."""

from __future__ import annotations

from dataclasses import replace

from shared.policy.schema import Policy
from shared.policy.units import format_duration
from shared.rollout.back_off import back_off
from shared.rollout.capacity import is_strong_enough, plan_candidate, plan_pin
from shared.rollout.consent import plan_consent
from shared.rollout.decide import Decision
from shared.rollout.labels import TrialLabels, read_labels
from shared.rollout.observed import Endpoint
from shared.rollout.record import Phase, Rollout
from shared.rollout.split import canary_split, format_split, give_to, same_split
from shared.rollout.step_kinds import (
    BACK_OFF,
    REPLICAS_WITHIN,
    VISIBLE_WITHIN,
    Confirm,
    Forget,
    Lower,
    Move,
    Pause,
    PutOff,
    SetReplicas,
    Situation,
    Step,
    Wait,
    pause,
)
from shared.rollout.together import plan_together


def plan_confirmation(s: Situation, endpoint: Endpoint) -> Step | None:
    """An interrupted movement of traffic that stands already; only then is the record behind."""
    shift = s.rollout.shift
    if shift and same_split(endpoint.split, shift.to) and read_labels(endpoint.labels).rollout == s.rollout.id:
        return Confirm(shift.sentence)
    return None


def has_drifted(policy: Policy, rollout: Rollout, endpoint: Endpoint) -> bool:
    """Whether somebody else has moved the traffic of a trial or a watch, and the policy minds.

    ``adopt`` takes any shares of the two for granted; a third model with traffic is never only that, and a candidate that has none any more
    is judged by nothing: where no patience of the policy ends its wait, a person has to.
    """
    if policy.rollout.drift == "adopt":
        for_ever = policy.rollout.no_data.then == "hold" and policy.rollout.deadline.then == "hold"
        if for_ever and rollout.phase in (Phase.CANARY, Phase.WATCHING) and not endpoint.share(rollout.deployed_id):
            return True
        known = {rollout.stable_id, rollout.deployed_id, *(arm.deployed_id for arm in rollout.arms if not arm.out)}
        return any(s for m, s in endpoint.split.items() if m not in known)
    return not same_split(endpoint.split, _expected(policy, rollout))


def _expected(policy: Policy, rollout: Rollout) -> dict[str, int]:
    if rollout.phase is Phase.WATCHING:
        return {rollout.deployed_id: 100}
    if rollout.phase is Phase.EXPERIMENT:
        share = policy.rollout.experiment.share if policy.rollout.experiment else 0
        inside = {arm.deployed_id: share for arm in rollout.arms if not arm.out}
        return {rollout.stable_id: 100 - sum(inside.values())} | inside
    return canary_split(rollout.stable_id, rollout.deployed_id, policy.rollout.stages[rollout.stage].traffic)


def plan_drift(s: Situation, endpoint: Endpoint) -> Step | None:
    """Reasserting takes from the candidate what it has too much; whatever else was moved is a person's to explain."""
    r = s.rollout
    if not has_drifted(s.policy, r, endpoint):
        return None
    expected = _expected(s.policy, r)
    names = {d.id: f"v{d.version}" for d in endpoint.deployed}
    found = (
        f"the traffic is {format_split(endpoint.split, names)}, not {format_split(expected, names)}:"
        " somebody else has moved it"
    )
    excess = endpoint.share(r.deployed_id) - expected.get(r.deployed_id, 0)
    if s.policy.rollout.drift == "reassert" and excess > 0 and endpoint.find(r.stable_id):
        lowered = dict(endpoint.split) | {
            r.deployed_id: endpoint.share(r.deployed_id) - excess,
            r.stable_id: endpoint.share(r.stable_id) + excess,
        }
        return Lower(lowered, f"Reasserted {format_split(lowered, names)}: {found}")
    return pause(s, found)


def plan_take_back(s: Situation, endpoint: Endpoint) -> Step:
    """The candidate has traffic that no decision explains: it goes back before anything else."""
    r = s.rollout
    names = {d.id: f"v{d.version}" for d in endpoint.deployed}
    split = give_to(endpoint.split, r.deployed_id, r.stable_id)
    why = f"v{r.version} had traffic that no decision gave it"
    return Lower(split, f"Reasserted {format_split(split, names)}: {why}")


def plan_move(s: Situation, endpoint: Endpoint, stage: int, decision: Decision) -> Step:
    """A person's word and an open window, capacity, then the one write."""
    r = s.rollout
    barred = plan_consent(s, stage) or (Wait(s.barred) if s.barred else None)
    if barred:
        return plan_operation_end(s) or barred
    share = s.policy.rollout.stages[stage].traffic
    pending = plan_operation_end(s) or _plan_capacity(s, endpoint, share)
    if pending:
        return pending
    last = share == 100
    waits = plan_together(s, share) if last else None
    if waits:
        return waits
    names = {d.id: f"v{d.version}" for d in endpoint.deployed}
    split = canary_split(r.stable_id, r.deployed_id, share)
    before = read_labels(endpoint.labels)
    # What was closed before stays readable: its record may still be behind.
    labels = replace(
        before,
        model=r.model,
        rollout=r.id,
        stable=r.deployed_id if last else r.stable_id,
        candidate="" if last else r.deployed_id,
        arms=(),
        fallback=r.stable_id if last else "",
        since=s.now if last or r.stage < 0 else before.since or s.now,
        lag=s.policy.rollout.metrics.lag,
        unnamed=s.policy.alerts.unnamed,
        ttl=s.policy.rollout.blue_green.ttl if s.policy.rollout.blue_green else None,
    )
    verb = "Promoted" if last else "Advanced"
    sentence = (
        f"{verb} v{r.version} to {share} % ({format_split(split, names)}){_follow(s, endpoint)}: {decision.sentence}"
    )
    return Move(
        split, labels, stage, Phase.WATCHING if last else Phase.CANARY, decision.kind, sentence, decision.checks
    )


def _follow(s: Situation, endpoint: Endpoint) -> str:
    """Where clients go, and by when."""
    spec = s.policy.rollout.blue_green
    if spec is None:
        return ""
    return f", clients follow to {endpoint.place(s.rollout.deployed_id).endpoint} within {format_duration(spec.ttl)}"


def _plan_capacity(s: Situation, endpoint: Endpoint, share: int) -> Step | None:
    r = s.rollout
    candidate, stable = endpoint.find(r.deployed_id), endpoint.find(r.stable_id)
    assert candidate is not None  # noqa: S101 (every caller has looked)
    pin = plan_pin(stable, r.pinned) if stable else None
    more = plan_candidate(candidate, stable, share, s.policy.machine)
    if (pin or more) and is_busy_for_too_long(s):
        limit = format_duration(s.policy.rollout.deadline.after)
        return pause(s, f"for {limit} Vertex AI had no quota to take the request for the replicas that {share} % need")
    if (pin or more) and r.not_before and s.now < r.not_before:
        return Wait(f"replicas are asked for again at {r.not_before:%H:%M} UTC")
    if pin and stable:
        return SetReplicas(pin, f"v{stable.version} {pin.why}")
    if more:
        return SetReplicas(more, f"v{r.version} gets {more.why}")
    if is_strong_enough(candidate):
        return None
    has = f"v{r.version} has {candidate.available_replicas} of {candidate.min_replicas} replicas"
    if s.now - r.updated_at > REPLICAS_WITHIN:
        return pause(s, f"{has} and cannot carry {share} %")
    return Wait(f"{has} that {share} % need")


def plan_operation_end(s: Situation) -> Step | None:
    """A change of replicas that is under way, over, failed or lost."""
    op, held = s.rollout.operation, s.rollout.hold
    if op is None:
        return None
    waited = s.now - op.intended_at
    trouble = ""
    if s.operation and s.operation.done:
        if not s.operation.error:
            return Forget(op.detail)
        trouble = f"{op.detail} failed: {s.operation.error}"
        tries = s.rollout.resizes_failed + 1
        if s.operation.retryable and not held and tries < s.policy.rollout.deploy_attempts:
            later = s.now + back_off(s.rollout.id, tries, BACK_OFF)
            # Not counted for a rollout that is held: whoever resumes it begins anew.
            return PutOff(later, f"{trouble}; asked for again at {later:%H:%M} UTC")
    elif not op.name and waited >= VISIBLE_WITHIN:
        return Forget(f"the call for {op.detail} left no trace")
    elif waited >= s.policy.rollout.deploy_within:
        trouble = f"{op.detail} has not ended within {format_duration(s.policy.rollout.deploy_within)}"
    if not trouble:
        return Wait(f"under way: {op.detail}")
    # Told by the pause; forgotten under it, so that it is asked for again once a person resumes.
    return Forget(trouble) if held else Pause(trouble)


def is_busy_for_too_long(s: Situation) -> bool:
    """Whether Vertex AI has refused requests for want of quota for as long as a stage may last."""
    since = s.rollout.busy_since
    return since is not None and s.now - since >= s.policy.rollout.deadline.after


def release_labels(endpoint: Endpoint, stable_id: str, rollout: str = "") -> TrialLabels:
    """The labels of an endpoint on which nothing is on trial or watched any more; ``rollout`` may keep its place."""
    trial = read_labels(endpoint.labels)
    return replace(
        trial, rollout=rollout, stable=stable_id or trial.stable, candidate="", arms=(), fallback="", since=None
    )
