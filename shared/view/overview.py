"""All rollouts at a glance: who needs a person, what is under way, what has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.costs.prices import Hardware, PriceBook
from shared.policy.schema import Policy
from shared.rollout.decide import Kind
from shared.rollout.record import Phase, Rollout
from shared.view.explain import needs_approval
from shared.view.looked import Looked
from shared.view.standing import Standing, age, standing
from shared.view.stepper import Step, steps


@dataclass(frozen=True)
class Row:
    """One rollout in a list."""

    rollout: Rollout
    standing: Standing
    steps: Sequence[Step]
    age: str
    """Since it began, or since it ended."""
    asks: str
    """Why it needs a person; empty where it does not."""


def row(rollout: Rollout, policy: Policy | None, now: datetime) -> Row:
    """One line of a list."""
    since = rollout.created_at if rollout.phase.is_open else rollout.updated_at
    return Row(
        rollout,
        standing(rollout, policy),
        steps(rollout, policy, (), now) if rollout.phase.is_open else (),
        age(now - since),
        asks(rollout, policy),
    )


def asks(rollout: Rollout, policy: Policy | None) -> str:
    """Why a person is needed, in a few words."""
    if not rollout.phase.is_open:
        return ""
    if policy is None:
        return f"the policy that it keeps (version {rollout.policy_version}) is not in the store"
    if needs_approval(rollout) and rollout.consent:
        share = policy.rollout.stages[rollout.consent.stage].traffic
        return f"{share} % waits for approval until {rollout.consent.until:%Y-%m-%d %H:%M} UTC"
    if rollout.hold:
        return f"paused by {rollout.hold.by}: {rollout.hold.reason}"
    return ""


def offered(seen: Looked) -> tuple[str, ...]:
    """The commands that make sense now, the most likely first."""
    r, policy = seen.rollout, seen.policy
    if not r.phase.is_open or r.stop or policy is None:
        return ()
    found = []
    may_move = policy.mode != "observe"
    if needs_approval(r):
        found.append("approve")
    found.append("resume" if r.hold else "pause")
    harmed = seen.decision is not None and seen.decision.kind is Kind.ROLL_BACK
    if may_move and r.phase in (Phase.SHADOW, Phase.CANARY) and not harmed and (r.hold or not r.approved):
        found.append("promote")
    if may_move and not (r.phase is Phase.WATCHING and not r.stable_id):
        found.append("abort")
    return tuple(found)


def extra_hourly(
    rollouts: Sequence[Rollout], policy_of: Callable[[Rollout], Policy | None], book: PriceBook
) -> tuple[Decimal, int]:
    """What the machines of trials cost an hour at least, at the least replicas of their policies; and how many have no price."""
    total, unknown = Decimal(0), 0
    for rollout in rollouts:
        policy = policy_of(rollout)
        if not rollout.deployed_id or policy is None or policy.mode == "observe":
            continue
        machine = policy.machine
        gpu = machine.accelerator
        hardware = Hardware(rollout.target.region, machine.type, gpu.type if gpu else "", gpu.count if gpu else 0)
        price = book.price(hardware)
        if price is None:
            unknown += 1
        else:
            total += price.usd_hour * machine.replicas.min
    return total, unknown
