"""The next step of one rollout: one pure function from what is to what has to be done.

Level-triggered: it never asks which event came, only what is still missing. A step is one call to Vertex AI or one change of the
record; whoever applies it records the intent first and comes back here.
"""

from __future__ import annotations

from dataclasses import replace

from shared.rollout.decide import Decision, Kind
from shared.rollout.deploying import plan_deploying
from shared.rollout.experimenting import plan_experiment
from shared.rollout.labels import TrialLabels, read_labels
from shared.rollout.moving import (
    has_drifted,
    plan_confirmation,
    plan_drift,
    plan_move,
    plan_operation_end,
    plan_take_back,
    release_labels,
)
from shared.rollout.names import version_number
from shared.rollout.observed import Endpoint
from shared.rollout.record import Phase, Rollout
from shared.rollout.shadowing import plan_shadow
from shared.rollout.starting import plan_queued
from shared.rollout.step_kinds import (
    BACK_OFF,
    BUSY_BACK_OFF,
    REPLICAS_WITHIN,
    VISIBLE_WITHIN,
    Arrange,
    AskApproval,
    AskRollback,
    Close,
    Confirm,
    Copy,
    Couple,
    CreateEndpoint,
    CreatePool,
    Deploy,
    Examine,
    Examined,
    Forget,
    Lower,
    Move,
    Pause,
    PutOff,
    Ready,
    Rebase,
    Redeploy,
    Reinstate,
    Retry,
    SetReplicas,
    Situation,
    Step,
    Supersede,
    Tend,
    Wait,
    pause,
)
from shared.rollout.stranding import has_lost_its_way_back, plan_end_without_heir, plan_stranded
from shared.rollout.together import why_apart

__all__ = [
    "BACK_OFF",
    "BUSY_BACK_OFF",
    "REPLICAS_WITHIN",
    "VISIBLE_WITHIN",
    "Arrange",
    "AskApproval",
    "AskRollback",
    "Close",
    "Confirm",
    "Copy",
    "Couple",
    "CreateEndpoint",
    "CreatePool",
    "Deploy",
    "Examine",
    "Examined",
    "Forget",
    "Lower",
    "Move",
    "Pause",
    "PutOff",
    "Ready",
    "Rebase",
    "Redeploy",
    "Reinstate",
    "Retry",
    "SetReplicas",
    "Situation",
    "Step",
    "Supersede",
    "Tend",
    "Wait",
    "has_drifted",
    "has_lost_its_way_back",
    "plan_step",
    "release_labels",
]


def plan_step(s: Situation) -> Step:
    """The one next step; whoever ends takes its labels off the endpoint, in whatever way it ends."""
    step = _plan(s)
    if isinstance(step, Close) and s.endpoint and read_labels(s.endpoint.labels).rollout == s.rollout.id:
        return replace(step, release=True)
    return step


def _plan(s: Situation) -> Step:
    r = s.rollout
    if not r.phase.is_open:
        return Wait(f"ended: {r.sentence}")
    if s.endpoint and (trial := read_labels(s.endpoint.labels)).closed == r.id:
        return _plan_record_of_rollback(s, trial)
    if (
        r.stop
        and r.phase in (Phase.QUEUED, Phase.SHADOW, Phase.EXPERIMENT, Phase.DEPLOYING)
        and not (s.endpoint and any(s.endpoint.share(one) for one in (r.deployed_id, *(a.deployed_id for a in r.arms))))
    ):
        return Close(r.stop.outcome, f"Stopped v{r.version} before it had traffic, by {r.stop.by}: {r.stop.reason}")
    if r.phase is Phase.QUEUED:
        return plan_queued(s)
    if r.phase is Phase.SHADOW:
        return plan_shadow(s)
    if r.phase is Phase.EXPERIMENT:
        return plan_experiment(s)
    if r.phase is Phase.DEPLOYING:
        return plan_deploying(s)
    return _plan_canary(s) if r.phase is Phase.CANARY else _plan_watching(s)


def _plan_record_of_rollback(s: Situation, trial: TrialLabels) -> Close:
    """``roll_back`` has moved the traffic and not come to write it down; the reason is what asked for it, as far as the record knows."""
    r, why, checks = s.rollout, "", s.decision.checks
    if s.decision.kind is Kind.ROLL_BACK:
        why = f": {s.decision.sentence}"
    sentence = f"Rolled back v{r.version}{why}; found on the endpoint's labels, the record was behind"
    return Close(_end(r), sentence, checks=checks if why else (), restored_at=trial.closed_at or s.now)


def _end(rollout: Rollout) -> Phase:
    """What a rollout is called whose traffic was given back."""
    return rollout.stop.outcome if rollout.stop else Phase.ROLLED_BACK


def _plan_canary(s: Situation) -> Step:
    r, endpoint = s.rollout, s.endpoint
    if endpoint is None:
        return Close(Phase.FAILED, f"Endpoint {r.target} was deleted during the trial of v{r.version}")
    stranded = plan_stranded(s, endpoint)
    if stranded:
        return stranded
    s = _with_partners(s)
    if s.decision.kind is Kind.ROLL_BACK:
        return _plan_rollback(s, endpoint)
    stands = plan_confirmation(s, endpoint)
    if stands:
        return stands
    is_forward = s.decision.kind in (Kind.ADVANCE, Kind.PROMOTE)
    if r.shift and not is_forward:
        return Forget("the movement of traffic was interrupted and is no longer wanted")
    drift = plan_drift(s, endpoint)
    if drift:
        return drift
    if s.decision.kind is Kind.PAUSE:
        return pause(s, s.decision.sentence)
    if is_forward:
        return plan_move(s, endpoint, r.stage + 1, s.decision)
    return plan_operation_end(s) or Wait(s.decision.sentence)


def _with_partners(s: Situation) -> Situation:
    """A variant that is promoted together with another one does not stay without it."""
    apart = why_apart(s.partners) if s.decision.kind is not Kind.ROLL_BACK else ""
    return replace(s, decision=Decision(Kind.ROLL_BACK, apart, s.decision.checks)) if apart else s


def _plan_rollback(s: Situation, endpoint: Endpoint) -> Step:
    r = s.rollout
    if not endpoint.share(r.deployed_id):
        why = f"Ended v{r.version}, which has no traffic any more: {s.decision.sentence}"
        return Close(_end(r), why, checks=s.decision.checks)
    kept = plan_end_without_heir(s, endpoint)
    if kept:
        return kept
    trial = read_labels(endpoint.labels)
    if trial.is_ours and not trial.rollout and endpoint.find(r.stable_id):
        # The endpoint says that nothing is on trial, so an alert would find nothing to do.
        return plan_take_back(s, endpoint)
    return AskRollback(s.decision.sentence, s.decision.checks)


def _plan_watching(s: Situation) -> Step:
    r, endpoint = s.rollout, s.endpoint
    if endpoint is None:
        return Close(Phase.FAILED, f"Endpoint {r.target} was deleted during the watch of v{r.version}")
    ended = _plan_replaced(s, endpoint) or plan_stranded(s, endpoint)
    if ended:
        return ended
    s = _with_partners(s)
    if s.decision.kind is Kind.ROLL_BACK:
        return _plan_return(s, endpoint)
    drift = plan_drift(s, endpoint)
    if drift:
        return drift
    if s.decision.kind is Kind.PAUSE:
        return pause(s, s.decision.sentence)
    if s.decision.kind is Kind.FINISH:
        return Close(
            Phase.PROMOTED, f"Ended the watch of v{r.version}: {s.decision.sentence}", checks=s.decision.checks
        )
    return plan_operation_end(s) or Wait(s.decision.sentence)


def _plan_replaced(s: Situation, endpoint: Endpoint) -> Step | None:
    """The next candidate's first share ends a watch, and so does a crash after its labels were released."""
    r, trial = s.rollout, read_labels(endpoint.labels)
    if trial.rollout == r.id or not trial.is_ours:
        return None
    if trial.stable == r.deployed_id:
        newer = endpoint.find(trial.candidate)
        why = (
            f"v{newer.version} has its first share of the traffic"
            if newer
            else "the arms of an experiment have their first shares"
            if trial.arms
            else "nothing is on trial or watched any more"
        )
        return Close(Phase.PROMOTED, f"Ended the watch of v{r.version}: {why}")
    if not endpoint.share(r.deployed_id):
        heir = endpoint.find(trial.stable)
        if heir and heir.model == r.model and version_number(heir.version) > version_number(r.version):
            # The next one came and was promoted before anybody looked at this record.
            return Close(Phase.PROMOTED, f"Ended the watch of v{r.version}: v{heir.version} took all the traffic")
        return Close(_end(r), f"Rolled back v{r.version}: it has lost its traffic and is no longer the stable")
    return None


def _plan_return(s: Situation, endpoint: Endpoint) -> Step:
    """All the traffic to the fallback, where there is one."""
    r, trial = s.rollout, read_labels(endpoint.labels)
    if trial.fallback or not endpoint.share(r.deployed_id):
        return _plan_rollback(s, endpoint)
    if r.stop:
        return Close(
            Phase.PROMOTED,
            f"Ended the watch of v{r.version} without taking its traffic, which nobody else can carry: {s.decision.sentence}",
            checks=s.decision.checks,
        )
    return pause(s, f"{s.decision.sentence}; there is no fallback to give the traffic to")
