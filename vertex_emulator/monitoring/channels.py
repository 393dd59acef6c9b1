"""Delivery of notifications: to Pub/Sub topics through a callback, to webhooks over HTTP.

In normal life a message is delivered once. A webhook that fails or answers 5xx is tried again a few times; an answer of 4xx is final.
"""

from __future__ import annotations

import base64
import http.client
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from vertex_emulator.clock import wall_seconds
from vertex_emulator.monitoring.protos import Message

logger = logging.getLogger(__name__)

Publish = Callable[[str, bytes], None]
"""Publishes data to a topic, named ``projects/P/topics/T``."""

ATTEMPTS = 4
TIMEOUT = 10.0
"""Seconds of wall time that a webhook has to answer."""


class DeliveryError(Exception):
    """A channel could not be reached or refused the message."""

    def __init__(self, reason: str, *, retry: bool) -> None:
        super().__init__(reason)
        self.retry = retry


@dataclass(frozen=True)
class Undelivered:
    """A notification that was given up."""

    channel: str
    reason: str
    data: bytes


@dataclass(frozen=True)
class _Answer:
    status: int
    challenge: str


class Delivery:
    """Delivers notifications in order: in the caller's thread, or after ``start`` in one of its own."""

    def __init__(self, publish: Publish | None, backoff: float) -> None:
        self._publish = publish
        self._backoff = backoff
        self._queue: queue.SimpleQueue[tuple[Message, bytes] | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.undelivered: list[Undelivered] = []

    def start(self) -> None:
        """Deliver in a thread, so that a slow webhook does not hold up the evaluation."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._work, name="monitoring-delivery", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Deliver what is queued, each once more at most, and end the thread."""
        if self._thread is not None:
            self._stopping.set()
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def send(self, channel: Message, data: bytes) -> None:
        """Deliver one notification to one channel."""
        if self._thread is None:
            self._deliver(channel, data)
        else:
            self._queue.put((channel, data))

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            self._deliver(*item)

    def _deliver(self, channel: Message, data: bytes) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._once(channel, data)
                return
            except DeliveryError as error:
                reason, retry = str(error), error.retry
            except Exception as error:
                logger.exception("publishing for %s failed", channel.name)
                reason, retry = f"{type(error).__name__}: {error}", True
            if not retry or attempt == ATTEMPTS or self._stopping.is_set():
                logger.warning("notification for %s given up: %s", channel.name, reason)
                self.undelivered.append(Undelivered(channel.name, reason, data))
                return
            self._stopping.wait(wall_seconds(self._backoff * 2 ** (attempt - 1)))

    def _once(self, channel: Message, data: bytes) -> None:
        if channel.type_ == "pubsub":
            if self._publish is None:
                raise DeliveryError("no publisher: give Monitoring a publish callback", retry=False)
            self._publish(channel.labels["topic"], data)
        elif channel.type_ == "webhook_tokenauth":
            _expect_success(_post(channel.labels["url"], data))
        elif channel.type_ == "webhook_basicauth":
            _post_challenged(channel, data)
        else:
            logger.info("notification for %s: channels of type %s go nowhere here", channel.name, channel.type_)


def _post_challenged(channel: Message, data: bytes) -> None:
    """Credentials are sent only to a server that asks for them: 401 with ``WWW-Authenticate`` first, as in the service."""
    answer = _post(channel.labels["url"], data)
    if answer.status == 401:
        if not answer.challenge.lower().startswith("basic"):
            raise DeliveryError(
                "answered 401 without WWW-Authenticate: Basic, so no credentials were sent", retry=False
            )
        pair = f"{channel.labels['username']}:{channel.labels.get('password', '')}"
        answer = _post(channel.labels["url"], data, "Basic " + base64.b64encode(pair.encode()).decode())
    _expect_success(answer)


def _expect_success(answer: _Answer) -> None:
    if not 200 <= answer.status < 300:
        raise DeliveryError(f"answered {answer.status}", retry=answer.status >= 500)


def _post(url: str, data: bytes, authorization: str = "") -> _Answer:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
    headers = {"Content-Type": "application/json", "User-Agent": "Google-Alerts"}
    if authorization:
        headers["Authorization"] = authorization
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, body=data, headers=headers)
        response = connection.getresponse()
        response.read()
        return _Answer(response.status, response.getheader("WWW-Authenticate") or "")
    except (OSError, http.client.HTTPException) as error:
        raise DeliveryError(f"{type(error).__name__}: {error}", retry=True) from error
    finally:
        connection.close()
