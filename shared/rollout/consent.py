"""A person's agreement before a stage: asked for once, waited for, and what silence means."""

from __future__ import annotations

from shared.policy.times import Approval
from shared.policy.units import format_duration
from shared.rollout.record import Phase
from shared.rollout.step_kinds import AskApproval, AskRollback, Close, Situation, Step, Wait, pause

BY = "approval"
"""Who has paused a rollout that nobody approved: the approval lifts that pause, and no other."""


def plan_consent(s: Situation, stage: int) -> Step | None:
    """What stands between a stage that is due and its shift; None when nothing does."""
    r, rule = s.rollout, s.policy.rollout.stages[stage].approval
    if rule is None:
        return None
    share = s.policy.rollout.stages[stage].traffic
    given = r.consent if r.consent and r.consent.stage == stage else None
    if given is None:
        until = s.now + rule.within
        return AskApproval(
            stage, until, f"v{r.version} asks for {share} %: {_wanted(rule)} until {until:%m-%d %H:%M} UTC"
        )
    if given.given_by:
        return None
    if s.now < given.until:
        return Wait(f"{share} % waits for approval by {_people(rule)} until {given.until:%m-%d %H:%M} UTC")
    if rule.then == "advance":
        return None
    silence = f"nobody approved {share} % within {format_duration(rule.within)}"
    if rule.then == "pause":
        return pause(s, silence, BY)
    if r.phase is Phase.CANARY:
        return AskRollback(silence)
    return Close(Phase.REJECTED, f"Rejected v{r.version} before it had traffic: {silence}")


def _wanted(rule: Approval) -> str:
    after = {"pause": "it is paused", "roll_back": "it is rolled back", "advance": "it goes on by itself"}[rule.then]
    return f"approval by {_people(rule)}, without which {after},"


def _people(rule: Approval) -> str:
    return " or ".join(rule.by) or "an operator"
