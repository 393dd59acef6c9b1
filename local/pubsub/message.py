"""A published message, and the JSON in which a push subscription delivers it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.pubsub_v1 import types

PubsubMessage = types.PubsubMessage.pb()

_MAX_ATTRIBUTES = 100
_MAX_KEY_BYTES = 256
_MAX_VALUE_BYTES = 1024


@dataclass(frozen=True)
class Message:
    """What a topic received; the same object waits in every subscription that matched it."""

    message_id: str
    publish_time: datetime
    data: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict)
    ordering_key: str = ""

    def to_pb(self) -> Any:
        """The wire form, for pull."""
        message = PubsubMessage(
            data=self.data, attributes=self.attributes, message_id=self.message_id, ordering_key=self.ordering_key
        )
        message.publish_time.FromDatetime(self.publish_time.astimezone(UTC).replace(tzinfo=None))
        return message


def timestamp(moment: datetime) -> str:
    """A moment as the JSON of protobuf writes it: milliseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fault_of(data: bytes, attributes: Mapping[str, str]) -> str | None:
    """What the service would refuse in a message (quotas page, "Resource limits"); none when it is fine."""
    if not data and not attributes:
        return "A message needs data or at least one attribute."
    if len(attributes) > _MAX_ATTRIBUTES:
        return f"A message has at most {_MAX_ATTRIBUTES} attributes; this one has {len(attributes)}."
    for key, value in attributes.items():
        if not 0 < len(key.encode()) <= _MAX_KEY_BYTES:
            return f"An attribute's key has 1 to {_MAX_KEY_BYTES} bytes: {key[:40]!r}."
        if len(value.encode()) > _MAX_VALUE_BYTES:
            return f"The value of attribute {key!r} has more than {_MAX_VALUE_BYTES} bytes; put it into the data."
    return None


def push_body(message: Message, subscription: str, attempt: int | None) -> bytes:
    """The body of a push request, as production writes it.

    Both spellings of the id and the time are there; an empty ``data`` has no key (Google's emulator sends an empty string);
    ``deliveryAttempt`` is there only for a subscription with a dead-letter policy, which is what ``attempt`` says.
    """
    published = timestamp(message.publish_time)
    content: dict[str, object] = {
        "messageId": message.message_id,
        "message_id": message.message_id,
        "publishTime": published,
        "publish_time": published,
    }
    if message.data:
        content["data"] = base64.b64encode(message.data).decode()
    if message.attributes:
        content["attributes"] = dict(message.attributes)
    if message.ordering_key:
        content["orderingKey"] = message.ordering_key
    body: dict[str, object] = {"message": content, "subscription": subscription}
    if attempt is not None:
        body["deliveryAttempt"] = attempt
    return json.dumps(body).encode()
