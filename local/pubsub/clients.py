"""Google's own clients, pointed at an address; for the administration of topics and for publishing without batches.

Handlers use the same libraries through ``PUBSUB_EMULATOR_HOST``. An explicit address lets one process speak with several
servers, and works against Google's emulator as well.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports.grpc import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber import SubscriberClient
from google.pubsub_v1.services.subscriber.transports.grpc import SubscriberGrpcTransport


def publisher_at(address: str) -> Any:
    """A publisher client for ``host:port``; close it by ``client.transport.close()`` or as a context manager."""
    return PublisherClient(transport=PublisherGrpcTransport(channel=grpc.insecure_channel(address)))


def subscriber_at(address: str) -> Any:
    """A subscriber client for ``host:port``."""
    return SubscriberClient(transport=SubscriberGrpcTransport(channel=grpc.insecure_channel(address)))
