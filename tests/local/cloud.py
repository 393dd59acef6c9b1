"""Google's Pub/Sub clients, with the words the tests speak."""

from __future__ import annotations

import uuid
from typing import Any, Self

from google.protobuf.duration_pb2 import Duration

from local.pubsub.clients import publisher_at, subscriber_at
from tests.local.helpers import PROJECT


class Cloud:
    """A publisher and a subscriber client of one server, and names that nobody else uses."""

    def __init__(self, address: str) -> None:
        self.publisher: Any = publisher_at(address)
        self.subscriber: Any = subscriber_at(address)

    def topic(self, name: str = "") -> str:
        """A new topic."""
        full = f"{PROJECT}/topics/{name or _unique()}"
        self.publisher.create_topic(name=full)
        return full

    def subscription(self, topic: str, endpoint: str = "", **settings: Any) -> str:
        """A new subscription; pushed when there is an endpoint."""
        name = f"{PROJECT}/subscriptions/{_unique()}"
        push = {"push_config": {"push_endpoint": endpoint}} if endpoint else {}
        self.subscriber.create_subscription({"name": name, "topic": topic, **push, **settings})
        return name

    def publish(self, topic: str, data: bytes = b"x", **attributes: str) -> str:
        """Publish one message; its id."""
        answer = self.publisher.publish(topic=topic, messages=[{"data": data, "attributes": attributes}])
        return str(answer.message_ids[0])

    def pull(self, subscription: str, limit: int = 10) -> list[Any]:
        """What is due now, or soon."""
        answer = self.subscriber.pull(subscription=subscription, max_messages=limit, timeout=10)
        return list(answer.received_messages)

    def pull_now(self, subscription: str) -> list[Any]:
        """What is due now."""
        request = {"subscription": subscription, "max_messages": 10, "return_immediately": True}
        return list(self.subscriber.pull(request, timeout=10).received_messages)

    def pull_some(self, subscription: str, tries: int = 20) -> list[Any]:
        """What is due, asked for until there is something."""
        for _ in range(tries):
            if received := self.pull(subscription):
                return received
        raise AssertionError(f"nothing arrived in {subscription}")

    def nack(self, subscription: str, received: Any) -> None:
        """Give one message back."""
        self.subscriber.modify_ack_deadline(
            subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=0
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.publisher.transport.close()
        self.subscriber.transport.close()


def backoff(minimum: float, maximum: float) -> dict[str, Duration]:
    """A retry policy, in seconds."""
    return {"minimum_backoff": _duration(minimum), "maximum_backoff": _duration(maximum)}


def dead_letter(topic: str, attempts: int = 5) -> dict[str, object]:
    """A dead-letter policy."""
    return {"dead_letter_topic": topic, "max_delivery_attempts": attempts}


def _duration(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=round(seconds % 1 * 1e9))


def _unique() -> str:
    return f"n{uuid.uuid4().hex[:12]}"
