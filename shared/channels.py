"""How clients reach Google's services, or the local servers that stand in for them.

This is the only deployed code that may know of an emulator: with ``VERTEX_EMULATOR_HOST`` or ``MONITORING_EMULATOR_HOST`` set
(``host:port``) a client gets a plaintext channel and needs no credentials, otherwise Google's address and the default
credentials. Nothing else differs: the same clients, the same code. (Pub/Sub's and Firestore's clients know of their emulators
by themselves.)
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Client = TypeVar("Client")

VERTEX_EMULATOR = "VERTEX_EMULATOR_HOST"
MONITORING_EMULATOR = "MONITORING_EMULATOR_HOST"
BIGQUERY_EMULATOR = "BIGQUERY_EMULATOR_HOST"
BILLING_EMULATOR = "BILLING_EMULATOR_HOST"
STORAGE_EMULATOR = "STORAGE_EMULATOR_HOST"
"""As Google's own clients of Cloud Storage have it: an address with or without ``http://``."""
_ANY_SIZE = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
"""As Google's own transports have it: gRPC alone refuses an answer of more than 4 MiB, and an hour of 300 endpoints' metrics is one."""
_SCOPES = "https://www.googleapis.com/auth"


def vertex_transport(transport: type, region: str) -> dict[str, Any]:
    """Keyword arguments that make a Vertex AI client talk to one region through ``transport`` (a gRPC transport class)."""
    return _transport(transport, f"{region}-aiplatform.googleapis.com", os.environ.get(VERTEX_EMULATOR))


def monitoring_transport(transport: type) -> dict[str, Any]:
    """Keyword arguments that make a Cloud Monitoring client talk through ``transport``; Monitoring has one address."""
    return _transport(transport, "monitoring.googleapis.com", os.environ.get(MONITORING_EMULATOR))


def bigquery_client(project: str) -> Any:
    """A BigQuery client; it knows ``BIGQUERY_EMULATOR_HOST`` by itself, but not that nobody there asks who it is."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.bigquery import Client as BigQueryClient

    credentials = AnonymousCredentials() if os.environ.get(BIGQUERY_EMULATOR) else None
    return BigQueryClient(project=project, credentials=credentials)


def billing_catalog() -> tuple[str, Any]:
    """The address of the Cloud Billing Catalog, and a session of ``requests`` with the default credentials."""
    return _rest("https://cloudbilling.googleapis.com", "cloud-billing.readonly", os.environ.get(BILLING_EMULATOR))


def cloud_storage() -> tuple[str, Any]:
    """The address of Cloud Storage's JSON API, and a session of ``requests`` with the default credentials."""
    return _rest("https://storage.googleapis.com", "devstorage.read_write", os.environ.get(STORAGE_EMULATOR))


def _rest(address: str, scope: str, emulator: str | None) -> tuple[str, Any]:
    if emulator:
        from requests import Session

        return emulator if "://" in emulator else f"http://{emulator}", Session()
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=[f"{_SCOPES}/{scope}"])
    return address, AuthorizedSession(credentials)


def _transport(transport: type, address: str, emulator: str | None) -> dict[str, Any]:
    if not emulator:
        return {"client_options": {"api_endpoint": address}, "transport": transport}

    def plaintext(**arguments: Any) -> Any:
        # Called with what the transport's constructor takes; credentials among it are dropped, the address is kept.
        import grpc

        return transport(channel=grpc.insecure_channel(arguments["host"], options=_ANY_SIZE))

    return {"client_options": {"api_endpoint": emulator}, "transport": plaintext}


class PerRegion(Generic[Client]):
    """One client per region, built on first use and kept; safe to ask from many threads.

    Not at import: a function's module is imported before the server forks, and gRPC does not like being forked.
    """

    def __init__(self, build: Callable[[str], Client]) -> None:
        self._build = build
        self._clients: dict[str, Client] = {}
        self._lock = threading.Lock()

    def __call__(self, region: str) -> Client:
        with self._lock:
            if region not in self._clients:
                self._clients[region] = self._build(region)
            return self._clients[region]


def vertex_clients(client: Callable[..., Client], transport: type) -> PerRegion[Client]:
    """Clients of one Vertex AI service by region."""
    return PerRegion(lambda region: client(**vertex_transport(transport, region)))


def monitoring_client(client: Callable[..., Client], transport: type) -> Callable[[], Client]:
    """The one client of a Cloud Monitoring service, built on first use."""
    clients = PerRegion(lambda _: client(**monitoring_transport(transport)))
    return lambda: clients("global")
