"""Posts messages to the endpoints of push subscriptions and reads the answer as acknowledgement.

One thread looks for what is due (what was just published, its publisher's thread hands out), workers post over connections that are kept
alive; each is started when it is first needed, up to a fixed number. They are daemons: a handler that never answers may hold its own request
up to the ack deadline, but not the end of the process.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import urllib3

from local.pubsub.backlog import Lease
from local.pubsub.errors import StatusError
from local.pubsub.message import push_body
from local.pubsub.registry import Subscription
from local.pubsub.state import Broker

Mint = Callable[[str, str], str]
"""(e-mail of a service account, audience) -> ID token."""

_ACKNOWLEDGED = frozenset({102, 200, 201, 202, 204})
"""The answers that production takes for an acknowledgement (documentation of push subscriptions)."""

_CONNECT_SECONDS = 5.0
_STOP_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


class _Way(NamedTuple):
    """How an address is posted to."""

    pool: urllib3.HTTPConnectionPool
    path: str


class PushDispatcher:
    """Delivers for all push subscriptions of a broker."""

    def __init__(self, broker: Broker, *, workers: int, mint: Mint | None) -> None:
        self._broker = broker
        self._mint = mint
        self._due: queue.SimpleQueue[tuple[Subscription, Lease] | None] = queue.SimpleQueue()
        self._stopping = False
        self._most = workers
        self._ways: dict[str, _Way] = {}
        """By push address; a manager of pools would look for the pool and take the address apart at each post."""
        self._looking = threading.Thread(target=self._look, name="pubsub-push", daemon=True)
        self._workers: list[threading.Thread] = []
        self._counting = threading.Lock()
        self._handed_out = 0
        """Deliveries that no worker has finished: as many workers there are, or the most, so none waits for another's."""

    def start(self) -> None:
        """Begin to deliver."""
        self._broker.on_published = self._hand_out
        self._looking.start()

    def stop(self) -> None:
        """Let posts under way end, within a few seconds, and start no others."""
        with self._broker.changed:
            self._stopping = True
            self._broker.changed.notify_all()
        for _ in self._workers:
            self._due.put(None)
        until = time.monotonic() + _STOP_SECONDS
        for thread in (self._looking, *self._workers):
            thread.join(max(0.0, until - time.monotonic()))
        for way in self._ways.values():
            way.pool.close()

    def _look(self) -> None:
        while True:
            with self._broker.changed:
                if self._stopping:
                    return
                if not self._hand_out():
                    self._broker.changed.wait(self._broker.seconds_to_next_push())

    def _hand_out(self) -> bool:
        """Give what is due to the workers; whether there was anything. Whoever publishes does it too, and saves waking a thread."""
        due = self._broker.take_pushes()
        for delivery in due:
            self._due.put(delivery)
            self._see_to_a_worker()
        return bool(due)

    def _see_to_a_worker(self) -> None:
        """Called with the broker's lock held."""
        with self._counting:
            self._handed_out += 1
            if self._stopping or len(self._workers) >= min(self._handed_out, self._most):
                return
        name = f"pubsub-push-{len(self._workers)}"
        self._workers.append(threading.Thread(target=self._work, name=name, daemon=True))
        self._workers[-1].start()

    def _work(self) -> None:
        while (delivery := self._due.get()) is not None:
            try:
                if not self._stopping:
                    self._deliver(*delivery)
            finally:
                with self._counting:
                    self._handed_out -= 1

    def _deliver(self, subscription: Subscription, lease: Lease) -> None:
        acknowledged = self._post(subscription, lease)
        settle = self._broker.acknowledge if acknowledged else self._broker.refuse
        try:
            settle(subscription.name, [lease.ack_id])
        except StatusError:
            _LOG.debug("%s was deleted while a message was posted", subscription.name)

    def _post(self, subscription: Subscription, lease: Lease) -> bool:
        """Whether the endpoint took the message."""
        config, rules = subscription.config, subscription.rules
        endpoint = config.push_config.push_endpoint
        attempt = lease.pending.attempts if rules.max_attempts is not None else None
        headers = {"Content-Type": "application/json", "User-Agent": "CloudPubSub-Google"}
        oidc = config.push_config.oidc_token
        if oidc.service_account_email and self._mint is not None:
            token = self._mint(oidc.service_account_email, oidc.audience or endpoint)
            headers["Authorization"] = f"Bearer {token}"
        try:
            way = self._way(endpoint)
            response = way.pool.urlopen(
                "POST",
                way.path,
                body=push_body(lease.pending.message, config.name, attempt),
                headers=headers,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=rules.ack_deadline),
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            _LOG.info("%s: %s did not answer: %s", config.name, endpoint, error)
            return False
        return response.status in _ACKNOWLEDGED

    def _way(self, endpoint: str) -> _Way:
        way = self._ways.get(endpoint)
        if way is None:
            pool = urllib3.connection_from_url(endpoint, maxsize=self._most, retries=False)
            # Two threads may both make one; the pool that is not kept closes with its connection.
            way = self._ways.setdefault(endpoint, _Way(pool, urllib3.util.parse_url(endpoint).request_uri))
        return way
