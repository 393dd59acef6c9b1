"""Publishing what happens next: one message, one call, finished when it returns.

The GAPIC publisher, not the batching client: that one sends from a background thread, and a function's instance may be frozen the
moment its answer is out. Every message has data, since the Functions Framework refuses a push without.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from shared.errors import PermanentError, RolloutsError, TransientError
from shared.gapic import patience
from shared.gapic.errors import translated
from shared.gapic.lean import PUBSUB, import_leanly

import_leanly(PUBSUB)


class Publisher:
    """Topics of one project."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._client: Any = None
        self._lock = threading.Lock()

    def publish(self, topic: str, data: bytes, /, **attributes: str) -> None:
        """One message; TransientError when Pub/Sub does not take it.

        A topic that is missing or may not be written to is mended by a person, and what was to be said is still to be said then. Only
        a message that breaks Pub/Sub's own rules (INVALID_ARGUMENT) is a PermanentError.
        """
        self.publish_all(topic, [data], **attributes)

    def publish_all(self, topic: str, messages: Sequence[bytes], /, **attributes: str) -> None:
        """Several messages with the same attributes, a thousand to a call (the limit of one publish request)."""
        for start in range(0, len(messages), 1000):
            self._publish(topic, messages[start : start + 1000], attributes)

    def _publish(self, topic: str, messages: Sequence[bytes], attributes: dict[str, str]) -> None:
        from google.api_core.exceptions import InvalidArgument
        from google.pubsub_v1.types.pubsub import PubsubMessage

        batch = [PubsubMessage(data=data, attributes={k: v for k, v in attributes.items() if v}) for data in messages]
        name = f"projects/{self._project}/topics/{topic}"
        try:
            with translated(f"publishing to {topic}"):
                self._publisher().publish(topic=name, messages=batch, **patience.publication())
        except RolloutsError as exc:
            if isinstance(exc.__cause__, InvalidArgument):
                raise PermanentError(str(exc)) from exc
            raise TransientError(str(exc)) from exc

    def _publisher(self) -> Any:
        with self._lock:
            if self._client is None:
                from google.pubsub_v1.services.publisher.client import PublisherClient
                from google.pubsub_v1.services.publisher.transports.grpc import PublisherGrpcTransport

                self._client = PublisherClient(transport=PublisherGrpcTransport)
            return self._client
