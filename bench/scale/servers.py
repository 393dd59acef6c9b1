"""The local servers with many endpoints in a trial each, in a process of its own: ``python -m bench.scale.servers FILE``.

It is told what to do by lines of JSON on standard input, and answers each with one: the time, a minute's measurements, the calls so far.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.draws import ORDINARY, TOKEN_EDGES, Served, draw_requests, draw_served
from local.pubsub import PubsubServer
from local.pubsub.wiring import wire
from local.stepped import NUMBER, PROJECT, REGION
from shared import topics
from vertex_emulator.config import Config, Quotas
from vertex_emulator.faults import Fault, Kind
from vertex_emulator.garbage import collect_rarely
from vertex_emulator.metrics import Resource
from vertex_emulator.monitoring.distribution import LATENCY_BUCKETS, Buckets, Distribution
from vertex_emulator.monitoring.series import Kind as MetricKind
from vertex_emulator.monitoring.series import Point, SeriesId, Value, ValueType
from vertex_emulator.monitoring.server import Monitoring
from vertex_emulator.server import Emulator

TOKENS = "custom.googleapis.com/vertex_rollouts/tokens"
_ONLINE = "aiplatform.googleapis.com/prediction/online/"
_SHARE = 0.1
_DRAWN = 32
"""Different minutes that are drawn; every endpoint gets one of them each minute."""
Measured = list[tuple[SeriesId, MetricKind, ValueType, list[Value]]]


class ScaleServers:
    """Vertex AI, Cloud Monitoring and Pub/Sub with everything in place."""

    def __init__(self, state: dict[str, Any], now: datetime, arms: tuple[str, str], names: list[str], rps: float):
        self.now = now
        self.pubsub = PubsubServer().start()
        wire(self.pubsub.address, PROJECT, {}, lambda name: name, topics=topics.ALL)
        self.monitoring = Monitoring(
            delay=0.0,
            clock=lambda: self.now,
            buckets={TOKENS: Buckets.explicit(TOKEN_EDGES)},
            project_id=PROJECT,
            project_number=int(NUMBER),
        )
        self.emulator = Emulator(
            Config(quotas=Quotas.documented()),
            clock=lambda: self.now,
            sink=self.monitoring.sink,
            extra_handlers=self.monitoring.handlers(),
        )
        self.emulator.load(state)
        self.address = self.emulator.start(tick=False)
        self._random = random.Random(1)
        self._drawn = [self._draw(rps) for _ in range(_DRAWN)]
        self._series = [list(_series(name, arms)) for name in names]

    def minute(self, ends: float) -> int:
        """Put a minute of every endpoint into Cloud Monitoring; the number of points."""
        points = 0
        for series in self._series:
            drawn = self._random.choice(self._drawn)
            for (id_, kind, type_), value in zip(series, drawn, strict=True):
                if value is None:
                    continue
                begins = ends if kind is MetricKind.GAUGE else ends - 60
                self.monitoring.sink.inject(id_, kind, type_, Point(begins, ends, value, ends), "revise")
                points += 1
        return points

    def slow(self, read: float, write: float) -> None:
        """Answer as late as Google does, in seconds."""
        for method in ("ListEndpoints", "GetEndpoint", "GetOperation", "ListTimeSeries"):
            self.emulator.faults.plan(Fault(Kind.DELAY, method, seconds=read, times=None))
        self.emulator.faults.plan(Fault(Kind.DELAY, "UpdateEndpoint", seconds=write, times=None))

    def calls(self) -> dict[str, int]:
        """By method, since the start; Pub/Sub's messages by topic."""
        found = dict(self.emulator.counts)
        found |= {m.partition("/")[2]: n for m, n in self.monitoring.calls.counts().items()}
        published = {n.rpartition("/")[2]: c["published"] for n, c in self.pubsub.broker.counts().items()}
        return found | {f"publish:{topic}": n for topic, n in published.items() if n}

    def stop(self) -> None:
        self.emulator.stop()
        self.monitoring.stop()
        self.pubsub.stop()

    def _draw(self, rps: float) -> list[Value | None]:
        stable, candidate = draw_requests(self._random, rps, _SHARE)
        return [value for n in (stable, candidate) for value in _values(draw_served(self._random, n, ORDINARY))]


def _values(served: Served) -> Iterator[Value | None]:
    yield served.requests - served.errors
    yield served.errors or None
    for values, buckets in ((served.latencies, LATENCY_BUCKETS), (served.tokens, Buckets.explicit(TOKEN_EDGES))):
        distribution = Distribution(buckets)
        for value in values:
            distribution.observe(value)
        yield distribution


def _series(endpoint: str, arms: tuple[str, str]) -> Iterator[tuple[SeriesId, MetricKind, ValueType]]:
    """In the order of the values."""
    labels = {"resource_container": NUMBER, "location": REGION, "endpoint_id": endpoint}
    resource = Resource("aiplatform.googleapis.com/Endpoint", labels)
    task = Resource("generic_task", {"project_id": PROJECT, "location": REGION, "job": "serving"})
    for arm in arms:
        own = {"deployed_model_id": arm, "spot": "false"}
        for code in ("2xx", "5xx"):
            id_ = SeriesId.of(f"{_ONLINE}response_count", {**own, "response_code": code}, resource)
            yield id_, MetricKind.DELTA, ValueType.INT64
        latency = SeriesId.of(f"{_ONLINE}prediction_latencies", {**own, "latency_type": "total"}, resource)
        yield latency, MetricKind.DELTA, ValueType.DISTRIBUTION
        tokens = SeriesId.of(TOKENS, {"endpoint_id": endpoint, "deployed_model_id": arm}, task)
        yield tokens, MetricKind.GAUGE, ValueType.DISTRIBUTION


def main() -> None:
    """Serve until standard input ends."""
    given = json.loads(Path(sys.argv[1]).read_text())
    now = datetime.fromisoformat(given["now"])
    servers = ScaleServers(given["state"], now, tuple(given["arms"]), given["names"], given["rps"])
    if given.get("slow"):
        servers.slow(*given["slow"])
    _say({"vertex": servers.address, "pubsub": servers.pubsub.address})
    for line in sys.stdin:
        asked = json.loads(line)
        if "now" in asked:
            servers.now = datetime.fromtimestamp(asked["now"], UTC)
        points = sum(servers.minute(ends) for ends in asked.get("minutes", []))
        collect_rarely()
        _say({"points": points, "calls": servers.calls()})
    servers.stop()


def _say(what: Mapping[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
