"""What happens to a message between a topic and its subscribers.

One lock guards everything: at the rate of a delivery system's events (a few per second; some thousands in a benchmark) a
finer one would buy nothing. Kept in memory only, so a restart of the server begins empty.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict

from local.pubsub.backlog import Lease, Pending
from local.pubsub.errors import invalid
from local.pubsub.faults import Faults
from local.pubsub.message import Message, timestamp
from local.pubsub.registry import Registry, Subscription
from shared.clock import now as clock_now

_SOURCE = "CloudPubSubDeadLetterSource"
_NEVER = float("inf")


class Broker(Registry):
    """Publishes, hands out, takes back, gives up."""

    def __init__(self, max_in_flight: int) -> None:
        super().__init__(max_in_flight)
        # Ids are unique across restarts, as handlers keep them to recognise a message that comes twice.
        self._ids = itertools.count(time.time_ns() // 1000)
        self.on_published: Callable[[], object] = _nobody
        """Called with the lock held, once something was published: who pushes need not be woken first."""

    def publish(self, topic: str, messages: Sequence[tuple[bytes, Mapping[str, str], str]]) -> list[str]:
        """Put messages (data, attributes, ordering key) into every subscription of the topic; their ids."""
        with self.changed:
            found = self._topic(topic)
            ids: list[str] = []
            for data, attributes, ordering_key in messages:
                message = Message(str(next(self._ids)), clock_now(), data, dict(attributes), ordering_key)
                ids.append(message.message_id)
                for subscription in self._subscriptions.values():
                    if subscription.config.topic == topic:
                        subscription.enqueue(message)
            found.published += len(ids)
            self.on_published()
            self.changed.notify_all()
            return ids

    # Deliveries

    def take(self, name: str, limit: int, deadline_seconds: float | None = None) -> list[Lease]:
        """Hand out messages to a puller, each until the ack deadline."""
        with self.changed:
            subscription = self._subscription(name)
            if subscription.is_push:
                raise invalid(f"{name} is a push subscription; remove its push_config to pull from it.")
            return self._take(subscription, limit, deadline_seconds or subscription.rules.ack_deadline)

    def take_pushes(self) -> list[tuple[Subscription, Lease]]:
        """Everything that may be posted now, within each subscription's limit of posts in flight.

        A pushed lease has no deadline of its own: the post's time-out is the ack deadline.
        """
        with self.changed:
            return [
                (subscription, lease)
                for subscription in self._subscriptions.values()
                if subscription.is_push
                for lease in self._take(
                    subscription, subscription.max_in_flight - subscription.backlog.outstanding, _NEVER
                )
            ]

    def seconds_to_next_push(self) -> float | None:
        """How long nothing is due for push; none when nothing waits at all."""
        with self.changed:
            moments = [
                moment
                for subscription in self._subscriptions.values()
                if subscription.is_push
                and (moment := subscription.backlog.next_at(room=_has_room(subscription))) is not None
            ]
            return _until(min(moments, default=_NEVER))

    def seconds_to_next(self, name: str) -> float | None:
        """How long nothing is due for this subscription; none when nothing waits at all."""
        with self.changed:
            moment = self._subscription(name).backlog.next_at()
            return None if moment is None else _until(moment)

    def acknowledge(self, name: str, ack_ids: Iterable[str]) -> None:
        """The work is done: the messages do not come again, unless a fault loses the acknowledgement."""
        with self.changed:
            subscription = self._subscription(name)
            for ack_id in ack_ids:
                if subscription.acks_to_drop > 0:
                    subscription.acks_to_drop -= 1
                    subscription.backlog.counts.acks_dropped += 1
                    if subscription.is_push:  # an answer that is lost is a post that failed
                        self._refuse(subscription, ack_id)
                else:
                    subscription.backlog.acknowledge(ack_id)
            self.changed.notify_all()

    def refuse(self, name: str, ack_ids: Iterable[str]) -> None:
        """The work failed: the messages come again after their back-off, or go to the dead letters."""
        with self.changed:
            subscription = self._subscription(name)
            for ack_id in ack_ids:
                self._refuse(subscription, ack_id)
            self.changed.notify_all()

    def extend(self, name: str, ack_ids: Iterable[str], seconds: float) -> None:
        """The work needs longer."""
        with self.changed:
            subscription = self._subscription(name)
            for ack_id in ack_ids:
                subscription.backlog.extend(ack_id, time.monotonic() + seconds)

    def holds(self, name: str, ack_id: str) -> bool:
        """Whether a lease still stands."""
        with self.changed:
            return self._subscription(name).backlog.holds(ack_id)

    # Inspection

    def set_faults(self, name: str, faults: Faults) -> None:
        """Switch faults on or off for the messages published from now on."""
        with self.changed:
            subscription = self._subscription(name)
            subscription.faults = faults
            subscription.acks_to_drop = faults.drop_acks
            subscription.random = random.Random(faults.seed)

    def set_max_in_flight(self, name: str, limit: int) -> None:
        """How many posts of a subscription may be under way at once: the instances times their concurrency."""
        with self.changed:
            self._subscription(name).max_in_flight = limit
            self.changed.notify_all()

    def published(self) -> dict[str, int]:
        """How many messages every topic has got, by full name."""
        with self.changed:
            return {name: topic.published for name, topic in self._topics.items()}

    def counts(self) -> dict[str, dict[str, int]]:
        """The counts of every subscription by full name, and ``published`` of every topic."""
        with self.changed:
            answer = {name: {"published": topic.published} for name, topic in self._topics.items()}
            for name, subscription in self._subscriptions.items():
                backlog = subscription.backlog
                answer[name] = asdict(backlog.counts) | {"waiting": backlog.waiting, "outstanding": backlog.outstanding}
            return answer

    def _take(self, subscription: Subscription, limit: int, deadline_seconds: float) -> list[Lease]:
        now = time.monotonic()
        for pending in subscription.backlog.overdue(now):
            self._retry_or_bury(subscription, pending)
        forget_before = clock_now() - subscription.rules.retention
        return subscription.backlog.take(limit, now, now + deadline_seconds, forget_before)

    def _refuse(self, subscription: Subscription, ack_id: str) -> None:
        pending = subscription.backlog.refuse(ack_id)
        if pending is not None:
            self._retry_or_bury(subscription, pending)

    def _retry_or_bury(self, subscription: Subscription, pending: Pending) -> None:
        rules = subscription.rules
        exhausted = rules.max_attempts is not None and pending.attempts >= rules.max_attempts
        # With its dead-letter topic gone a message is delivered further, as in the service, rather than lost.
        if not exhausted or rules.dead_letter_topic not in self._topics:
            subscription.backlog.retry(pending, rules, time.monotonic())
            return
        subscription.backlog.counts.dead_lettered += 1
        message = pending.message
        _, project, _, short_name = subscription.name.split("/")
        attributes = dict(message.attributes) | {
            f"{_SOURCE}DeliveryCount": str(pending.attempts),
            f"{_SOURCE}Subscription": short_name,
            f"{_SOURCE}SubscriptionProject": project,
            f"{_SOURCE}TopicPublishTime": timestamp(message.publish_time),
        }
        self.publish(str(rules.dead_letter_topic), [(message.data, attributes, message.ordering_key)])


def _nobody() -> None:
    """Nobody pushes."""


def _has_room(subscription: Subscription) -> bool:
    return subscription.backlog.outstanding < subscription.max_in_flight


def _until(moment: float) -> float | None:
    return None if moment == _NEVER else max(0.0, moment - time.monotonic())
