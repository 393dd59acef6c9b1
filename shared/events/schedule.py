"""The schedule's message: it names the job that is due, and every job's subscription filters on it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.events.message import Message
from shared.events.wire import Ours, Text, decode_object, encode, read_ours

SCHEMA = "tick/v1"


@dataclass(frozen=True)
class Tick:
    """One tick of the schedule."""

    job: str


class _Wire(Ours):
    job: Text


def parse_tick(message: Message) -> Tick:
    """``{"schema": "tick/v1", "job": ...}``, as Cloud Scheduler publishes it."""
    return Tick(job=read_ours(_Wire, decode_object(message.data, SCHEMA), SCHEMA).job)


def tick_message(tick: Tick) -> bytes:
    """What a scheduler publishes."""
    return encode(SCHEMA, {"job": tick.job})
