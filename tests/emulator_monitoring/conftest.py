"""A Monitoring of its own for each test, on a clock that the test moves by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.cloud.monitoring_v3 import AlertPolicyServiceClient, MetricServiceClient, NotificationChannelServiceClient
from google.cloud.monitoring_v3.services.alert_policy_service.transports import AlertPolicyServiceGrpcTransport
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport
from google.cloud.monitoring_v3.services.notification_channel_service.transports import (
    NotificationChannelServiceGrpcTransport,
)

from vertex_emulator.metrics import Resource
from vertex_emulator.monitoring.server import Monitoring

ENDPOINT = Resource(
    "aiplatform.googleapis.com/Endpoint",
    {"resource_container": "123456789012", "location": "us-central1", "endpoint_id": "4001"},
)
ONLINE = "aiplatform.googleapis.com/prediction/online/"
PROJECT = "projects/local-project"


@dataclass
class HandClock:
    """A clock that stands still until it is moved."""

    present: datetime = field(default_factory=lambda: datetime(2026, 11, 23, 10, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.present

    def forward(self, seconds: float) -> None:
        self.present += timedelta(seconds=seconds)


@dataclass
class Local:
    """A running Monitoring and the real clients that talk to it."""

    monitoring: Monitoring
    clock: HandClock
    published: list[tuple[str, bytes]]
    metrics: MetricServiceClient
    policies: AlertPolicyServiceClient
    channels: NotificationChannelServiceClient

    def minutes(self, count: int = 1) -> None:
        """Let ``count`` minutes pass, evaluating twice in each as the service does."""
        for _ in range(count * 2):
            self.clock.forward(30)
            self.monitoring.evaluate()

    def interval(self, seconds: float) -> dict[str, datetime]:
        """The last ``seconds`` up to the present, as a request's interval."""
        return {"start_time": self.clock() - timedelta(seconds=seconds), "end_time": self.clock()}


@pytest.fixture
def local() -> Iterator[Local]:
    """A Monitoring with a server of its own; nothing evaluates unless the test does."""
    clock, published = HandClock(), list[tuple[str, bytes]]()
    monitoring = Monitoring(publish=lambda topic, data: published.append((topic, data)), clock=clock)
    address = monitoring.serve()
    with grpc.insecure_channel(address) as channel:
        yield Local(
            monitoring,
            clock,
            published,
            MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel)),
            AlertPolicyServiceClient(transport=AlertPolicyServiceGrpcTransport(channel=channel)),
            NotificationChannelServiceClient(transport=NotificationChannelServiceGrpcTransport(channel=channel)),
        )
    monitoring.stop()
