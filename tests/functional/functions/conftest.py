"""The functions, loaded once, and a cloud for each story."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.table import load_table
from local.identity import Issuer, KeyServer
from local.receiver import Receiver
from local.stepped import Apps
from tests.functional.functions.harness import AUDIENCE, NOTICE_SECRET, Cloud
from tests.functional.functions.invariants import broken

TABLE = load_table()


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
    wrong = list(broken(made))
    needed, published = dict(made.permissions), dict(made.publications)
    made.close()
    assert not wrong, wrong
    # Every story holds the calls that it saw against what the functions may do in the cloud.
    for name, permissions in needed.items():
        row = TABLE.get(name)
        assert row, f"infra/functions.yaml has no row {name}"
        assert not permissions - row.granted, (
            f"{name} needs {permissions - row.granted}; PERMISSIONS and its row lack it"
        )
        unknown = published[name] - set(row.publishes)
        assert not unknown, (
            f"{name} has published to {unknown}; `publishes` in its row of infra/functions.yaml lacks it"
        )


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
        monkeypatch.setenv("COMMAND_OPERATORS", "ann@example.com")
        cloud.token = issuer.mint("ann@example.com", AUDIENCE)
        yield issuer


@pytest.fixture
def people(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Where the channel ``ops`` leads."""
    with Receiver(NOTICE_SECRET, cloud.clock) as receiver:
        channels = {"ops": {"url": receiver.url, "secret": NOTICE_SECRET}}
        monkeypatch.setenv("NOTIFY_CHANNELS", json.dumps(channels))
        yield receiver
