"""A cloud whose clock is moved by hand: local servers, and the functions in the real Functions Framework in front of them.

Nothing happens between two movements of the clock, so a rollout of hours lasts as long as its computation. The functional tests and the soak
use it; ``cloud`` is the other form, with processes of their own and compressed time.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc
from google.cloud.aiplatform_v1.services.endpoint_service.client import EndpointServiceClient
from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import EndpointServiceGrpcTransport
from google.cloud.aiplatform_v1.services.model_service.client import ModelServiceClient
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import ModelServiceGrpcTransport
from google.cloud.aiplatform_v1.services.prediction_service.client import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import PredictionServiceGrpcTransport
from google.pubsub_v1 import types

from local.cloud import LIVE_BUCKET, ROUTES
from local.function_loader import FunctionLoader
from local.host import discover
from local.pubsub import PubsubServer
from local.pubsub.message import Message, push_body
from local.sinks import LogSinks
from local.storage import Storage
from shared import topics
from shared.permissions import PUBLISH
from shared.wiring import World, world
from vertex_emulator.config import Config
from vertex_emulator.monitoring.distribution import Buckets
from vertex_emulator.monitoring.server import Monitoring
from vertex_emulator.server import Emulator

PROJECT, NUMBER, REGION = "local-project", "123456789012", "us-central1"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
FUNCTIONS = Path(__file__).parents[1] / "functions"
BEGIN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Apps:
    """Every function's application, loaded once."""

    def __init__(self) -> None:
        self._loader = FunctionLoader()
        self._apps: dict[str, Any] = {
            name: self._loader.app(name, folder) for name, folder in discover(FUNCTIONS).items()
        }

    def client(self, function: str) -> Any:
        """A test client, which speaks to the application as a web server does."""
        return self._apps[function].test_client()

    def forget(self) -> None:
        self._loader.forget()


_KEPT = timedelta(days=42)
"""As Cloud Monitoring keeps what Vertex AI measures."""


class Servers:
    """Vertex AI, Monitoring, Pub/Sub and a store; the functions find them by their environment."""

    def __init__(
        self,
        apps: Apps,
        folder: Path,
        delay: float = 60.0,
        buckets: Mapping[str, Buckets] | None = None,
        config: Config | None = None,
    ) -> None:
        """``delay`` is how many seconds after its minute a measurement can be seen; ``buckets`` are by metric; ``config`` is Vertex AI's."""
        self.apps = apps
        self.store = folder / "store"
        self.store.mkdir()
        self.now = BEGIN
        self.pubsub = PubsubServer().start()
        self.storage = Storage(folder / "buckets").start()
        self._wire()
        self.monitoring = Monitoring(
            delay=delay,
            clock=self.clock,
            buckets=buckets,
            retention=_KEPT.total_seconds(),
            project_id=PROJECT,
            project_number=int(NUMBER),
        )
        self._sinks = LogSinks(self.pubsub.address, PROJECT)
        self.emulator = Emulator(
            config or Config(buckets=folder / "buckets"),
            clock=self.clock,
            sink=self.monitoring.sink,
            log_sink=self._sinks.export,
            extra_handlers=self.monitoring.handlers(),
        )
        # Monitoring is served at the emulator's address, and its calls count there too.
        self.monitoring.calls.permissions = self.emulator.permissions
        self.address = self.emulator.start(tick=False)
        self._channel = grpc.insecure_channel(self.address)
        self._ids = iter(range(1, 1_000_000))
        self.permissions: dict[str, set[str]] = defaultdict(set)
        """What each function that was woken needed of Vertex AI and Monitoring."""
        self.publications: dict[str, set[str]] = defaultdict(set)
        """The topics that each has published to."""

    @cached_property
    def endpoints(self) -> EndpointServiceClient:
        """What somebody else asks Vertex AI with; like the next two built when it is asked for, as each takes milliseconds."""
        return EndpointServiceClient(transport=EndpointServiceGrpcTransport(channel=self._channel))

    @cached_property
    def models(self) -> ModelServiceClient:
        return ModelServiceClient(transport=ModelServiceGrpcTransport(channel=self._channel))

    @cached_property
    def predictions(self) -> PredictionServiceClient:
        return PredictionServiceClient(transport=PredictionServiceGrpcTransport(channel=self._channel))

    def clock(self) -> datetime:
        return self.now

    def environment(self) -> dict[str, str]:
        """What points the functions at the servers."""
        return {
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "PUBSUB_EMULATOR_HOST": self.pubsub.address,
            "VERTEX_EMULATOR_HOST": self.address,
            "MONITORING_EMULATOR_HOST": self.address,
            "STORAGE_EMULATOR_HOST": self.storage.url,
            "LIVE_BUCKET": LIVE_BUCKET,
            "STORE": "sqlite",
            "STORE_PATH": str(self.store / "rollouts.db"),
            # Back-off between repeated calls lasts milliseconds; the functions' present is set by hand.
            "CLOCK_RATE": "200",
            "CLOCK_ORIGIN": f"{BEGIN.timestamp()}",
        }

    def open(self) -> None:
        """Give the functions adapters of their own, and our clock; after the environment is set."""
        world.cache_clear()
        world().now = self.clock

    def close(self) -> None:
        if "store" in vars(world()):
            world().store.close()
        world.cache_clear()
        self._channel.close()
        self.storage.stop()
        self.emulator.stop()
        self.monitoring.stop()
        self.pubsub.stop()

    @property
    def world(self) -> World:
        """The adapters that the functions use."""
        return world()

    def wake(
        self, function: str, data: bytes | Mapping[str, Any], *, age: timedelta = timedelta(0), **attributes: str
    ) -> int:
        """Post a push with this message; the status that Pub/Sub would see."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        topic = f"projects/{PROJECT}/topics/{ROUTES[function].topic}"
        message = Message(f"m{next(self._ids)}", self.now - age, body, attributes)
        return self.post(function, push_body(message, f"projects/{PROJECT}/subscriptions/x", None), topic)

    def post(self, function: str, body: bytes, path: str = "") -> int:
        """Post any body to a function."""
        with self.recorded(function):
            answer = self.apps.client(function).post(f"/{path}", data=body, content_type="application/json")
        return int(answer.status_code)

    @contextmanager
    def recorded(self, function: str) -> Iterator[None]:
        """Add what the calls inside need to what a function needs."""
        used = self.emulator.permissions.calls
        permissions, topics_before = used(), self._publications()
        yield
        published = set(self._publications() - topics_before)
        self.publications[function] |= published
        self.permissions[function] |= set(used() - permissions) | ({PUBLISH} if published else set())

    def _publications(self) -> Counter[str]:
        self.emulator.logs.drain()  # what a log sink publishes is nobody's
        return self._published_to() - self._sinks.exported

    def _published_to(self) -> Counter[str]:
        prefix = f"projects/{PROJECT}/topics/"
        found = self.pubsub.broker.published().items()
        return Counter({name.removeprefix(prefix): number for name, number in found if name.startswith(prefix)})

    def published(self, topic: str) -> list[Message]:
        """Take everything that waits in a topic."""
        self.emulator.logs.drain()
        name = f"projects/{PROJECT}/subscriptions/{topic}"
        leases = self.pubsub.broker.take(name, 1000)
        self.pubsub.broker.acknowledge(name, [lease.ack_id for lease in leases])
        return [lease.pending.message for lease in leases]

    def advance(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)
        self.emulator.tick()

    def counted(self) -> Counter[str]:
        """Calls to Google so far: Vertex AI's and Monitoring's by method, Pub/Sub's as ``publish:TOPIC``."""
        self.emulator.logs.drain()
        calls = Counter(self.emulator.counts)
        calls += Counter({m.partition("/")[2]: n for m, n in self.monitoring.calls.counts().items()})
        calls += Counter({f"publish:{topic}": number for topic, number in self._published_to().items()})
        return +calls

    @contextmanager
    def without_store(self) -> Iterator[None]:
        """The store cannot be reached."""
        aside = self.store.rename(self.store.with_name("aside"))
        try:
            yield
        finally:
            aside.rename(self.store)

    @contextmanager
    def cost(self) -> Iterator[Counter[str]]:
        """The calls to Google that are made inside."""
        before, spent = self.counted(), Counter[str]()
        yield spent
        spent.update(self.counted() - before)

    def _wire(self) -> None:
        """The topics, and a subscription to each that the caller empties; not through a client, of which each story would have to build two."""
        for topic in topics.ALL:
            name = f"projects/{PROJECT}/topics/{topic}"
            self.pubsub.broker.add_topic(types.Topic.pb()(name=name))
            subscription = types.Subscription.pb()(name=f"projects/{PROJECT}/subscriptions/{topic}", topic=name)
            subscription.message_retention_duration.FromTimedelta(timedelta(days=31))
            self.pubsub.broker.add_subscription(subscription)
