"""What a target has to have before anything is deployed: its endpoint, or the two of a pair (blue-green)."""

from __future__ import annotations

from shared.policy.units import format_duration
from shared.rollout.deploying import plan_failed, wait_for_attempt
from shared.rollout.labels import PAIR
from shared.rollout.names import green_target
from shared.rollout.observed import Endpoint, TargetRef
from shared.rollout.record import Phase
from shared.rollout.step_kinds import VISIBLE_WITHIN, Close, Couple, CreateEndpoint, Forget, Situation, Step, Wait


def plan_endpoint(s: Situation, ref: TargetRef) -> Step:
    """An endpoint that is not there is made."""
    op = s.rollout.operation
    if ref.endpoint.isdigit():
        return Close(
            Phase.FAILED, f"Endpoint {ref} does not exist, and only Vertex AI can give an endpoint a number for its id"
        )
    if op is None:
        is_green = ref != s.rollout.target
        second = ", the second of two" if is_green else ""
        return wait_for_attempt(s) or CreateEndpoint(f"Creating endpoint {ref}{second}", is_green)
    waited = s.now - op.intended_at
    if s.operation and s.operation.done and s.operation.error:
        return plan_failed(s, s.operation)
    if not op.name and waited >= VISIBLE_WITHIN:
        return Forget("the call that would have created the endpoint left no trace")
    if waited >= s.policy.rollout.deploy_within:
        return Close(
            Phase.FAILED,
            f"Failed v{s.rollout.version}: endpoint {ref} was not there within {format_duration(s.policy.rollout.deploy_within)}",
        )
    return Wait(f"endpoint {ref} is being created")


def plan_pair(s: Situation, endpoint: Endpoint) -> Step | None:
    """What is missing until the target has two endpoints; None where it has, or needs none."""
    r, spec, pair = s.rollout, s.policy.rollout.blue_green, endpoint.pair
    if spec is None:
        if pair is None:
            return None
        why = f"{r.target} is one of two endpoints (label {PAIR}), and the policy says {s.policy.rollout.strategy}"
        return Close(Phase.REJECTED, f"Refused v{r.version}: {why}; take that label off both to make it one again")
    if not s.has_bucket:
        why = "blue-green needs a bucket that says which endpoint is live, and the functions have none (LIVE_BUCKET)"
        return Close(Phase.REJECTED, f"Refused v{r.version}: {why}")
    ref, op = green_target(r.target), r.operation
    if s.green is None:
        return plan_endpoint(s, ref)
    if op is not None and op.kind == "create_endpoint":
        return Forget(f"endpoint {ref} is there")
    if s.green.labels.get(PAIR) != r.target.endpoint:
        return Close(
            Phase.REJECTED, f"Refused v{r.version}: endpoint {ref} is there already and is not the second of {r.target}"
        )
    if pair is None:
        held = next((d for d in endpoint.deployed if endpoint.share(d.id)), None)
        live = f"; {endpoint.ref.endpoint} is live with v{held.version}" if held else ""
        return Couple(f"Coupled {endpoint.ref.endpoint} with {ref.endpoint}: clients ask one of the two{live}")
    if pair.live is None and any((*pair.blue.split.values(), *s.green.split.values())):
        return Wait(f"nothing says which endpoint of {r.target} is live, although a model has traffic there")
    return None
