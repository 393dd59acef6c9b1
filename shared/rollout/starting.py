"""A queued rollout: whose turn it is, the gate, the endpoint, and the first deployment."""

from __future__ import annotations

from shared.rollout.copying import plan_copy
from shared.rollout.coupling import plan_endpoint, plan_pair
from shared.rollout.deploying import plan_deploy
from shared.rollout.experimenting import plan_gathering, plan_joining
from shared.rollout.labels import read_labels
from shared.rollout.names import version_in, version_number
from shared.rollout.observed import Endpoint
from shared.rollout.pooling import plan_pool
from shared.rollout.record import Phase, Rollout, Verdict
from shared.rollout.shadowing import plan_start, should_shadow
from shared.rollout.split import format_split
from shared.rollout.step_kinds import (
    VISIBLE_WITHIN,
    Close,
    Examine,
    Examined,
    Forget,
    Situation,
    Step,
    Supersede,
    Wait,
)


def plan_queued(s: Situation) -> Step:
    turn = _plan_turn(s) or plan_joining(s)
    if turn:
        return turn
    if s.is_lost:
        return _plan_lost(s)
    if s.gate is not None and s.gate.verdict is Verdict.FAIL:
        return Close(
            Phase.REJECTED, f"Rejected v{s.rollout.version} by the gate: {s.gate.sentence}", checks=s.gate.checks
        )
    if s.gate is not None and s.gate.verdict is Verdict.NO_DATA:
        return _plan_work(s) or Wait(s.gate.sentence)
    if s.gate is not None and s.gate.examined not in ("", s.rollout.examined):
        sentence = f"v{s.rollout.version} passes the gate: {s.gate.sentence}"
        return Examined(s.gate.examined, sentence, s.gate.checks)
    if s.rollout.hold:
        return Wait(f"paused by {s.rollout.hold.by}: {s.rollout.hold.reason}")
    if s.barred:
        return Wait(s.barred)
    if s.endpoint is None:
        return _plan_budget(s) or plan_endpoint(s, s.rollout.target)
    owner = read_labels(s.endpoint.labels).model
    if owner and owner != s.rollout.model:
        return Close(
            Phase.REJECTED,
            f"Refused v{s.rollout.version}: endpoint {s.rollout.target} belongs to the policy of {owner};"
            " if that one has given it up, take its vr- labels off the endpoint",
        )
    if s.busy and s.busy != s.rollout.id:
        return _plan_behind(s)
    return _plan_budget(s) or _plan_start(s, s.endpoint)


def _plan_work(s: Situation) -> Step | None:
    """Who is paused, or has no money, has nothing asked for; what was asked for before goes on by itself."""
    if s.work is None or not s.work.tasks:
        return None
    if s.rollout.hold:
        return Wait(f"paused by {s.rollout.hold.by}: {s.rollout.hold.reason}")
    if s.work.asked:
        early = _plan_budget(s) or (Wait(s.short_of_budget) if s.short_of_budget else None)
        if early:
            return early
    return Examine(s.work.tasks, s.work.sentence)


def _plan_budget(s: Situation) -> Step | None:
    """Before any machine is paid for; a deployment that has begun is not asked again."""
    if not s.over_budget or s.rollout.operation is not None:
        return None
    return Close(Phase.REJECTED, f"Refused v{s.rollout.version}: {s.over_budget}")


def _plan_lost(s: Situation) -> Step:
    """What the registry does not have (yet) is waited for as long as anything that was just made; then somebody has deleted it."""
    r = s.rollout
    if s.now - r.phase_since < VISIBLE_WITHIN:
        return Wait(f"v{r.version} cannot be read in the registry")
    return Close(Phase.REJECTED, f"Rejected v{r.version}: it is not in the registry, somebody has deleted it")


def _plan_behind(s: Situation) -> Step:
    """Another trial is on the endpoint: the policy says what a newer version does."""
    r = s.rollout
    if s.policy.rollout.supersede == "replace" and version_number(r.version) > version_number(version_in(s.busy)):
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
    newer = newer_holder(s.endpoint, s.rollout)
    if newer:
        return Close(Phase.SUPERSEDED, f"Superseded v{s.rollout.version}: v{newer} is newer and has the traffic")
    return None


def newer_holder(endpoint: Endpoint | None, rollout: Rollout) -> str:
    """The version of its model that is the stable already and newer than it; empty if none is."""
    stable = endpoint.find(read_labels(endpoint.labels).stable) if endpoint else None
    is_newer = (
        stable is not None
        and stable.model == rollout.model
        and version_number(stable.version) > version_number(rollout.version)
    )
    return stable.version if stable and is_newer else ""


def _plan_start(s: Situation, endpoint: Endpoint) -> Step:
    """Who is the stable, whether there is room, and the first deployment."""
    r, op = s.rollout, s.rollout.operation
    if op is not None and op.kind == "create_endpoint" and op.subject == r.target.endpoint:
        return Forget(f"endpoint {r.target} is there")
    trial = read_labels(endpoint.labels)
    holders = [model for model, share in endpoint.split.items() if share]
    if len(holders) > 1:
        return Close(
            Phase.REJECTED,
            f"Refused v{r.version}: several models hold traffic on {r.target} ({format_split(endpoint.split)})",
        )
    if holders and not trial.is_ours:
        return Wait(f"endpoint {r.target} lived before this policy: `rollouts adopt {r.model}` brings it under it")
    pair = plan_pair(s, endpoint)
    if pair:
        return pair
    pool = plan_pool(s)
    if pool:
        return pool
    stable = endpoint.find(holders[0]) if holders else None
    if stable and stable.model == r.model and stable.version == r.version:
        return Close(Phase.REJECTED, f"Refused v{r.version}: it has the traffic already")
    copy = plan_copy(s)
    if copy:
        return copy
    if stable and s.policy.rollout.experiment:
        return plan_gathering(s, stable.id, stable.version)
    if stable and should_shadow(s, stable):
        return plan_start(s, stable.id, stable.version)
    return plan_deploy(s, endpoint, stable.id if stable else "", stable.version if stable else "")
