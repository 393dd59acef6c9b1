"""The machines behind the deployed models: model servers, replicas, routes, and the gauges that tell of them."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vertex_emulator import replicas
from vertex_emulator.clock import Clock, rate
from vertex_emulator.load import LoadMeter
from vertex_emulator.messages import raw
from vertex_emulator.metrics import Member, MetricSink, Resource, SeriesGroup
from vertex_emulator.names import last_segment, location_of
from vertex_emulator.serving.contract import InProcess, is_success

if TYPE_CHECKING:
    from vertex_emulator.machines import Machines
    from vertex_emulator.messages import Message
    from vertex_emulator.serving.contract import ModelServer

PREFIX = "aiplatform.googleapis.com/prediction/online/"
GAUGES_EVERY = timedelta(seconds=60)


@dataclass
class Deployment:
    """One deployed model at work."""

    id: str
    endpoint: str
    model: str
    version: str
    model_display_name: str
    endpoint_display_name: str
    machines: Machines
    server: ModelServer
    replicas: replicas.ReplicaSet
    meter: LoadMeter = field(default_factory=LoadMeter)
    """Shared, like the replicas, by all models of a deployment resource pool."""
    can_explain: bool = False
    """Whether it was deployed with an explanation specification, its own or its model's."""
    utilisations: list[float] = field(default_factory=list)
    """What the autoscaler saw since the gauges were last reported."""
    _series: dict[tuple[str, int], SeriesGroup] = field(default_factory=dict)

    @cached_property
    def in_process(self) -> InProcess | None:
        """The server, where it needs no JSON to be asked."""
        return self.server if isinstance(self.server, InProcess) else None

    @cached_property
    def resource(self) -> Resource:
        """The monitored resource: the endpoint."""
        return endpoint_resource(self.endpoint)

    @property
    def labels(self) -> dict[str, str]:
        """The metric labels that all counts and latencies have."""
        return {
            "deployed_model_id": self.id,
            "model_display_name": self.model_display_name,
            "endpoint_display_name": self.endpoint_display_name,
            "spot": str(self.machines.spot).lower(),
        }

    @cached_property
    def answers_as(self) -> Any:
        """A ``PredictResponse`` that has everything but predictions."""
        return raw("PredictResponse")(
            deployed_model_id=self.id,
            model=self.model,
            model_display_name=self.model_display_name,
            model_version_id=self.version,
        )

    def series(self, status: int) -> SeriesGroup:
        """The series of one prediction that a model server answered with an HTTP status, made once.

        Predictions, responses with a code, the total, the model's and the remaining latency, and errors where it is one.
        """
        key = (self.endpoint_display_name, status)
        if (known := self._series.get(key)) is None:
            code, is_ok = f"{status // 100}xx", is_success(status)
            labels = self.labels
            latencies = ({**labels, "latency_type": kind} for kind in ("total", "model", "overhead"))
            made = (
                Member(f"{PREFIX}prediction_count", labels, is_count=True),
                Member(f"{PREFIX}response_count", {**labels, "response_code": code}, is_count=True),
                *(Member(f"{PREFIX}prediction_latencies", entry, is_count=False) for entry in latencies),
                Member(f"{PREFIX}error_count", labels, is_count=True),
            )
            known = self._series[key] = SeriesGroup(self.resource, made[:-1] if is_ok else made)
        return known

    def utilisation_by(self, requests_per_second: float, clock: Clock) -> float:
        """Return the load as a fraction of what the ready replicas carry; 0 where the capacity is unknown."""
        capacity = self.server.capacity_rps
        return requests_per_second / (capacity * max(self.replicas.ready_by(clock), 1)) if capacity else 0.0

    def utilisation_over(self, wall_seconds: float, now: datetime) -> float:
        """Return the mean utilisation since the last call: from the declared capacity, else from busy time."""
        usage = self.meter.take()
        if wall_seconds <= 0:
            return 0.0
        if self.server.capacity_rps:
            return self.utilisation_by(usage.requests / wall_seconds, lambda: now)
        return usage.busy_seconds / wall_seconds / max(self.replicas.ready(now), 1)


@dataclass(frozen=True)
class Route:
    """An endpoint's split as predictions see it; replaced whole, so that no lock is needed to read it."""

    bounds: Sequence[int]
    deployments: Sequence[Deployment]

    def pick(self, draw: float) -> Deployment | None:
        """Return the deployed model for a draw from [0, 1); ``None`` without a split."""
        if not self.deployments:
            return None
        return self.deployments[bisect.bisect_right(self.bounds, draw * 100)]


def make_route(split: Mapping[str, int], deployments: Mapping[str, Deployment]) -> Route:
    """Return the route of a split."""
    # In order of id: a protobuf map has no order, and a seeded run must be the same each time.
    chosen = sorted(deployed_id for deployed_id, share in split.items() if share > 0)
    bounds = itertools.accumulate(split[deployed_id] for deployed_id in chosen)
    return Route(tuple(bounds), tuple(deployments[deployed_id] for deployed_id in chosen))


def endpoint_resource(endpoint: str) -> Resource:
    """Return the monitored resource of an endpoint."""
    labels = {
        "resource_container": endpoint.split("/")[1],
        "location": location_of(endpoint),
        "endpoint_id": last_segment(endpoint),
    }
    return Resource("aiplatform.googleapis.com/Endpoint", labels)


def _groups(deployments: Iterable[Deployment]) -> list[list[Deployment]]:
    """Return the deployments grouped by the replicas that they share; most are alone."""
    groups: dict[int, list[Deployment]] = {}
    for deployment in deployments:
        groups.setdefault(id(deployment.replicas), []).append(deployment)
    return list(groups.values())


class Fleet:
    """All deployments, by endpoint and id; changed with the state's lock held."""

    def __init__(self, sink: MetricSink, seed: int, now: datetime) -> None:
        self._sink = sink
        self.random = random.Random(seed)
        """Decides which model gets a request."""
        self._deployments: dict[str, dict[str, Deployment]] = {}
        self._routes: dict[str, Route] = {}
        self._evaluated = now
        self._reported = now

    def add(self, deployment: Deployment) -> None:
        """Take a deployment whose server is ready."""
        self._deployments.setdefault(deployment.endpoint, {})[deployment.id] = deployment

    def remove(self, endpoint: str, deployed_id: str) -> Deployment:
        """Give a deployment up; the caller stops its server once no lock is held."""
        return self._deployments[endpoint].pop(deployed_id)

    def get(self, endpoint: str, deployed_id: str) -> Deployment:
        """Return one deployment."""
        return self._deployments[endpoint][deployed_id]

    def all(self) -> list[Deployment]:
        """Return every deployment."""
        return [deployment for entries in self._deployments.values() for deployment in entries.values()]

    def replicas_in(self, location: str) -> int:
        """Return the replicas that count against a region's quota: the maximum of each deployed model."""
        here = (deployment for deployment in self.all() if deployment.endpoint.startswith(f"{location}/"))
        return sum(group[0].replicas.maximum for group in _groups(here))

    def reroute(self, endpoint: Message) -> None:
        """Follow an endpoint's split; called after every change of one."""
        deployments = self._deployments.get(endpoint.name, {})
        for deployment in deployments.values():
            deployment.endpoint_display_name = endpoint.display_name
        self._routes[endpoint.name] = make_route(endpoint.traffic_split, deployments)

    def clear(self) -> None:
        """Give all deployments and routes up; the caller stops the servers."""
        self._deployments.clear()
        self._routes = {}

    def forget(self, endpoint: str) -> None:
        """Forget a deleted endpoint."""
        self._routes.pop(endpoint, None)
        self._deployments.pop(endpoint, None)

    def find(self, endpoint: str, deployed_id: str) -> Deployment | None:
        """Return one deployment; ``None`` where there is no such."""
        return self._deployments.get(endpoint, {}).get(deployed_id)

    def route(self, endpoint: str) -> Route | None:
        """Return an endpoint's route; ``None`` where there is no such endpoint."""
        return self._routes.get(endpoint)

    def draw(self) -> float:
        """Return the next number of the seeded sequence that decides which model gets a request."""
        return self.random.random()

    def tick(self, now: datetime) -> None:
        """Let the autoscaler evaluate, and report gauges, as often as compressed time has made it due."""
        steps = int((now - self._evaluated) / replicas.INTERVAL)
        if steps > 0:
            wall = steps * replicas.INTERVAL.total_seconds() / rate()
            for group in _groups(self.all()):
                utilisation = group[0].utilisation_over(wall, now)
                for step in range(1, steps + 1):
                    group[0].replicas.evaluate(utilisation, self._evaluated + step * replicas.INTERVAL)
                for deployment in group:
                    deployment.utilisations.append(utilisation)
                    deployment.server.supervise()
            self._evaluated += steps * replicas.INTERVAL
        if now - self._reported >= GAUGES_EVERY:
            self._reported += int((now - self._reported) / GAUGES_EVERY) * GAUGES_EVERY
            for deployment in self.all():
                self._report_replicas(deployment, now)
                self._report_utilisation(deployment, now)

    def _report_utilisation(self, deployment: Deployment, now: datetime) -> None:
        """Report the mean of the evaluations since the last report; nothing for a model without one yet."""
        if not deployment.utilisations:
            return
        utilisation = sum(deployment.utilisations) / len(deployment.utilisations)
        deployment.utilisations.clear()
        for number in range(deployment.replicas.ready(now)):
            labels = {
                "deployed_model_id": deployment.id,
                "replica_id": f"{deployment.id}-{number}",
                "spot": deployment.labels["spot"],
            }
            self._sink.set(f"{PREFIX}cpu/utilization", labels, deployment.resource, utilisation)

    def _report_replicas(self, deployment: Deployment, now: datetime) -> None:
        labels, resource = deployment.labels, deployment.resource
        self._sink.set(f"{PREFIX}replicas", labels, resource, deployment.replicas.ready(now))
        self._sink.set(f"{PREFIX}target_replicas", labels, resource, deployment.replicas.goal)
