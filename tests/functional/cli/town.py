"""The function ``receive_command`` as it is deployed, and what it talks to, on one machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from local.host import ThreadedHost
from local.identity import Issuer, KeyServer
from local.pubsub import PubsubServer
from local.pubsub.clients import subscriber_at
from local.pubsub.wiring import wire
from shared import topics
from shared.wiring import world
from tests import command_line
from tests.command_line import Ran
from tests.contract.vertex.local_vertex import PROJECT, LocalVertex

ROOT = Path(__file__).parents[3]
FUNCTION = ROOT / "functions" / "receive_command"
AUDIENCE = "rollouts-test"
ADA, EVE = "ada@example.com", "eve@example.com"


class Town:
    """A context manager: a store, Pub/Sub, Vertex AI, keys, and the function that all of them are known to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.issuer = Issuer.create()
        self.vertex = LocalVertex()
        self.url = ""
        self.environment: dict[str, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.callback(self.vertex.emulator.stop)
        keys = self._stack.enter_context(KeyServer(self.issuer))
        pubsub = self._stack.enter_context(PubsubServer())
        wire(pubsub.address, PROJECT, {}, lambda name: name, topics=topics.ALL)
        self.subscriber: Any = subscriber_at(pubsub.address)
        self._stack.callback(self.subscriber.transport.close)
        self.environment = {
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "STORE": "sqlite",
            "STORE_PATH": str(self.folder / "store.db"),
            "PUBSUB_EMULATOR_HOST": pubsub.address,
            "VERTEX_EMULATOR_HOST": self.vertex.address,
            "ID_TOKEN_CERTS_URL": f"{keys.url}/pem",  # the form of Google's v1 certificates
            "COMMAND_AUDIENCE": AUDIENCE,
            "COMMAND_OPERATORS": ADA,
        }
        before = dict(os.environ)
        os.environ.update(self.environment)
        self._stack.callback(_restore, before)
        world.cache_clear()
        self._stack.callback(world.cache_clear)
        host = self._stack.enter_context(ThreadedHost({"receive_command": FUNCTION}))
        self._stack.callback(world().store.close)
        self.url = host.url("receive_command")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def heard(self, topic: str) -> str:
        """A subscription that keeps what is published from now on."""
        name = f"projects/{PROJECT}/subscriptions/test-{topic}"
        self.subscriber.create_subscription({"name": name, "topic": f"projects/{PROJECT}/topics/{topic}"})
        return name

    def pull(self, subscription: str) -> list[Any]:
        """The messages in it, as far as they are due."""
        answer = self.subscriber.pull(subscription=subscription, max_messages=10, timeout=10)
        return [one.message for one in answer.received_messages]

    def rollouts(self, *arguments: str, who: str | None = ADA, **environment: str) -> Ran:
        """``rollouts ARGUMENT...`` as somebody with an ID token, or without one."""
        token = {"ROLLOUTS_ID_TOKEN": self.issuer.mint(who, AUDIENCE)} if who else {}
        return run(
            arguments,
            {"HOME": str(self.folder), "ROLLOUTS_COMMAND_URL": self.url, **self.environment, **token, **environment},
            self.folder,
        )


def run(arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> Ran:
    """The command line as a process of its own."""
    return command_line.run(arguments, {"PATH": str(folder), **environment}, folder)


def _restore(before: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
