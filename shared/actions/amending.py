"""What a person may change about a rollout besides its course: begin it again, and judge by another policy."""

from __future__ import annotations

from dataclasses import replace

from shared.actions.again import TAKEN_BACK, begin_again, present_policy, queued_anew
from shared.actions.policies import target_of
from shared.actions.record import Telling, publish_due, record_transition
from shared.errors import RefusedError
from shared.policy.schema import Policy
from shared.rollout.record import Phase, Rollout
from shared.store.store import StoredRollout
from shared.wiring import World

_AGAIN = (Phase.FAILED, Phase.REJECTED)


def retry(world: World, stored: StoredRollout, reason: str, actor: str, *, again: bool = False) -> StoredRollout:
    """Queue it again, under the present policy: the gate, windows and budget are asked as at the first time.

    What was taken back is another matter: it had its trial, so only who says ``again``, and why, gets a second one.
    """
    before, now = stored.rollout, world.now()
    if before.phase in TAKEN_BACK:
        if again:
            return begin_again(world, before, reason, actor)
        was = before.phase.value.replace("_", " ")
        raise RefusedError(
            f"{before.id} is {was}, and a retry is for what never had its trial; should this version deserve a second one:"
            f" `rollouts retry {before.id} --again --reason WHY`"
        )
    if before.phase not in _AGAIN:
        instead = "it has not ended" if before.phase.is_open else "an older version comes back as a new upload"
        raise RefusedError(
            f"{before.id} is {before.phase.value}: only what ended without the traffic begins again; {instead}"
        )
    policy = present_policy(world, before)
    after = replace(queued_anew(before, policy, now), sequence=before.sequence)
    sentence = _because(f"{actor} begins v{before.version} again ({before.sentence})", reason)
    done = record_transition(world, stored, after, Telling("start", sentence, actor=actor))
    publish_due(world, [before.id])
    return done


def set_policy(world: World, stored: StoredRollout, version: int | None, reason: str, actor: str) -> StoredRollout:
    """Judge an open rollout by another version of its model's policy, from this moment on: what a stage has gathered was for the former one."""
    rollout, now = stored.rollout, world.now()
    wanted = world.store.policy(rollout.model, version)
    kept = world.store.policy(rollout.model, rollout.policy_version)
    if wanted is None:
        raise RefusedError(f"the policy of {rollout.model} has no version {version}")
    if wanted.version == rollout.policy_version:
        return stored
    if rollout.shift is not None or rollout.operation is not None:
        raise RefusedError(f"{rollout.id} is in the middle of a step; say it again in a moment")
    why_not = _why_not(world, rollout, kept.policy if kept else None, wanted.policy)
    if why_not:
        raise RefusedError(f"{rollout.id} cannot go over to version {wanted.version} of its policy: {why_not}")
    anew = rollout.stage_since is not None
    after = rollout.moved(now, policy_version=wanted.version, consent=None, stage_since=now if anew else None)
    what = f"{actor} set version {wanted.version} of the policy for v{rollout.version} (was {rollout.policy_version})"
    again = "; its stage is judged from now on" if anew else ""
    done = record_transition(
        world, stored, after, Telling("note", _because(what + again, reason), "warning", actor=actor)
    )
    publish_due(world, [rollout.id])
    return done


def _why_not(world: World, rollout: Rollout, kept: Policy | None, wanted: Policy) -> str:
    """Where it stands has to mean the same in both."""
    if target_of(world, wanted, rollout.target) is None:
        return f"it does not name {rollout.target}"
    if kept is None:
        return ""
    if (wanted.mode, wanted.rollout.strategy) != (kept.mode, kept.rollout.strategy):
        return "mode or strategy differ; end the rollout, and the next one has them"
    if rollout.phase is Phase.EXPERIMENT and _dealing(wanted) != _dealing(kept):
        return "its arms or what each has differ; end the experiment, and the next one has them"
    done = rollout.stage + 1
    if wanted.rollout.stages[:done] != kept.rollout.stages[:done]:
        return "the stages up to the present one differ"
    if rollout.phase is not Phase.QUEUED and wanted.machine != kept.machine:
        return "the machine differs, and it is deployed already"
    return ""


def _dealing(policy: Policy) -> object:
    """How an experiment is laid out; what is judged may change."""
    spec = policy.rollout.experiment
    return spec and (spec.by, spec.arms, spec.share, spec.assignment)


def _because(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason else what
