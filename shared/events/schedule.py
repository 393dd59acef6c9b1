"""The schedule's message: it names the job that is due, and every job's subscription filters on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from shared.events.message import Message
from shared.events.wire import Ours, Text, decode_object, encode, read_ours

SCHEMA = "tick/v1"


@dataclass(frozen=True)
class Tick:
    """One tick of the schedule."""

    job: str
    shard: int = 0
    """Which share of the work, of ``shards``: a job that has too much for one tick asks for several."""
    shards: int = 1


class _Wire(Ours):
    job: Text
    shard: Annotated[int, Field(ge=0)] = 0
    shards: Annotated[int, Field(ge=1, le=1000)] = 1

    @model_validator(mode="after")
    def _shard_is_one_of_them(self) -> Self:
        if self.shard >= self.shards:
            raise ValueError(f"shard {self.shard} of {self.shards}: shards are counted from 0")
        return self


def parse_tick(message: Message) -> Tick:
    """``{"schema": "tick/v1", "job": ...}``, as Cloud Scheduler publishes it; with ``shard`` and ``shards`` for a part of the job."""
    read = read_ours(_Wire, decode_object(message.data, SCHEMA), SCHEMA)
    return Tick(read.job, read.shard, read.shards)


def tick_message(tick: Tick) -> bytes:
    """What a scheduler publishes."""
    part: dict[str, Any] = {"shard": tick.shard, "shards": tick.shards} if tick.shards > 1 else {}
    return encode(SCHEMA, {"job": tick.job} | part)
