"""What a trial or a watch cannot do without, and somebody has taken away: the candidate, the labels, the way back."""

from __future__ import annotations

from dataclasses import replace

from shared.policy.schema import Policy
from shared.rollout.labels import read_labels
from shared.rollout.moving import plan_operation_end
from shared.rollout.names import stable_again_id
from shared.rollout.observed import Endpoint
from shared.rollout.record import Phase, Rollout
from shared.rollout.split import canary_split, format_split
from shared.rollout.step_kinds import Close, Redeploy, Reinstate, Situation, Step, Wait, pause


def has_lost_its_way_back(policy: Policy, rollout: Rollout, endpoint: Endpoint) -> bool:
    """Whether the stable of a trial is no longer deployed; in a watch that is minded only where the policy deploys it again."""
    if not rollout.stable_id or endpoint.find(rollout.stable_id):
        return False
    is_again = policy.rollout.stable_missing == "redeploy"
    return rollout.phase is Phase.CANARY or (rollout.phase is Phase.WATCHING and is_again)


def plan_stranded(s: Situation, endpoint: Endpoint) -> Step | None:
    """None where nothing is missing, or where a person has been told and nothing else can be done."""
    r, trial = s.rollout, read_labels(endpoint.labels)
    if endpoint.find(r.deployed_id) is None:
        return Close(Phase.FAILED, f"Failed v{r.version}: somebody has undeployed it")
    if r.hold:
        return None
    if trial.rollout != r.id:
        return pause(
            s,
            f"endpoint {r.target} no longer says that v{r.version} is on trial (label vr-rollout is {trial.rollout or 'gone'}),"
            " so no alert could roll it back: put the labels back, or abort",
        )
    if not has_lost_its_way_back(s.policy, r, endpoint):
        return None
    if s.policy.rollout.stable_missing == "redeploy":
        return _plan_again(s, endpoint)
    if r.stop:
        return None  # a person has answered already; how it ends is decided where rollbacks are
    return pause(s, f"the stable (deployed model {r.stable_id}) is no longer deployed; v{r.version} has no way back")


def plan_end_without_heir(s: Situation, endpoint: Endpoint) -> Step | None:
    """Whoever stops what carries all the traffic and has nobody to give it to ends the trial; taking it would be an outage."""
    r = s.rollout
    trial = read_labels(endpoint.labels)
    heir = r.stable_id if trial.stable in ("", r.deployed_id) else trial.stable
    if r.stop is None or endpoint.find(heir) or endpoint.share(r.deployed_id) < 100:
        return None
    why = f"stopped by {r.stop.by}: {r.stop.reason}"
    sentence = f"Ended v{r.version} without taking its traffic, which nobody else can carry: {why}"
    is_free = trial.rollout in ("", r.id)
    return Close(Phase.PROMOTED, sentence, release=is_free, checks=s.decision.checks)


def _plan_again(s: Situation, endpoint: Endpoint) -> Step:
    """The same version under another id; when it is ready it takes the stable's place, and the candidate keeps at most its share."""
    r = s.rollout
    under_way = plan_operation_end(s)
    if under_way:
        return under_way
    again = stable_again_id(r.id, r.resizes_failed)
    if endpoint.find(again) is None:
        if r.not_before and s.now < r.not_before:
            return Wait(f"v{r.stable_version} is deployed again at {r.not_before:%H:%M} UTC")
        candidate = endpoint.find(r.deployed_id)
        least = candidate.present_replicas if candidate else 1
        why = f"its deployed model {r.stable_id} is gone, and v{r.version} has no way back without it"
        return Redeploy(again, least, f"Deploying v{r.stable_version} again: {why}")
    return _plan_place(s, endpoint, again)


def _plan_place(s: Situation, endpoint: Endpoint, again: str) -> Step:
    r, trial = s.rollout, read_labels(endpoint.labels)
    names = {d.id: f"v{d.version}" for d in endpoint.deployed}
    others = {m for m, share in endpoint.split.items() if share} - {r.deployed_id, again}
    if others:
        return pause(
            s, f"v{r.stable_version} is deployed again, and the traffic is {format_split(endpoint.split, names)}"
        )
    if r.phase is Phase.WATCHING:
        split, labels = dict(endpoint.split), replace(trial, fallback=again)
        return Reinstate(again, split, labels, f"v{r.stable_version} is there again as the fallback of v{r.version}")
    share = min(endpoint.share(r.deployed_id), s.policy.rollout.stages[r.stage].traffic)
    split = canary_split(again, r.deployed_id, share)
    sentence = f"v{r.stable_version} is there again as the stable beside v{r.version} ({format_split(split, names)})"
    return Reinstate(again, split, replace(trial, stable=again), sentence)
