"""The emulator on a clock that is moved by hand, and the real clients that talk to it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.cloud.aiplatform_v1.services.endpoint_service.client import EndpointServiceClient
from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import EndpointServiceGrpcTransport
from google.cloud.aiplatform_v1.services.job_service.client import JobServiceClient
from google.cloud.aiplatform_v1.services.job_service.transports.grpc import JobServiceGrpcTransport
from google.cloud.aiplatform_v1.services.model_service.client import ModelServiceClient
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import ModelServiceGrpcTransport
from google.cloud.aiplatform_v1.services.pipeline_service.client import PipelineServiceClient
from google.cloud.aiplatform_v1.services.pipeline_service.transports.grpc import PipelineServiceGrpcTransport
from google.cloud.aiplatform_v1.services.prediction_service.client import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import PredictionServiceGrpcTransport
from google.protobuf import json_format, struct_pb2

from vertex_emulator.config import Config
from vertex_emulator.metrics import Resource
from vertex_emulator.server import Emulator

PARENT = "projects/local-project/locations/us-central1"
STORED = "projects/123456789012/locations/us-central1"


class ManualClock:
    """A present that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class RecordingSink:
    """Keeps every measurement."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], Resource, float]] = []

    def add(self, metric: str, labels: Any, resource: Resource, amount: int) -> None:
        self.seen.append((metric, dict(labels), resource, amount))

    def observe(self, metric: str, labels: Any, resource: Resource, value: float) -> None:
        self.seen.append((metric, dict(labels), resource, value))

    def set(self, metric: str, labels: Any, resource: Resource, value: float) -> None:
        self.seen.append((metric, dict(labels), resource, value))

    def of(self, name: str, **labels: str) -> list[float]:
        """The values of one metric (its last path elements) whose labels include these."""
        return [v for m, seen, _, v in self.seen if m.endswith(f"/online/{name}") and labels.items() <= seen.items()]


class Vertex:
    """One emulator with clients, and short words for what tests do with it."""

    def __init__(self, emulator: Emulator, clock: ManualClock) -> None:
        self.clock = clock
        self.emulator = emulator
        self.sink = RecordingSink()
        self.entries: list[dict[str, Any]] = []
        self.channel = grpc.insecure_channel(emulator.start(tick=False))
        self.models = ModelServiceClient(transport=ModelServiceGrpcTransport(channel=self.channel))
        self.endpoints = EndpointServiceClient(transport=EndpointServiceGrpcTransport(channel=self.channel))
        self.predictions = PredictionServiceClient(transport=PredictionServiceGrpcTransport(channel=self.channel))

    @functools.cached_property
    def jobs(self) -> Any:
        return JobServiceClient(transport=JobServiceGrpcTransport(channel=self.channel))

    @functools.cached_property
    def pipelines(self) -> Any:
        return PipelineServiceClient(transport=PipelineServiceGrpcTransport(channel=self.channel))

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.emulator.tick()

    def operation(self, name: str) -> Any:
        return self.models.get_operation({"name": name})

    def upload(self, model_id: str = "relevance", *, parent_model: str = "", **fields: Any) -> Any:
        """Upload a version and let the upload end; returns UploadModelResponse."""
        fields = {"display_name": "Relevance", "container_spec": {"image_uri": "sim/model"}, **fields}
        request = {"parent": PARENT, "model": fields}
        request |= {"parent_model": parent_model} if parent_model else {"model_id": model_id}
        started = self.models.upload_model(request)
        self.advance(60)
        return self.finished(started)

    def endpoint(self, endpoint_id: str = "serving", **fields: Any) -> str:
        """Create an endpoint and let that end; returns its name."""
        started = self.endpoints.create_endpoint(
            {"parent": PARENT, "endpoint_id": endpoint_id, "endpoint": {"display_name": "Serving", **fields}}
        )
        self.advance(60)
        return str(self.finished(started).name)

    def start_deploy(self, endpoint: str, deployed_id: str, model: str = "relevance", **more: Any) -> Any:
        deployed = {
            "id": deployed_id,
            "model": f"{PARENT}/models/{model}",
            "dedicated_resources": {"machine_spec": {"machine_type": "n1-standard-4"}, "min_replica_count": 1},
            **more.pop("deployed_model", {}),
        }
        return self.endpoints.deploy_model({"endpoint": endpoint, "deployed_model": deployed, **more})

    def deploy(self, endpoint: str, deployed_id: str, model: str = "relevance", **more: Any) -> Any:
        """Deploy a model and let that end; returns the DeployedModel."""
        started = self.start_deploy(endpoint, deployed_id, model, **more)
        self.advance(600)
        return self.finished(started).deployed_model

    def split(self, endpoint: str, shares: dict[str, int], **fields: Any) -> Any:
        return self.endpoints.update_endpoint(
            {
                "endpoint": {"name": endpoint, "traffic_split": shares, **fields},
                "update_mask": {"paths": ["traffic_split", *(name for name in fields if name != "etag")]},
            }
        )

    def predict(self, endpoint: str, *instances: Any) -> Any:
        values = [json_format.ParseDict(instance, struct_pb2.Value()) for instance in instances or ({"x": 1},)]
        return self.predictions.predict(endpoint=endpoint, instances=values, timeout=10)

    def audit(self) -> list[dict[str, Any]]:
        """All log entries written so far."""
        self.emulator.logs.drain()
        return self.entries

    @staticmethod
    def finished(operation: Any) -> Any:
        return operation.result(timeout=5)

    def close(self) -> None:
        self.channel.close()
        self.emulator.stop()


MakeVertex = Callable[..., Vertex]


@pytest.fixture
def make_vertex() -> Iterator[MakeVertex]:
    """Makes emulators with a configuration of the test's own."""
    made: list[Vertex] = []

    def make(config: Config | None = None, **options: Any) -> Vertex:
        clock, sink, entries = ManualClock(), RecordingSink(), list[dict[str, Any]]()
        emulator = Emulator(config or Config(), clock=clock, sink=sink, log_sink=entries.append, **options)
        vertex = Vertex(emulator, clock)
        vertex.sink, vertex.entries = sink, entries
        made.append(vertex)
        return vertex

    yield make
    for vertex in made:
        vertex.close()


@pytest.fixture
def vertex(make_vertex: MakeVertex) -> Vertex:
    """An emulator with the default configuration."""
    return make_vertex()


@pytest.fixture
def serving(vertex: Vertex) -> str:
    """An endpoint with version 1 deployed as 11, all traffic on it."""
    vertex.upload()
    endpoint = vertex.endpoint()
    vertex.deploy(endpoint, "11")
    vertex.split(endpoint, {"11": 100})
    return endpoint
