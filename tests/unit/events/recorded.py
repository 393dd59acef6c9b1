"""The recorded events of ``tests/data/events``, and the values that they are read as."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.events.message import Ignored, Message
from shared.events.wire import write_moment

ROOT = Path(__file__).parents[2] / "data" / "events"
AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Recorded:
    payload: Any
    expect: dict[str, Any]


def names_of(kind: str) -> list[str]:
    names = sorted(path.stem for path in (ROOT / kind).glob("*.json"))
    assert names, f"no recorded events in {ROOT / kind}"
    return names


def recorded(kind: str, name: str) -> Recorded:
    found = json.loads((ROOT / kind / f"{name}.json").read_text(encoding="utf-8"))
    return Recorded(payload=found["payload"], expect=found["expect"])


def message(payload: Any) -> Message:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Message(id="1", data=data, attributes={}, published_at=AT, topic=None, delivery_attempt=None)


def as_recorded(value: Any) -> dict[str, Any]:
    """A parsed value in the form of a recording's ``expect``."""
    if isinstance(value, Ignored):
        return {"ignored": value.reason}
    return {key: _plain(item) for key, item in asdict(value).items()}


def _plain(item: Any) -> Any:
    if isinstance(item, datetime):
        return write_moment(item)
    if isinstance(item, dict):
        return {key: _plain(one) for key, one in item.items()}
    if isinstance(item, tuple):
        return [_plain(one) for one in item]
    return item.decode() if isinstance(item, bytes) else item
