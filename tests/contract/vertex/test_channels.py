from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.aiplatform_v1.services.endpoint_service.client import EndpointServiceClient
from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import EndpointServiceGrpcTransport
from google.cloud.aiplatform_v1.types import endpoint as endpoint_types
from google.cloud.monitoring_v3.services.metric_service.client import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports.grpc import MetricServiceGrpcTransport

from shared.channels import (
    MONITORING_EMULATOR,
    VERTEX_EMULATOR,
    PerRegion,
    monitoring_transport,
    vertex_clients,
    vertex_transport,
)
from shared.errors import TransientError
from shared.rollout.observed import TargetRef
from shared.vertex.endpoints import Endpoints
from vertex_emulator.ports import fresh_port


def test_each_region_has_googles_address_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VERTEX_EMULATOR, raising=False)
    client = EndpointServiceClient(
        credentials=AnonymousCredentials(), **vertex_transport(EndpointServiceGrpcTransport, "europe-west4")
    )
    assert client.api_endpoint == "europe-west4-aiplatform.googleapis.com"
    assert client.transport.host == "europe-west4-aiplatform.googleapis.com:443"


def test_monitoring_has_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MONITORING_EMULATOR, raising=False)
    client = MetricServiceClient(credentials=AnonymousCredentials(), **monitoring_transport(MetricServiceGrpcTransport))
    assert client.transport.host == "monitoring.googleapis.com:443"


def test_an_emulator_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VERTEX_EMULATOR, "127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json")
    client = vertex_clients(EndpointServiceClient, EndpointServiceGrpcTransport)("us-central1")
    assert client.api_endpoint == "127.0.0.1:9"


def test_an_answer_of_more_than_four_mebibytes_is_read_as_from_google(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of an hour's metrics of some hundred endpoints is one."""
    large = endpoint_types.Endpoint.pb(endpoint_types.Endpoint(description="x" * 5 * 2**20)).SerializeToString()
    handler = grpc.unary_unary_rpc_method_handler(lambda *_: large)
    service = "google.cloud.aiplatform.v1.EndpointService"
    with ThreadPoolExecutor(1) as workers:
        server = grpc.server(workers, [grpc.method_handlers_generic_handler(service, {"GetEndpoint": handler})])
        port = fresh_port(server.add_insecure_port)
        server.start()
        monkeypatch.setenv(VERTEX_EMULATOR, f"127.0.0.1:{port}")
        client = vertex_clients(EndpointServiceClient, EndpointServiceGrpcTransport)("us-central1")
        found = client.get_endpoint(name="projects/p/locations/us-central1/endpoints/e", timeout=20)
        client.transport.close()
        server.stop(0).wait()
    assert len(found.description) == 5 * 2**20


def test_clients_are_built_on_first_use_once_per_region() -> None:
    built: list[str] = []

    def build(region: str) -> object:
        built.append(region)
        return object()

    clients = PerRegion(build)
    assert built == []
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(clients, ["us-central1", "europe-west4"] * 50))
    assert len(found) == 2
    assert sorted(built) == ["europe-west4", "us-central1"]


def test_without_credentials_every_call_says_so_and_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VERTEX_EMULATOR, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json")
    endpoints = Endpoints()
    with pytest.raises(TransientError, match="no credentials for Google Cloud"):
        endpoints.get(TargetRef("p", "us-central1", "e"))
    with pytest.raises(TransientError, match="no credentials for Google Cloud"):
        endpoints.operation("us-central1", "projects/p/locations/us-central1/operations/1")
