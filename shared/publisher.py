"""Publishing what happens next: one message, one call, finished when it returns.

The GAPIC publisher, not the batching client: that one sends from a background thread, and a function's instance may be frozen the
moment its answer is out. Every message has data, since the Functions Framework refuses a push without.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from shared.errors import PermanentError, TransientError
from shared.gapic import patience


class Publisher:
    """Topics of one project."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._client: Any = None
        self._lock = threading.Lock()

    def publish(self, topic: str, data: bytes, /, **attributes: str) -> None:
        """One message; TransientError when Pub/Sub does not take it."""
        self.publish_all(topic, [data], **attributes)

    def publish_all(self, topic: str, messages: Sequence[bytes], /, **attributes: str) -> None:
        """Several messages with the same attributes, a thousand to a call (the limit of one publish request)."""
        for start in range(0, len(messages), 1000):
            self._publish(topic, messages[start : start + 1000], attributes)

    def _publish(self, topic: str, messages: Sequence[bytes], attributes: dict[str, str]) -> None:
        from google.api_core import exceptions
        from google.pubsub_v1.types import PubsubMessage

        if not messages:
            return
        batch = [PubsubMessage(data=data, attributes={k: v for k, v in attributes.items() if v}) for data in messages]
        name = f"projects/{self._project}/topics/{topic}"
        try:
            self._publisher().publish(topic=name, messages=batch, **patience.publication())
        except (exceptions.ServerError, exceptions.TooManyRequests, exceptions.RetryError, exceptions.Aborted) as exc:
            raise TransientError(f"publishing to {topic} failed: {exc}") from exc
        except exceptions.GoogleAPICallError as exc:
            raise PermanentError(f"Pub/Sub refused a message for {topic}: {exc}") from exc

    def _publisher(self) -> Any:
        with self._lock:
            if self._client is None:
                from google.pubsub_v1.services.publisher.client import PublisherClient
                from google.pubsub_v1.services.publisher.transports.grpc import PublisherGrpcTransport

                self._client = PublisherClient(transport=PublisherGrpcTransport)
            return self._client
