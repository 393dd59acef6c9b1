"""What our functions tell each other about a rollout.

``rollout-due`` is a hint that a step may be possible, never an order; ``rollout-changed`` names the ledger entry to tell people of.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.events.message import Message
from shared.events.wire import Ours, Text, decode_object, encode, read_ours

DUE_SCHEMA = "rollout-due/v1"
CHANGED_SCHEMA = "rollout-changed/v1"


@dataclass(frozen=True)
class RolloutDue:
    """Something may be due in this rollout."""

    rollout: str


@dataclass(frozen=True)
class RolloutChanged:
    """This ledger entry was written."""

    rollout: str
    """Empty for an entry that belongs to no rollout, such as an alert about an endpoint that is not ours."""
    entry: str


class _Due(Ours):
    rollout: Text


class _Changed(Ours):
    rollout: Text | None = None
    entry: Text


def parse_rollout_due(message: Message) -> RolloutDue:
    """``{"schema": "rollout-due/v1", "rollout": ...}``."""
    return RolloutDue(rollout=read_ours(_Due, decode_object(message.data, DUE_SCHEMA), DUE_SCHEMA).rollout)


def rollout_due_message(event: RolloutDue) -> bytes:
    """What ``assess_rollouts`` publishes."""
    return encode(DUE_SCHEMA, {"rollout": event.rollout})


def parse_rollout_changed(message: Message) -> RolloutChanged:
    """``{"schema": "rollout-changed/v1", "rollout": ..., "entry": ...}``."""
    wire = read_ours(_Changed, decode_object(message.data, CHANGED_SCHEMA), CHANGED_SCHEMA)
    return RolloutChanged(rollout=wire.rollout or "", entry=wire.entry)


def rollout_changed_message(event: RolloutChanged) -> bytes:
    """What is published after a ledger entry was written."""
    return encode(CHANGED_SCHEMA, {"rollout": event.rollout or None, "entry": event.entry})
