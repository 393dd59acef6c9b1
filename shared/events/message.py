"""The Pub/Sub message inside the CloudEvent that a function receives.

Two forms arrive. A push subscription of our own posts Pub/Sub's wrapper, which the Functions Framework converts: the source
names the topic where the push address does, and the subscription, the delivery attempt and the ordering key are lost.
Eventarc posts a binary CloudEvent that has them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from shared.errors import PermanentError
from shared.events.wire import LooseLabels, LooseMoment, LooseText, Theirs, read_as, show

PUBSUB_TYPE = "google.cloud.pubsub.topic.v1.messagePublished"
_TOPIC = re.compile(r"projects/[^/?]+/topics/[^/?]+")


@dataclass(frozen=True)
class Message:
    """One Pub/Sub message, the same whichever way it came."""

    id: str
    data: bytes
    attributes: Mapping[str, str]
    published_at: datetime
    topic: str | None
    """``projects/P/topics/T``; None when the push address does not name it."""
    delivery_attempt: int | None
    """From 1; None unless Eventarc delivered it from a subscription with a dead-letter topic."""


@dataclass(frozen=True)
class Ignored:
    """Understood, and nothing to do."""

    reason: str


class _PubsubMessage(Theirs):
    """google.pubsub.v1.PubsubMessage in JSON."""

    data: str | None = None
    attributes: LooseLabels = Field(default_factory=dict)
    message_id: LooseText = Field(default=None, alias="messageId")
    publish_time: LooseMoment = Field(default=None, alias="publishTime")


class _MessagePublished(Theirs):
    """google.events.cloud.pubsub.v1.MessagePublishedData."""

    message: _PubsubMessage
    delivery_attempt: Annotated[int, Field(ge=0)] | None = Field(default=None, alias="deliveryAttempt")


def parse_message(ce_attributes: Mapping[str, Any], ce_data: Any) -> Message:
    """The message in a CloudEvent, given its attributes (``event.get_attributes()``) and its data."""
    kind = ce_attributes.get("type")
    if kind != PUBSUB_TYPE:
        raise PermanentError(f"CloudEvent: type: expected {PUBSUB_TYPE}; found {show(kind)}")
    wrapper = read_as(_MessagePublished, ce_data, "Pub/Sub message")
    message = wrapper.message
    identity = message.message_id or ce_attributes.get("id")
    if not isinstance(identity, str) or not identity:
        raise PermanentError("Pub/Sub message: message.messageId is missing, and the CloudEvent has no id either")
    published = message.publish_time or _EventTime.of(ce_attributes)
    if published is None:
        raise PermanentError("Pub/Sub message: message.publishTime: expected a time such as 2026-01-31T12:00:00Z")
    topic = _TOPIC.search(str(ce_attributes.get("source", "")))
    return Message(
        id=identity,
        data=_decode(message.data),
        attributes=message.attributes,
        published_at=published,
        topic=topic.group() if topic else None,
        delivery_attempt=wrapper.delivery_attempt or None,
    )


class _EventTime(Theirs):
    time: LooseMoment = None

    @staticmethod
    def of(ce_attributes: Mapping[str, Any]) -> datetime | None:
        return _EventTime.model_validate({"time": ce_attributes.get("time")}).time


def _decode(data: str | None) -> bytes:
    try:
        return base64.b64decode(data or "", validate=True)
    except (binascii.Error, ValueError):
        raise PermanentError(f"Pub/Sub message: message.data: expected base64; found {show(data)}") from None
