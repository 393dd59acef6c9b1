"""An experiment: arms that are gathered, deployed side by side, dropped one by one, and the best of them promoted.

It is one rollout, that of the newest arm; the rollouts of the other arms end when they join it. What is dropped gives its share to the control
by the one way in which traffic is given back. The winner becomes the candidate of an ordinary canary, from the first stage above its share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.policy.experiment import Experiment
from shared.rollout.capacity import is_strong_enough, plan_candidate, plan_pin
from shared.rollout.decide import Decision, Kind
from shared.rollout.deploying import plan_deployment, plan_other_holder, wait_for_attempt
from shared.rollout.labels import read_labels
from shared.rollout.moving import has_drifted, plan_confirmation, plan_drift, plan_move, plan_operation_end
from shared.rollout.names import deployed_model_id, label_value, version_number
from shared.rollout.observed import Endpoint, ModelVersion
from shared.rollout.record import Arm, Phase, Rollout
from shared.rollout.split import format_split
from shared.rollout.step_kinds import (
    REPLICAS_WITHIN,
    Arrange,
    AskRollback,
    Close,
    Forget,
    Move,
    SetReplicas,
    Situation,
    Step,
    Wait,
    pause,
)
from shared.rollout.sticking import plan_bucket, plan_end, plan_places, plan_serving, plan_silent, silent_arm


def form_arms(
    spec: Experiment, queued: Iterable[Rollout], versions: Sequence[ModelVersion]
) -> tuple[tuple[Arm, ...], dict[str, str]]:
    """The newest queued version of each arm that has one, and, by version, which arm it is."""
    labels = {v.version: v.labels.get(spec.by, "") for v in versions}
    wanted = {label_value(name): name for name in spec.arms}
    named = {r.version: wanted.get(labels.get(r.version, ""), "") for r in queued}
    newest = {name: version for version, name in sorted(named.items(), key=lambda p: version_number(p[0])) if name}
    return tuple(Arm(name, newest[name]) for name in spec.arms if name in newest), named


def plan_gathering(s: Situation, stable_id: str, stable_version: str) -> Step:
    """Until every arm has a version; the newest of them leads, the others join it."""
    r, spec = s.rollout, s.policy.rollout.experiment
    assert spec is not None  # noqa: S101 (the caller has looked)
    mine = s.named.get(r.version, "")
    unfit = plan_bucket(s)
    if unfit:
        return unfit
    if not mine:
        return Close(
            Phase.REJECTED,
            f"Rejected v{r.version}: its label {spec.by} names no arm of the experiment ({', '.join(spec.arms)})",
        )
    present = {arm.name: arm.version for arm in s.arms}
    if present[mine] != r.version:
        return Close(Phase.SUPERSEDED, f"Superseded v{r.version}: v{present[mine]} is a newer version of arm {mine}")
    missing = [name for name in spec.arms if name not in present]
    if missing:
        return Wait(f"v{r.version} is arm {mine}; the experiment waits for {', '.join(missing)}")
    lead = max(present.values(), key=version_number)
    if lead != r.version:
        return Wait(f"v{r.version} is arm {mine} of the experiment that v{lead} leads")
    names = ", ".join(f"{arm.name} v{arm.version}" for arm in s.arms)
    sentence = f"Experiment of {names} beside v{stable_version}: {spec.share} % each, by {spec.objective.metric}"
    return Arrange("start", sentence, arms=s.arms, stable_id=stable_id, stable_version=stable_version)


def plan_joining(s: Situation) -> Step | None:
    """A queued arm of an experiment that has begun ends here: it is one of another rollout's arms."""
    for other in s.leading:
        if any(arm.version == s.rollout.version for arm in other.arms) and other.id != s.rollout.id:
            return Close(Phase.SUPERSEDED, f"v{s.rollout.version} goes on as an arm of the experiment {other.id}")
    return None


def plan_experiment(s: Situation) -> Step:
    r, endpoint = s.rollout, s.endpoint
    if endpoint is None:
        return Close(Phase.FAILED, f"Endpoint {r.target} was deleted during the experiment of {r.id}")
    return _plan_setting_up(s, endpoint) if r.stage_since is None else _plan_running(s, endpoint)


def _plan_setting_up(s: Situation, endpoint: Endpoint) -> Step:
    r, spec = s.rollout, s.policy.rollout.experiment
    assert spec is not None  # noqa: S101 (the policy that it started with has one)
    place = plan_places(s, endpoint) if spec.is_sticky else None
    if place:
        return place
    missing = next((arm for arm in r.arms if endpoint.find(arm.deployed_id) is None), None)
    if missing is not None:
        named = replace(s, rollout=replace(r, version=missing.version, deployed_id=missing.deployed_id))
        if r.operation is not None and r.operation.subject != missing.deployed_id:
            return Forget("another arm is ready")
        if r.operation is not None:
            return plan_deployment(named)
        if r.hold or s.barred:
            return Wait(s.barred or f"paused by {r.hold.by if r.hold else ''}: {r.hold.reason if r.hold else ''}")
        early = wait_for_attempt(named)
        if early:
            return early
        deployed_id = deployed_model_id(f"{r.id}/{missing.name}", r.attempt)
        machine = s.policy.machine.type
        sentence = f"Deploying v{missing.version} as arm {missing.name} beside v{r.stable_version} on {machine}"
        return Arrange("deploy", sentence, arm=replace(missing, deployed_id=deployed_id))
    if r.operation is not None and r.operation.kind == "deploy":
        return Forget("every arm is ready")
    stands = plan_confirmation(s, endpoint) or plan_other_holder(s, endpoint)
    if stands:
        return stands
    if r.hold or s.barred:
        return plan_operation_end(s) or Wait(s.barred or f"paused by {r.hold.by if r.hold else ''}")
    serving = plan_serving(s, endpoint) if spec.is_sticky else None
    pending = serving or plan_operation_end(s) or _plan_capacity(s, endpoint, spec.share)
    return pending or _plan_shares(s, endpoint, spec)


def _plan_capacity(s: Situation, endpoint: Endpoint, share: int) -> Step | None:
    """Every arm the replicas that its share needs, and the control what it carries the traffic with."""
    r, stable = s.rollout, endpoint.find(s.rollout.stable_id)
    pin = plan_pin(stable, r.pinned) if stable else None
    if pin and stable:
        return SetReplicas(pin, f"v{stable.version} {pin.why}")
    for arm in r.arms:
        deployed = endpoint.find(arm.deployed_id)
        assert deployed is not None  # noqa: S101 (the caller has looked)
        more = plan_candidate(deployed, stable, share, s.policy.machine)
        if more:
            return SetReplicas(more, f"v{arm.version} gets {more.why}")
        if not is_strong_enough(deployed):
            has = f"v{arm.version} has {deployed.available_replicas} of {deployed.min_replicas} replicas"
            return pause(s, has) if s.now - r.updated_at > REPLICAS_WITHIN else Wait(f"{has} that {share} % need")
    return None


def _plan_shares(s: Situation, endpoint: Endpoint, spec: Experiment) -> Step:
    r = s.rollout
    split = {r.stable_id: 100 - spec.share * len(r.arms)} | {arm.deployed_id: spec.share for arm in r.arms}
    names = {d.id: f"v{d.version}" for d in endpoint.deployed}
    labels = replace(
        read_labels(endpoint.labels),
        model=r.model,
        rollout=r.id,
        stable=r.stable_id,
        candidate="",
        arms=tuple(arm.deployed_id for arm in r.arms),
        fallback="",
        since=s.now,
        lag=s.policy.rollout.metrics.lag,
        unnamed=s.policy.alerts.unnamed,
        ttl=spec.ttl if spec.is_sticky else None,
    )
    sentence = f"Began the experiment ({format_split(split, names)})"
    return Move(split, labels, -1, Phase.EXPERIMENT, Kind.ADVANCE, sentence)


def _plan_running(s: Situation, endpoint: Endpoint) -> Step:
    r, trial = s.rollout, read_labels(endpoint.labels)
    stands = plan_confirmation(s, endpoint)
    if stands:
        return stands
    if trial.rollout != r.id:
        if not r.hold or r.stop:
            lost = not any(endpoint.share(arm.deployed_id) for arm in r.arms)
            if lost:
                end = r.stop.outcome if r.stop else Phase.ROLLED_BACK
                return Close(end, f"Ended the experiment {r.id}: its arms have lost their traffic")
        why = f"endpoint {r.target} no longer says that {r.id} is on trial, so no alert could roll its arms back"
        return pause(s, why)
    gone = [arm for arm in r.arms if not arm.out and arm.deployed_id not in trial.arms]
    if gone:
        return Arrange("drop", f"Dropped arm {gone[0].name} v{gone[0].version}: it has lost its share", arm=gone[0])
    silent = plan_silent(s, endpoint)
    if silent:
        return silent
    decision = s.decision
    if decision.kind is Kind.ROLL_BACK:
        return _plan_return(s, endpoint)
    if endpoint.find(r.stable_id) is None:
        return pause(s, f"the control (deployed model {r.stable_id}) is no longer deployed; its arms have no way back")
    if has_drifted(s.policy, r, endpoint):
        return plan_drift(s, endpoint) or Wait(decision.sentence)
    if decision.kind is Kind.PAUSE:
        return pause(s, decision.sentence)
    if decision.kind in (Kind.ADVANCE, Kind.PROMOTE):
        return _plan_winner(s, endpoint, decision)
    return plan_operation_end(s) or Wait(decision.sentence)


def _plan_return(s: Situation, endpoint: Endpoint) -> Step:
    """The traffic of an arm, or of all, by the one way back; what has none is dropped here, for there is nothing to give back."""
    r, decision = s.rollout, s.decision
    if not any(endpoint.share(arm.deployed_id) for arm in r.arms):
        end = r.stop.outcome if r.stop else Phase.ROLLED_BACK
        return Close(end, f"Ended the experiment {r.id}: {decision.sentence}", checks=decision.checks)
    lost = next((arm for arm in r.arms if arm.deployed_id == decision.deployed), None)
    if lost and not endpoint.share(lost.deployed_id):
        why = f"Dropped arm {lost.name} v{lost.version}, which has no share any more: {decision.sentence}"
        return Arrange("drop", why, arm=lost)
    return AskRollback(decision.sentence, decision.checks, decision.deployed)


def _plan_winner(s: Situation, endpoint: Endpoint, decision: Decision) -> Step:
    """The winner is the candidate of a canary from here on; what the others had is the control's."""
    r = s.rollout
    won = next(arm for arm in r.arms if arm.deployed_id == decision.deployed)
    if s.policy.rollout.experiment and s.policy.rollout.experiment.is_sticky:
        return plan_end(s, endpoint, won, decision)
    has = endpoint.share(won.deployed_id)
    stage = next(i for i, one in enumerate(s.policy.rollout.stages) if one.traffic > has or one.traffic == 100)
    as_candidate = replace(s, rollout=replace(r, version=won.version, deployed_id=won.deployed_id))
    return plan_move(as_candidate, endpoint, stage, decision)


def needs_experiment_step(rollout: Rollout, endpoint: Endpoint, *, drifted: bool) -> bool:
    """Whether the bulk view shows something that only a step can settle."""
    if rollout.stage_since is None or rollout.operation is not None or silent_arm(rollout, endpoint):
        return True
    labelled = read_labels(endpoint.labels).arms
    inside = [arm.deployed_id for arm in rollout.arms if not arm.out]
    return not set(inside) <= set(labelled) or (drifted and not rollout.hold)
