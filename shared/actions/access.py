"""Who may command a rollout, by its policy and the deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import PermanentError
from shared.policy.schema import Policy
from shared.rollout.record import Rollout
from shared.rollout.stages import approvers
from shared.wiring import World


class ForbiddenError(PermanentError):
    """The caller is known and may not do this."""

    kind = "forbidden"


@dataclass(frozen=True)
class Named:
    """Who may command, and how that is said."""

    people: Sequence[str]
    words: str


def is_allowed(world: World, policy: Policy, rollout: Rollout, command: str, actor: str) -> bool:
    """Whether this person may: for those who ask before they offer it. whoever carries it out asks again."""
    of_stage = approvers(policy, rollout) if command == "approve" else ()
    people = of_stage or operators(world, policy.model, policy.access.operators).people
    return actor.casefold() in {one.casefold() for one in people}


def operators(world: World, what: str, of_policy: Sequence[str]) -> Named:
    """Those whom the policy names, else those whom the deployment names for all."""
    if of_policy:
        return Named(of_policy, f"the operators of {what} (access.operators in its policy)")
    of_all = world.environment.get("COMMAND_OPERATORS", "").replace(",", " ").split()
    return Named(of_all, f"the operators of {what} (COMMAND_OPERATORS)")
