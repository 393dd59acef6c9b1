"""What a subscription's settings mean: defaults filled in, limits checked, durations as numbers.

Limits and defaults are those of the comments in pubsub.proto. Settings that this server would not honour are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from local.pubsub.errors import invalid, unimplemented

_NAME = re.compile(r"projects/[^/]+/(?P<kind>topics|subscriptions)/(?P<id>[A-Za-z][A-Za-z0-9._~+%-]{2,254})")

_DEFAULT_ACK_DEADLINE = 10
_DEFAULT_RETENTION = timedelta(days=7)
_EXPIRATION = timedelta(days=31)
_UNSUPPORTED = {
    "enable_message_ordering": "message ordering",
    "enable_exactly_once_delivery": "exactly-once delivery",
    "retain_acked_messages": "the retention of acknowledged messages",
}
_UNSUPPORTED_MESSAGES = {
    "bigquery_config": "delivery to BigQuery",
    "cloud_storage_config": "delivery to Cloud Storage",
    "bigtable_config": "delivery to Bigtable",
}


@dataclass(frozen=True)
class Backoff:
    """The wait between two deliveries of one message: ``minimum`` doubled with each attempt, up to ``maximum`` (seconds)."""

    minimum: float
    maximum: float

    def after(self, attempt: int) -> float:
        """Seconds to wait after the ``attempt``-th delivery failed; attempts count from one."""
        return float(min(self.maximum, self.minimum * 2 ** min(attempt - 1, 40)))


PUSH_BACKOFF = Backoff(0.1, 60.0)
"""Without a retry policy, push waits like this ("push backoff" in the documentation of push subscriptions)."""

NO_BACKOFF = Backoff(0.0, 0.0)
"""Without a retry policy, pull delivers again at once."""


@dataclass(frozen=True)
class Rules:
    """How the messages of one subscription are kept, retried and given up."""

    ack_deadline: float
    """Wall seconds: it bounds work, and work is not compressed."""

    backoff: Backoff
    """Seconds of our time (compressed where the clock is)."""

    retention: timedelta
    """Of our time."""

    dead_letter_topic: str | None
    max_attempts: int | None


def check_name(kind: str, name: str) -> None:
    """Refuse a name that the service refuses: shape, 3 to 255 characters, not beginning with "goog"."""
    match = _NAME.fullmatch(name)
    if match is None or match["kind"] != kind or match["id"].startswith("goog"):
        raise invalid(
            f"Invalid resource name {name!r}: expected projects/PROJECT/{kind}/ID, where ID has 3 to 255 letters, digits "
            'or -._~+%, begins with a letter and not with "goog".'
        )


def fill_defaults(config: Any) -> None:
    """Write into a subscription what the service answers for settings that were left out."""
    if not config.ack_deadline_seconds:
        config.ack_deadline_seconds = _DEFAULT_ACK_DEADLINE
    if not config.HasField("message_retention_duration"):
        config.message_retention_duration.FromTimedelta(_DEFAULT_RETENTION)
    if not config.HasField("expiration_policy"):
        config.expiration_policy.ttl.FromTimedelta(_EXPIRATION)
    if config.HasField("dead_letter_policy") and not config.dead_letter_policy.max_delivery_attempts:
        config.dead_letter_policy.max_delivery_attempts = 5
    if config.HasField("retry_policy"):
        policy = config.retry_policy
        if not policy.HasField("minimum_backoff"):
            policy.minimum_backoff.seconds = 10
        if not policy.HasField("maximum_backoff"):
            policy.maximum_backoff.seconds = 600
    config.state = 1  # ACTIVE


def rules_of(config: Any) -> Rules:
    """The rules of a subscription whose defaults are filled in; raises where the service, or this server, would refuse."""
    _refuse_unsupported(config)
    if not 10 <= config.ack_deadline_seconds <= 600:
        raise invalid(f"ack_deadline_seconds is {config.ack_deadline_seconds}; it must be between 10 and 600.")
    retention = _timedelta(config.message_retention_duration)
    if not timedelta(minutes=10) <= retention <= timedelta(days=31):
        raise invalid(f"message_retention_duration is {retention}; it must be between 10 minutes and 31 days.")
    endpoint = config.push_config.push_endpoint
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise invalid(f"push_endpoint {endpoint!r} is not a URL; it must begin with http:// or https://.")
    dead_letter_topic, max_attempts = _dead_letter(config)
    return Rules(
        ack_deadline=float(config.ack_deadline_seconds),
        backoff=_backoff(config),
        retention=retention,
        dead_letter_topic=dead_letter_topic,
        max_attempts=max_attempts,
    )


def _backoff(config: Any) -> Backoff:
    if not config.HasField("retry_policy"):
        return PUSH_BACKOFF if config.push_config.push_endpoint else NO_BACKOFF
    minimum = _timedelta(config.retry_policy.minimum_backoff).total_seconds()
    maximum = _timedelta(config.retry_policy.maximum_backoff).total_seconds()
    if not 0 <= minimum <= maximum <= 600:
        raise invalid(
            f"retry_policy from {minimum} s to {maximum} s: both must be within 0 and 600 s, the minimum first."
        )
    return Backoff(minimum, maximum)


def _dead_letter(config: Any) -> tuple[str | None, int | None]:
    if not config.HasField("dead_letter_policy"):
        return None, None
    attempts = config.dead_letter_policy.max_delivery_attempts
    if not 5 <= attempts <= 100:
        raise invalid(f"max_delivery_attempts is {attempts}; it must be between 5 and 100.")
    check_name("topics", config.dead_letter_policy.dead_letter_topic)
    return config.dead_letter_policy.dead_letter_topic, attempts


def _refuse_unsupported(config: Any) -> None:
    for name, feature in _UNSUPPORTED.items():
        if getattr(config, name):
            raise unimplemented(f"{feature} ({name})")
    for name, feature in _UNSUPPORTED_MESSAGES.items():
        if config.HasField(name):
            raise unimplemented(f"{feature} ({name})")
    if config.message_transforms:
        raise unimplemented("message transforms")
    if config.push_config.HasField("no_wrapper"):
        raise unimplemented("unwrapped push (no_wrapper)")


def _timedelta(duration: Any) -> timedelta:
    return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1000)
