"""The functions, loaded once, and a cloud for each story."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.identity import Issuer, KeyServer
from local.receiver import Receiver
from local.stepped import Apps
from tests.functional.functions.harness import AUDIENCE, NOTICE_SECRET, Cloud


@pytest.fixture(scope="session")
def apps() -> Iterator[Apps]:
    loaded = Apps()
    yield loaded
    loaded.forget()


@pytest.fixture
def cloud(apps: Apps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Local servers that the functions are pointed at."""
    made = Cloud(apps, tmp_path)
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    made.open()
    yield made
    made.close()


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    """Who signs ID tokens."""
    return Issuer.create()


@pytest.fixture
def signed(cloud: Cloud, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """The issuer, with its keys where ``receive_command`` fetches them."""
    with KeyServer(issuer) as keys:
        monkeypatch.setenv("ID_TOKEN_CERTS_URL", keys.url)
        monkeypatch.setenv("COMMAND_AUDIENCE", AUDIENCE)
        cloud.token = issuer.mint("ann@example.com", AUDIENCE)
        yield issuer


@pytest.fixture
def people(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Where the channel ``ops`` leads."""
    with Receiver(NOTICE_SECRET, cloud.clock) as receiver:
        channels = {"ops": {"url": receiver.url, "secret": NOTICE_SECRET}}
        monkeypatch.setenv("NOTIFY_CHANNELS", json.dumps(channels))
        yield receiver
