"""Servers for the tests of the local system."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.pubsub import PubsubServer
from tests.local.cloud import Cloud
from tests.local.helpers import Endpoint


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


@pytest.fixture
def server() -> Iterator[PubsubServer]:
    with PubsubServer() as running:
        yield running


@pytest.fixture
def cloud(server: PubsubServer) -> Iterator[Cloud]:
    with Cloud(server.address) as clients:
        yield clients
