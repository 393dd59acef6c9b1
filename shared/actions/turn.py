"""One step's turn: what was read and decided, for whoever carries it out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from shared.actions.record import Severity, Slot, Telling, record_transition
from shared.rollout.observed import Endpoint
from shared.rollout.record import Rollout
from shared.rollout.steps import Situation
from shared.store.store import StoredRollout
from shared.wiring import World

ACTOR = "advance_rollout"


@dataclass(frozen=True)
class Turn:
    """The record at the revision that was read, the situation that the step was planned for, and the event that led here."""

    world: World
    stored: StoredRollout
    situation: Situation
    event: str

    @property
    def rollout(self) -> Rollout:
        return self.stored.rollout

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of a step that is planned only where there is one."""
        endpoint = self.situation.endpoint
        assert endpoint is not None  # noqa: S101 (the plan has looked)
        return endpoint

    def after(self, stored: StoredRollout) -> Turn:
        """The same turn, once the record has changed."""
        return replace(self, stored=stored)

    def telling(self, decision: str, sentence: str, severity: Severity = "info", **more: Any) -> Telling:
        """What is said about it, with the event and who acted."""
        return Telling(decision, sentence, severity, event=self.event, actor=ACTOR, **more)

    def record(self, after: Rollout, telling: Telling, slot: Slot | None = None) -> StoredRollout:
        """The transition from the record that was read."""
        return record_transition(self.world, self.stored, after, telling, slot=slot)
