"""A target in another region or project than the version's: the version is copied there first.

Vertex AI deploys a version only in the region in which it is registered. A copy is a long-running operation; a later look finds either
the copy or why there is none, and only a version that is not there is copied.
"""

from __future__ import annotations

from shared.policy.units import format_duration
from shared.rollout.deploying import plan_failed, wait_for_attempt
from shared.rollout.observed import OperationState, TargetRef
from shared.rollout.record import Phase
from shared.rollout.step_kinds import VISIBLE_WITHIN, Close, Copy, Forget, Situation, Step, Wait


def where(home: tuple[str, str], target: TargetRef) -> str:
    """The place of a target as people say it: its region, with its project where that is another one."""
    return target.region if target.project == home[0] else f"{target.project}/{target.region}"


def plan_copy(s: Situation) -> Step | None:
    """What is missing until the version is in the target's region; None when it is there, or the region is its own."""
    r, op = s.rollout, s.rollout.operation
    if s.away_from is None:
        return None
    place = where(s.away_from, r.target)
    if s.copied:
        return Forget(f"v{r.version} is in {place} as v{s.copied}") if op is not None and op.kind == "copy" else None
    if op is None:
        return wait_for_attempt(s) or Copy(f"Copying v{r.version} from {s.away_from[1]} to {place}")
    waited, within = s.now - op.intended_at, s.policy.rollout.deploy_within
    if s.operation and s.operation.done:
        if s.operation.error:
            return plan_failed(s, s.operation)
        if waited >= within + VISIBLE_WITHIN:
            return Close(
                Phase.FAILED, f"Failed v{r.version}: it was copied to {place} and somebody has deleted the copy"
            )
        return Wait(f"v{r.version} was copied to {place} and is not visible yet")
    if waited < within:
        return Wait(f"v{r.version} is being copied to {place} for {format_duration(waited)}")
    if not op.name:
        lost = OperationState("", True, "the call that would have copied it left no trace", retryable=True)
        return plan_failed(s, lost)
    return Close(Phase.FAILED, f"Failed v{r.version}: it was not copied to {place} within {format_duration(within)}")
