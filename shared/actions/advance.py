"""One step of one rollout.

A hint came; it is never an order. Record, endpoint, operation and evidence are read again, the same pure function decides again, and one
step is taken. Only this action ever raises a candidate's share.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from shared import log
from shared.actions.again import last_trial
from shared.actions.aliasing import apply_aliases, recent_rollouts
from shared.actions.apply import apply_step
from shared.actions.examining import look_at_answers
from shared.actions.gating import assess_gate
from shared.actions.observe import observe_rollout
from shared.actions.policies import away_from, home_of, policy_of, target_ref
from shared.actions.pricing import prices_in_force
from shared.costs.budget import Standing, standing
from shared.errors import PermanentError
from shared.policy.schema import Policy
from shared.rollout.copies import copies
from shared.rollout.decide import decide
from shared.rollout.experimenting import form_arms
from shared.rollout.fixed_set import Work
from shared.rollout.gate import GateResult
from shared.rollout.lineage import RUN
from shared.rollout.names import arm_target, green_target, pool_id, shadow_target
from shared.rollout.observed import Endpoint, ModelVersion, OperationState, Pool
from shared.rollout.record import Phase, Rollout, Verdict
from shared.rollout.steps import Examined, Forget, Situation, Step, Wait, plan_step
from shared.rollout.together import Partner, last_of_each_target
from shared.rollout.windows import why_barred
from shared.store.store import StoredRollout
from shared.wiring import World

LOOKED_AT = 50
"""The rollouts of an endpoint, newest change first, among which the arms of an experiment are looked for."""
SETTLING = 4
"""How often a step that only tidies the record is followed by another at once."""


def advance_rollout(world: World, rollout_id: str, event: str) -> Step:
    """Take the next step; what it was."""
    stored = world.store.get_rollout(rollout_id)
    if stored is None:
        raise PermanentError(f"rollout {rollout_id} is not in the store")
    policy = policy_of(world, stored.rollout)
    step: Step = Wait(stored.rollout.sentence)
    if stored.rollout.phase.is_open:
        stored, step = _advance(world, stored, policy, event)
    if policy.mode == "enforce":
        apply_aliases(world, stored, policy)
    return step


def _advance(world: World, stored: StoredRollout, policy: Policy, event: str) -> tuple[StoredRollout, Step]:
    # The operation before the endpoint: one that is over has left its mark on what is read after it.
    operation = _operation(world, stored.rollout)
    endpoint = _endpoint(world, stored.rollout, policy)
    if policy.mode == "observe":
        return observe_rollout(world, stored, policy, endpoint, event)
    for _ in range(SETTLING):
        situation = look(world, stored, policy, endpoint, operation if stored.rollout.operation else None)
        step = plan_step(situation)
        log.info(f"{stored.rollout.id}: {type(step).__name__}: {getattr(step, 'sentence', '')}")
        stored = apply_step(world, stored, situation, step, event)
        if not isinstance(step, Forget | Examined):
            break
    return stored, step


def _endpoint(world: World, rollout: Rollout, policy: Policy) -> Endpoint | None:
    """With the endpoints of a sticky experiment's arms, which nobody is told of before it has begun."""
    endpoint, spec = world.endpoints.get(rollout.target), policy.rollout.experiment
    is_set_up = rollout.phase is not Phase.EXPERIMENT or rollout.stage_since is not None
    if endpoint is None or spec is None or not spec.is_sticky or is_set_up:
        return endpoint
    return world.endpoints.with_arms(endpoint, [arm_target(rollout.id, a.name, rollout.target) for a in rollout.arms])


def look(
    world: World,
    stored: StoredRollout,
    policy: Policy,
    endpoint: Endpoint | None,
    operation: OperationState | None,
) -> Situation:
    """Everything that the next step depends on."""
    rollout, now = stored.rollout, world.now()
    evidence = None
    if rollout.stage_since is not None:
        evidence = world.store.evidence.of(rollout.id)
    is_queued = rollout.phase is Phase.QUEUED
    before = _before(world, policy, rollout) if is_queued else None
    is_turn = is_queued and (before is None or before.phase is Phase.PROMOTED)
    home = home_of(world, policy)
    version = world.registry.version(*home, rollout.model, rollout.version) if is_turn else None
    gate, work = _gate(world, policy, rollout, version) if version else (None, None)
    budget = _budget(world, policy, rollout, endpoint, work) if is_turn else Standing()
    return Situation(
        policy=policy,
        rollout=rollout,
        endpoint=endpoint,
        decision=decide(policy, rollout, evidence, now),
        now=now,
        operation=operation,
        gate=gate,
        work=work,
        is_lost=is_turn and version is None,
        before=before,
        shadow=_shadow(world, rollout),
        pool=_pool(world, policy, rollout) if is_turn else None,
        **_arms(world, policy, rollout) if is_turn else {},
        away_from=away_from(world, policy, rollout.target),
        copied=_copied(world, policy, rollout) if is_turn else "",
        partners=_partners(world, policy, rollout),
        green=world.endpoints.plain(green_target(rollout.target)) if is_turn and policy.rollout.blue_green else None,
        has_bucket=bool(world.live_bucket),
        busy=world.store.busy(rollout.target) if is_queued else "",
        barred=_barred(world, policy, rollout, now) or budget.waits,
        over_budget=budget.over,
        short_of_budget=budget.waits,
    )


def _barred(world: World, policy: Policy, rollout: Rollout, now: datetime) -> str:
    has_begun = rollout.phase is not Phase.QUEUED
    return why_barred(policy.rollout, world.store.stops(rollout.model), now, has_begun=has_begun)


def _budget(world: World, policy: Policy, rollout: Rollout, endpoint: Endpoint | None, work: Work | None) -> Standing:
    """Whether there is money for it; prices are read only where a policy has a budget."""
    if policy.budget is None:
        return Standing()
    asked = work.asked if work else ()
    found = standing(policy, endpoint, rollout.version, prices_in_force(world), rollout.target.region, asked)
    if found.unknown:
        log.warning(f"the budget of {rollout.model} cannot be held against v{rollout.version}: {found.unknown}")
    return found


def _shadow(world: World, rollout: Rollout) -> Endpoint | None:
    if rollout.phase is not Phase.SHADOW:
        return None
    return world.endpoints.get(shadow_target(rollout.id, rollout.target))


def _pool(world: World, policy: Policy, rollout: Rollout) -> Pool | None:
    name = policy.machine.pool
    return world.pools.get(rollout.target.project, rollout.target.region, pool_id(name)) if name else None


def _arms(world: World, policy: Policy, rollout: Rollout) -> dict[str, Any]:
    """Which arms a queued experiment has, and which experiments have begun."""
    spec = policy.rollout.experiment
    if spec is None:
        return {}
    others = world.store.rollouts_of_target(rollout.target, LOOKED_AT)
    queued = [r for r in others if r.phase is Phase.QUEUED and r.model == rollout.model and r.stop is None]
    if policy.gate.fixed_set:
        queued = [r for r in queued if r.examined or r.id == rollout.id]
    versions = world.registry.versions(*home_of(world, policy), rollout.model)
    arms, named = form_arms(spec, queued, versions)
    leading = tuple(r for r in others if r.phase.is_open and r.arms)
    return {"arms": arms, "named": named, "leading": leading}


def _partners(world: World, policy: Policy, rollout: Rollout) -> tuple[Partner, ...]:
    """What became of the other variants of its run, as index and records have it."""
    if not policy.rollout.together or rollout.phase not in (Phase.DEPLOYING, Phase.CANARY, Phase.WATCHING):
        return ()
    own = next((v for v in world.store.indexed_versions(rollout.model) if v.version == rollout.version), None)
    run = own.labels.get(RUN) if own else None
    found = []
    for model in policy.rollout.together:
        version = next((v for v in world.store.indexed_versions(model) if run and v.labels.get(RUN) == run), None)
        rollouts = [r for r in world.store.rollouts_of_model(model) if version and r.version == version.version]
        found.append(Partner(model, version.version if version else "", last_of_each_target(rollouts)))
    return tuple(found)


def _operation(world: World, rollout: Rollout) -> OperationState | None:
    op = rollout.operation
    return world.endpoints.operation(rollout.target.region, op.name) if op and op.name else None


def _copied(world: World, policy: Policy, rollout: Rollout) -> str:
    """The number of the version's copy where the target is; empty as long as there is none."""
    home, ref = away_from(world, policy, rollout.target), rollout.target
    if home is None:
        return ""
    there = world.registry.versions(ref.project, ref.region, rollout.model)
    return copies(home, rollout.model, there).get(rollout.version, "")


def _gate(world: World, policy: Policy, rollout: Rollout, version: ModelVersion) -> tuple[GateResult, Work | None]:
    """Judged again: the evaluation may have come, a batch prediction may have ended, or there is another champion."""
    fixed = policy.gate.fixed_set
    asks = bool(policy.gate.metrics or fixed)
    rollouts = recent_rollouts(world, rollout.model, len(policy.targets)) if asks else []
    gate = assess_gate(world, policy, version, rollouts, rollout.created_at)
    if fixed is None or gate.verdict is not Verdict.PASS:
        return gate, None
    found = look_at_answers(world, policy, fixed, rollout, rollouts)
    if isinstance(found, Work):
        return GateResult(Verdict.NO_DATA, found.sentence, gate.checks), found
    before = f"{gate.sentence}; " if policy.gate.metrics and found.verdict is Verdict.PASS else ""
    return replace(found, sentence=f"{before}{found.sentence}", checks=(*gate.checks, *found.checks)), None


def _before(world: World, policy: Policy, rollout: Rollout) -> Rollout | None:
    """The same version on the target before this one."""
    if rollout.target_index == 0:
        return None
    target = target_ref(world, policy.targets[rollout.target_index - 1])
    _, stored = last_trial(world, rollout.model, rollout.version, target)
    return stored.rollout if stored else None
