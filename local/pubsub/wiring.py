"""Subscribes functions to topics as Terraform does in the cloud: push, filter, long ack deadline, back-off, dead letters.

It speaks through Google's clients, so it wires Google's emulator just as well (which stores filters and applies none).
Wiring again changes what differs: the addresses of functions are new in each run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from google.api_core.exceptions import AlreadyExists, InvalidArgument
from google.protobuf.duration_pb2 import Duration

from local.pubsub.clients import publisher_at, subscriber_at

DEAD_LETTERS = "dead-letters"
"""The topic, and the pull subscription that keeps what reaches it."""

ACK_DEADLINE = 600
"""Seconds; the longest there is, as it must exceed the longest time-out of a function (540 s)."""

_RETENTION = timedelta(days=31)
_MUTABLE = ("push_config", "ack_deadline_seconds", "retry_policy", "dead_letter_policy")


@dataclass(frozen=True)
class Route:
    """What wakes a function."""

    topic: str
    """Id of the topic."""
    filter: str = ""
    attempts: int = 5
    """Deliveries before a message becomes a dead letter; 5 to 100."""
    minimum_backoff: timedelta = timedelta(seconds=10)
    maximum_backoff: timedelta = timedelta(seconds=600)


def wire(
    address: str,
    project: str,
    routes: Mapping[str, Route],
    url: Callable[[str], str],
    *,
    topics: Iterable[str] = (),
    push_identity: str = "",
) -> dict[str, str]:
    """Create topics and push subscriptions on the Pub/Sub at ``address``; the subscription of each function.

    ``url`` answers where a function listens. ``topics`` are created besides those that the routes name. With a
    ``push_identity`` (an e-mail address) pushes carry an ID token whose audience is the function's URL.
    """
    publisher, subscriber = publisher_at(address), subscriber_at(address)
    try:
        for topic in sorted({DEAD_LETTERS, *topics, *(route.topic for route in routes.values())}):
            with contextlib.suppress(AlreadyExists):
                publisher.create_topic(name=f"projects/{project}/topics/{topic}")
        _keep_dead_letters(subscriber, project)
        for function, route in routes.items():
            _subscribe(subscriber, _push(project, function, route, url(function), push_identity))
        return {function: subscription_of(project, function) for function in routes}
    finally:
        publisher.transport.close()
        subscriber.transport.close()


def subscription_of(project: str, function: str) -> str:
    """The full name of a function's subscription; services and subscriptions have hyphens where Python has underscores."""
    return f"projects/{project}/subscriptions/{function.replace('_', '-')}"


def _push(project: str, function: str, route: Route, url: str, identity: str) -> dict[str, Any]:
    topic = f"projects/{project}/topics/{route.topic}"
    # The topic in the path is what the Functions Framework makes the CloudEvent's source of.
    push: dict[str, Any] = {"push_endpoint": f"{url.rstrip('/')}/{topic}"}
    if identity:
        push["oidc_token"] = {"service_account_email": identity, "audience": url}
    return {
        "name": subscription_of(project, function),
        "topic": topic,
        "filter": route.filter,
        "ack_deadline_seconds": ACK_DEADLINE,
        "push_config": push,
        "retry_policy": {
            "minimum_backoff": _duration(route.minimum_backoff),
            "maximum_backoff": _duration(route.maximum_backoff),
        },
        "dead_letter_policy": {
            "dead_letter_topic": f"projects/{project}/topics/{DEAD_LETTERS}",
            "max_delivery_attempts": route.attempts,
        },
    }


def _subscribe(subscriber: Any, wanted: dict[str, Any]) -> None:
    try:
        subscriber.create_subscription(wanted)
    except AlreadyExists:
        subscriber.update_subscription({"subscription": wanted, "update_mask": {"paths": list(_MUTABLE)}})


def _keep_dead_letters(subscriber: Any, project: str) -> None:
    """A message to a topic without a subscription is lost."""
    wanted = {
        "name": f"projects/{project}/subscriptions/{DEAD_LETTERS}",
        "topic": f"projects/{project}/topics/{DEAD_LETTERS}",
        "ack_deadline_seconds": 60,
    }
    with contextlib.suppress(AlreadyExists):
        try:
            subscriber.create_subscription({**wanted, "message_retention_duration": _duration(_RETENTION)})
        except InvalidArgument:  # Google's emulator knows the older limit, its default of seven days
            subscriber.create_subscription(wanted)


def _duration(span: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(span)
    return duration
