"""Topics and subscriptions by name: created, looked up, changed, deleted."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from local.pubsub.backlog import Backlog
from local.pubsub.errors import already_exists, invalid, not_found
from local.pubsub.faults import Faults
from local.pubsub.filter import FilterError, Predicate, compile_filter
from local.pubsub.message import Message
from local.pubsub.rules import Rules, check_name, fill_defaults, rules_of

DELETED_TOPIC = "_deleted-topic_"
"""What a subscription names once its topic is gone (pubsub.proto, Subscription.topic)."""


@dataclass
class Topic:
    """A name to publish under."""

    config: Any
    published: int = 0


@dataclass
class Subscription:
    """A subscriber's view of a topic."""

    config: Any
    rules: Rules
    matches: Predicate
    max_in_flight: int
    backlog: Backlog = field(default_factory=Backlog)
    faults: Faults = field(default_factory=Faults)
    acks_to_drop: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(0))

    @property
    def name(self) -> str:
        """Full resource name."""
        return str(self.config.name)

    @property
    def is_push(self) -> bool:
        """Whether messages are posted to an endpoint; pulled otherwise."""
        return bool(self.config.push_config.push_endpoint)

    def enqueue(self, message: Message) -> None:
        """Take a message in if the filter wants it, with the faults that are switched on."""
        counts = self.backlog.counts
        if not self.matches(message.attributes):
            counts.filtered += 1
            return
        counts.published += 1
        for _ in range(2 if self.faults.duplicate else 1):
            hold = self.faults.delay_seconds + self.random.uniform(0, self.faults.reorder_within_seconds)
            self.backlog.add(message, time.monotonic() + hold)


class Registry:
    """All topics and subscriptions of one server; settings go in and come out as copies."""

    def __init__(self, max_in_flight: int) -> None:
        self.changed = threading.Condition(threading.RLock())
        """Its lock guards everything here; notified whenever something new may be due."""
        self._max_in_flight = max_in_flight
        self._topics: dict[str, Topic] = {}
        self._subscriptions: dict[str, Subscription] = {}

    # Topics

    def add_topic(self, config: Any) -> Any:
        """Create a topic."""
        with self.changed:
            check_name("topics", config.name)
            if config.name in self._topics:
                raise already_exists("topic", config.name)
            self._topics[config.name] = Topic(_copy(config))
            return _copy(config)

    def topic(self, name: str) -> Any:
        """The settings of a topic."""
        with self.changed:
            return _copy(self._topic(name).config)

    def topics(self, project: str) -> list[Any]:
        """The topics of a project (``projects/ID``), by name."""
        with self.changed:
            return [_copy(self._topics[name].config) for name in sorted(self._topics) if _within(name, project)]

    def remove_topic(self, name: str) -> None:
        """Delete a topic; its subscriptions stay, with what they have not delivered."""
        with self.changed:
            self._topic(name)
            del self._topics[name]
            for subscription in self._subscriptions.values():
                if subscription.config.topic == name:
                    subscription.config.topic = DELETED_TOPIC

    # Subscriptions

    def add_subscription(self, config: Any) -> Any:
        """Create a subscription; it receives what is published from now on."""
        with self.changed:
            check_name("subscriptions", config.name)
            if config.name in self._subscriptions:
                raise already_exists("subscription", config.name)
            self._topic(config.topic)
            config = _copy(config)
            rules = self._checked(config)
            try:
                matches = compile_filter(config.filter)
            except FilterError as error:
                raise invalid(f"{config.name}: {error}") from error
            self._subscriptions[config.name] = Subscription(config, rules, matches, self._max_in_flight)
            self.changed.notify_all()
            return _copy(config)

    def subscription(self, name: str) -> Any:
        """The settings of a subscription."""
        with self.changed:
            return _copy(self._subscription(name).config)

    def subscriptions(self, project: str) -> list[Any]:
        """The subscriptions of a project (``projects/ID``), by name."""
        with self.changed:
            names = sorted(name for name in self._subscriptions if _within(name, project))
            return [_copy(self._subscriptions[name].config) for name in names]

    def replace_subscription(self, config: Any) -> Any:
        """Change a subscription's settings; messages that wait keep their place."""
        with self.changed:
            subscription = self._subscription(config.name)
            config = _copy(config)
            subscription.rules = self._checked(config)
            subscription.config = config
            self.changed.notify_all()
            return _copy(config)

    def remove_subscription(self, name: str) -> None:
        """Delete a subscription and what it has not delivered."""
        with self.changed:
            self._subscription(name)
            del self._subscriptions[name]
            self.changed.notify_all()

    # Within the lock

    def _topic(self, name: str) -> Topic:
        if name not in self._topics:
            raise not_found("topic", name)
        return self._topics[name]

    def _subscription(self, name: str) -> Subscription:
        if name not in self._subscriptions:
            raise not_found("subscription", name)
        return self._subscriptions[name]

    def _checked(self, config: Any) -> Rules:
        fill_defaults(config)
        rules = rules_of(config)
        if rules.dead_letter_topic is not None:
            self._topic(rules.dead_letter_topic)
        return rules


def _within(name: str, project: str) -> bool:
    return name.startswith(project.rstrip("/") + "/")


def _copy(config: Any) -> Any:
    """Callers get copies: a message that lives here must not change under the lock's feet."""
    copy = type(config)()
    copy.CopyFrom(config)
    return copy
