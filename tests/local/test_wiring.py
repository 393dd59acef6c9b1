"""Wiring functions to topics, on our Pub/Sub and on Google's."""

from __future__ import annotations

import pytest

from local.google_emulators import NotInstalled, start_pubsub
from local.pubsub import PubsubServer
from local.pubsub.wiring import ACK_DEADLINE, Route, wire
from tests.local.cloud import Cloud
from tests.local.helpers import Endpoint, eventually

ROUTES = {
    "roll_back": Route("alert-fired", attempts=100),
    "assess_rollouts": Route("schedule", 'attributes.job = "assess"'),
}


def wired_and_woken(address: str, endpoint: Endpoint) -> None:
    wired = wire(address, "proj-1", ROUTES, lambda name: f"{endpoint.url}/{name}", push_identity="push@example.com")
    with Cloud(address) as cloud:
        found = cloud.subscriber.get_subscription(subscription=wired["roll_back"])
        assert found.name == "projects/proj-1/subscriptions/roll-back"
        assert found.ack_deadline_seconds == ACK_DEADLINE
        assert found.dead_letter_policy.max_delivery_attempts == 100
        assert found.retry_policy.minimum_backoff.seconds == 10
        assert found.retry_policy.maximum_backoff.seconds == 600
        assert found.push_config.oidc_token.audience == f"{endpoint.url}/roll_back"
        filtered = cloud.subscriber.get_subscription(subscription=wired["assess_rollouts"])
        assert filtered.filter == 'attributes.job = "assess"'
        cloud.publish("projects/proj-1/topics/alert-fired")
    (post,) = eventually(lambda: list(endpoint.posts))
    assert post.path == "/roll_back/projects/proj-1/topics/alert-fired"


def test_functions_are_wired_to_our_pubsub(server: PubsubServer, endpoint: Endpoint) -> None:
    wired_and_woken(server.address, endpoint)


@pytest.mark.emulator
def test_functions_are_wired_to_googles_emulator(endpoint: Endpoint) -> None:
    emulator = start_pubsub()
    if isinstance(emulator, NotInstalled):
        pytest.skip(emulator.reason)
    with emulator:
        wired_and_woken(emulator.address, endpoint)


def test_wiring_again_moves_the_functions_and_keeps_the_messages(
    server: PubsubServer, cloud: Cloud, endpoint: Endpoint
) -> None:
    wire(server.address, "proj-1", ROUTES, lambda _name: "http://127.0.0.1:9")
    wire(server.address, "proj-1", ROUTES, lambda name: f"{endpoint.url}/moved/{name}")
    cloud.publish("projects/proj-1/topics/schedule", b"x", job="assess")
    (post,) = eventually(lambda: list(endpoint.posts))
    assert post.path == "/moved/assess_rollouts/projects/proj-1/topics/schedule"
