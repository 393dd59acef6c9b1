"""Damaged requests at the doors: 202 for what is an alert all the same, else 4xx; never anything else, never for long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.identity import Issuer, KeyServer
from local.pubsub import PubsubServer
from local.pubsub.wiring import wire
from local.stepped import Apps
from shared import topics
from shared.actions.command import parse_command
from shared.errors import PermanentError
from shared.wiring import world
from tests.fuzz.corpus import damaged, fuzzed, kept, no_hang
from tests.unit.events.recorded import ROOT

TOKEN, AUDIENCE = "the-secret-of-the-alerts", "fuzz"
ALERTS = [data for _, data in kept("events")] + [path.read_bytes() for path in sorted((ROOT / "alert").glob("*.json"))]
COMMANDS = [data for _, data in kept("command")]
HEADERS = (
    "Content-Type",
    "Content-Encoding",
    "X-Cloud-Trace-Context",
    "X-Rollouts-Signature",
    "X-Rollouts-Timestamp",
    "Expect",
)
# What a server hands on: no control characters.
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Apps, str]]:
    """The functions, and a token that is valid."""
    issuer = Issuer.create()
    with pytest.MonkeyPatch.context() as patched, KeyServer(issuer) as keys, PubsubServer() as pubsub:
        wire(pubsub.address, "proj-1", {}, str, topics=topics.ALL)
        environment = {
            "GOOGLE_CLOUD_PROJECT": "proj-1",
            "PUBSUB_EMULATOR_HOST": pubsub.address,
            "STORE_PATH": str(tmp_path_factory.mktemp("fuzz") / "rollouts.db"),
            "ALERT_TOKEN": TOKEN,
            "ID_TOKEN_CERTS_URL": keys.url,
            "COMMAND_AUDIENCE": AUDIENCE,
            "COMMAND_OPERATORS": "ann@example.com",
        }
        for name, value in environment.items():
            patched.setenv(name, value)
        world.cache_clear()
        apps = Apps()
        yield apps, issuer.mint("ann@example.com", AUDIENCE)
        world().store.close()
        world.cache_clear()
        apps.forget()


def is_answered(answer: Any, *allowed: int) -> None:
    assert answer.status_code in allowed or 400 <= answer.status_code < 500, answer.get_data(as_text=True)


@fuzzed
@given(damaged(ALERTS), st.dictionaries(st.sampled_from(HEADERS), TEXT, max_size=2))
def test_an_alert(doors: tuple[Apps, str], data: bytes, headers: dict[str, str]) -> None:
    with no_hang(data):
        is_answered(doors[0].client("receive_alert").post(f"/?auth_token={TOKEN}", data=data, headers=headers), 202)


@fuzzed
@given(damaged(ALERTS), TEXT, TEXT, TEXT)
def test_a_stranger(doors: tuple[Apps, str], data: bytes, query: str, authorization: str, signature: str) -> None:
    headers = {"Authorization": authorization, "X-Rollouts-Signature": signature, "X-Rollouts-Timestamp": query}
    with no_hang(data):
        client = doors[0].client("receive_alert")
        assert client.post("/", query_string={"auth_token": query}, data=data, headers=headers).status_code == 401
        answer = doors[0].client("receive_command").post("/", data=data, headers=headers)
        assert answer.status_code == 401


@fuzzed
@given(damaged(COMMANDS))
def test_a_command(doors: tuple[Apps, str], data: bytes) -> None:
    apps, token = doors
    with no_hang(data):
        is_answered(apps.client("receive_command").post("/", data=data, headers={"Authorization": f"Bearer {token}"}))


@pytest.mark.parametrize(("name", "data"), kept("command"), ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_kept_is_a_command_or_refused_in_one_line(name: str, data: bytes) -> None:
    try:
        command = parse_command(data)
    except PermanentError as refused:
        assert str(refused).isprintable()
    else:
        assert json.loads(data)["command"] == command.command
