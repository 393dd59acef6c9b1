"""A rollout in its shadow: an endpoint of its own, made, served, judged and removed before the production deployment starts.

So no machine is paid twice, and nothing that users are answered from is touched. The endpoint carries the rollout's id in a label: what a
crash or a sudden end leaves is found by it (``retire_models``).
"""

from __future__ import annotations

from shared.policy.units import format_duration
from shared.rollout.decide import Kind
from shared.rollout.deploying import plan_deploy, plan_other_holder, plan_under_way, wait_for_attempt
from shared.rollout.moving import plan_operation_end
from shared.rollout.names import shadow_deployed_id
from shared.rollout.observed import Endpoint
from shared.rollout.record import Phase
from shared.rollout.step_kinds import Close, Forget, Situation, Step, Tend, Wait, pause

SHADOW = "vr-shadow"
"""The label of a shadow endpoint: whose it is."""


def should_shadow(s: Situation, stable: object) -> bool:
    """The first version of a model has nobody to be compared with."""
    return s.policy.rollout.shadow is not None and stable is not None


def plan_start(s: Situation, stable_id: str, stable_version: str) -> Step:
    """The shadow begins: the rollout takes its endpoint's place for a trial."""
    spec = s.policy.rollout.shadow
    assert spec is not None  # noqa: S101 (should_shadow has looked)
    why = (
        f"{spec.sample * 100:g} % of the requests, {spec.per_minute} a minute at most, for {format_duration(spec.bake)}"
    )
    sentence = f"Shadowing v{s.rollout.version} beside v{stable_version}: {why}"
    return Tend("start", sentence, s.rollout.deployed_id, stable_id, stable_version)


def plan_shadow(s: Situation) -> Step:
    """Until the shadow has been judged and is gone, or the rollout has ended."""
    r, endpoint, shadow = s.rollout, s.endpoint, s.shadow
    if endpoint is None:
        return Close(Phase.FAILED, f"Endpoint {r.target} was deleted while v{r.version} was in its shadow")
    if shadow is not None and shadow.labels.get(SHADOW) != r.id:
        return Close(Phase.FAILED, f"Failed v{r.version}: endpoint {shadow.ref} is there already and is not its shadow")
    if r.shadowed:
        return _plan_removal(s, endpoint)
    changed = plan_other_holder(s, endpoint)
    if changed:
        return changed
    if shadow is None or shadow.find(r.deployed_id) is None:
        return _plan_setting_up(s, shadow)
    if r.operation is not None:
        return Forget(f"the shadow of v{r.version} is ready")
    if r.stage_since is None:
        if r.hold:
            return Wait(f"paused by {r.hold.by}: {r.hold.reason}")
        sentence = f"The shadow of v{r.version} answers"
        return Tend("begin" if shadow.share(r.deployed_id) == 100 else "serve", sentence, r.deployed_id)
    return _plan_judged(s)


def _plan_judged(s: Situation) -> Step:
    r, decision = s.rollout, s.decision
    if decision.kind is Kind.ROLL_BACK:
        sentence = f"Took v{r.version} back in its shadow, before any user met it: {decision.sentence}"
        return Close(Phase.ROLLED_BACK, sentence, checks=decision.checks)
    if decision.kind is Kind.PAUSE:
        return pause(s, decision.sentence)
    if decision.kind in (Kind.ADVANCE, Kind.PROMOTE):
        sentence = f"Ended the shadow of v{r.version}: {decision.sentence}"
        return Tend("end", sentence, r.deployed_id, checks=decision.checks)
    return Wait(decision.sentence)


def _plan_setting_up(s: Situation, shadow: Endpoint | None) -> Step:
    r, op = s.rollout, s.rollout.operation
    if r.stage_since is not None:
        return Close(Phase.FAILED, f"Failed v{r.version}: somebody has taken its shadow away")
    if op is not None and op.kind == "create_endpoint" and shadow is not None:
        return Forget("the shadow endpoint is there")
    if op is not None:
        late = f"Failed v{r.version}: its shadow was not ready"
        return plan_under_way(s, op, late, f"under way: {op.detail}")
    if r.hold:
        return Wait(f"paused by {r.hold.by}: {r.hold.reason}")
    early = wait_for_attempt(s)
    if early:
        return early
    if shadow is None:
        return Tend("create", f"Creating a shadow endpoint for v{r.version}")
    machine = s.policy.machine.type
    return Tend("deploy", f"Deploying v{r.version} to its shadow on {machine}", shadow_deployed_id(r.id, r.attempt))


def _plan_removal(s: Situation, endpoint: Endpoint) -> Step:
    """First the machines, then the endpoint; only then the production deployment."""
    r, op, shadow = s.rollout, s.rollout.operation, s.shadow
    is_deployed = shadow is not None and bool(shadow.deployed)
    if op is not None and ((op.kind == "undeploy" and not is_deployed) or shadow is None):
        return Forget(op.detail)
    pending = plan_operation_end(s)
    if pending:
        return pending
    if r.hold:
        return Wait(f"paused by {r.hold.by}: {r.hold.reason}")
    if shadow is None:
        return plan_deploy(s, endpoint, r.stable_id, r.stable_version)
    if is_deployed:
        return Tend("undeploy", f"Undeploying v{r.version} from its shadow", shadow.deployed[0].id)
    return Tend("delete", f"Deleting the shadow endpoint of v{r.version}")
