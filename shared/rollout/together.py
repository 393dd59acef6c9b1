"""Variants of one training run that are promoted together: each waits for the others at its last stage, and goes back when one of them does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.policy.units import format_duration
from shared.rollout.record import Phase, Rollout
from shared.rollout.step_kinds import Ready, Situation, Step, Wait, pause

UP = (Phase.WATCHING, Phase.PROMOTED)


@dataclass(frozen=True)
class Partner:
    """Another model's version of the same run, with its rollouts; none of them where it is not there yet."""

    model: str
    version: str = ""
    rollouts: tuple[Rollout, ...] = ()

    @property
    def is_ready(self) -> bool:
        return bool(self.rollouts) and all(r.phase in UP or (r.ready and r.phase.is_open) for r in self.rollouts)

    @property
    def ended(self) -> Rollout | None:
        """The one that will never be promoted."""
        return next((r for r in self.rollouts if not r.phase.is_open and r.phase is not Phase.PROMOTED), None)


def last_of_each_target(rollouts: Iterable[Rollout]) -> tuple[Rollout, ...]:
    """A trial that was begun again counts, not the one before it."""
    return tuple({r.target: r for r in sorted(rollouts, key=lambda r: r.created_at)}.values())


def why_apart(partners: Sequence[Partner]) -> str:
    """Why this one may not be promoted any more; empty while it may."""
    for partner in partners:
        if partner.ended:
            said = partner.ended.phase.replace("_", " ")
            return f"{partner.model} v{partner.version} of the same run was {said}: {partner.ended.sentence}"
    return ""


def plan_together(s: Situation, share: int) -> Step | None:
    """What stands between the last stage that is due and its shift; None when all are as far."""
    r = s.rollout
    waiting = [partner for partner in s.partners if not partner.is_ready]
    if not waiting:
        return None
    names = " and ".join(f"{p.model} v{p.version}" if p.version else f"a version of {p.model}" for p in waiting)
    if not r.ready:
        return Ready(f"v{r.version} is ready for {share} % and waits for {names} of the same run")
    limit = s.policy.rollout.deadline.after
    if s.now - r.updated_at >= limit:
        return pause(s, f"for {format_duration(limit)} it has waited for {names} of the same run")
    return Wait(f"{share} % waits for {names} of the same run")
