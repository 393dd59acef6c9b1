"""Push delivery of the embedded Pub/Sub, where it is nearer to production than Google's emulator."""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, datetime

import pytest

from local.google_emulators import free_port
from local.pubsub import Faults, PubsubServer, counts, set_faults, set_max_in_flight
from local.pubsub.message import Message, push_body
from tests.local.cloud import Cloud, backoff, dead_letter
from tests.local.helpers import Endpoint, eventually


def settled(server: PubsubServer, subscription: str) -> dict[str, int] | None:
    """The counts of a subscription that has nothing left to do."""
    found = counts(server.address)[subscription]
    return found if found["published"] and not found["waiting"] and not found["outstanding"] else None


def test_the_body_counts_attempts_only_with_a_dead_letter_policy(cloud: Cloud, endpoint: Endpoint) -> None:
    topic, graveyard = cloud.topic(), cloud.topic()
    cloud.subscription(topic, f"{endpoint.url}/plain")
    cloud.subscription(topic, f"{endpoint.url}/counted", dead_letter_policy=dead_letter(graveyard))
    cloud.publish(topic)
    eventually(lambda: len(endpoint.posts) == 2)
    bodies = {post.path: post.body for post in endpoint.posts}
    assert "deliveryAttempt" not in bodies["/plain"]
    assert bodies["/counted"]["deliveryAttempt"] == 1


def test_a_message_without_data_has_no_data_key(cloud: Cloud, endpoint: Endpoint) -> None:
    topic = cloud.topic()
    cloud.subscription(topic, endpoint.url)
    cloud.publish(topic, b"", kind="bare")
    (post,) = eventually(lambda: list(endpoint.posts))
    assert sorted(post.body["message"]) == ["attributes", "messageId", "message_id", "publishTime", "publish_time"]


def test_an_ordering_key_is_passed_on() -> None:
    message = Message("1", datetime(2026, 1, 1, tzinfo=UTC), b"x", ordering_key="arr-coc")
    body = json.loads(push_body(message, "projects/proj-1/subscriptions/s", None))
    assert body["message"]["orderingKey"] == "arr-coc"
    assert body["message"]["publishTime"] == "2026-01-01T00:00:00.000Z"


def test_poison_reaches_the_dead_letters_after_five_attempts_in_compressed_time(
    cloud: Cloud, server: PubsubServer, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOCK_ORIGIN", "1700000000")
    monkeypatch.setenv("CLOCK_RATE", "1000")
    endpoint.answer = lambda _post: 500
    topic, graveyard = cloud.topic(), cloud.topic()
    buried = cloud.subscription(graveyard)
    policy = dead_letter(graveyard)
    subscription = cloud.subscription(topic, endpoint.url, retry_policy=backoff(10, 600), dead_letter_policy=policy)
    cloud.publish(topic, b"poison")
    (dead,) = cloud.pull_some(buried)
    assert dead.message.data == b"poison"
    assert [post.body["deliveryAttempt"] for post in endpoint.posts] == [1, 2, 3, 4, 5]
    found = settled(server, subscription)
    assert found is not None
    assert (found["delivered"], found["nacked"], found["dead_lettered"], found["acknowledged"]) == (5, 5, 1, 0)


def test_a_message_whose_dead_letter_topic_is_gone_is_delivered_further(cloud: Cloud, endpoint: Endpoint) -> None:
    endpoint.answer = lambda post: 200 if post.body["deliveryAttempt"] > 6 else 500
    topic, graveyard = cloud.topic(), cloud.topic()
    cloud.subscription(topic, endpoint.url, retry_policy=backoff(0, 0), dead_letter_policy=dead_letter(graveyard))
    cloud.publisher.delete_topic(topic=graveyard)
    cloud.publish(topic)
    eventually(lambda: len(endpoint.posts) == 7)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_these_answers_acknowledge(cloud: Cloud, server: PubsubServer, endpoint: Endpoint, status: int) -> None:
    endpoint.answer = lambda _post: status
    topic = cloud.topic()
    subscription = cloud.subscription(topic, endpoint.url)
    cloud.publish(topic)
    found = eventually(lambda: settled(server, subscription))
    assert (found["acknowledged"], found["nacked"]) == (1, 0)


@pytest.mark.parametrize("status", [203, 302, 400, 404, 429, 500])
def test_these_answers_do_not(cloud: Cloud, server: PubsubServer, endpoint: Endpoint, status: int) -> None:
    endpoint.answer = lambda _post: status if len(endpoint.posts) == 1 else 200
    topic = cloud.topic()
    subscription = cloud.subscription(topic, endpoint.url, retry_policy=backoff(0, 0))
    cloud.publish(topic)
    found = eventually(lambda: settled(server, subscription))
    assert (found["acknowledged"], found["nacked"]) == (1, 1)


def test_an_endpoint_that_is_not_there_yet_gets_the_message_later(cloud: Cloud, server: PubsubServer) -> None:
    topic = cloud.topic()
    port = free_port()
    subscription = cloud.subscription(topic, f"http://127.0.0.1:{port}", retry_policy=backoff(0.05, 0.1))
    cloud.publish(topic)
    eventually(lambda: counts(server.address)[subscription]["nacked"] > 0)
    with Endpoint() as late:
        cloud.subscriber.modify_push_config(subscription=subscription, push_config={"push_endpoint": late.url})
        eventually(lambda: settled(server, subscription))
        assert len(late.posts) == 1


def test_posts_share_connections(cloud: Cloud, server: PubsubServer, endpoint: Endpoint) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic, endpoint.url)
    set_max_in_flight(server.address, subscription, 1)
    for _ in range(10):
        cloud.publish(topic)
    eventually(lambda: settled(server, subscription))
    assert len(endpoint.posts) == 10
    assert len({post.client for post in endpoint.posts}) == 1


def test_no_more_posts_are_in_flight_than_allowed(cloud: Cloud, server: PubsubServer, endpoint: Endpoint) -> None:
    gate, lock = threading.Event(), threading.Lock()
    under_way: list[str] = []

    def hold(post: object) -> int:
        with lock:
            under_way.append("begun")
        gate.wait(10)
        return 200

    endpoint.answer = hold
    topic = cloud.topic()
    subscription = cloud.subscription(topic, endpoint.url)
    set_max_in_flight(server.address, subscription, 3)
    for _ in range(8):
        cloud.publish(topic)
    eventually(lambda: len(under_way) == 3)
    found = counts(server.address)[subscription]
    assert (found["outstanding"], found["waiting"]) == (3, 5)
    gate.set()
    eventually(lambda: settled(server, subscription))
    assert len(endpoint.posts) == 8


def test_a_slow_subscriber_does_not_hold_up_another(cloud: Cloud, endpoint: Endpoint) -> None:
    gate = threading.Event()
    endpoint.answer = lambda post: (gate.wait(10), 200)[1] if post.path == "/slow" else 200
    topic = cloud.topic()
    cloud.subscription(topic, f"{endpoint.url}/slow")
    cloud.subscription(topic, f"{endpoint.url}/fast")
    for _ in range(15):
        cloud.publish(topic)
    eventually(lambda: sum(post.path == "/fast" for post in endpoint.posts) == 15)
    eventually(lambda: sum(post.path == "/slow" for post in endpoint.posts) == 10)
    gate.set()


def test_every_message_can_be_made_to_come_twice(cloud: Cloud, server: PubsubServer, endpoint: Endpoint) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic, endpoint.url)
    set_faults(server.address, subscription, Faults(duplicate=True))
    message_id = cloud.publish(topic)
    eventually(lambda: settled(server, subscription))
    assert [post.message_id for post in endpoint.posts] == [message_id, message_id]


def test_an_acknowledgement_can_be_lost(cloud: Cloud, server: PubsubServer, endpoint: Endpoint) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic, endpoint.url, retry_policy=backoff(0, 0))
    set_faults(server.address, subscription, Faults(drop_acks=2))
    cloud.publish(topic)
    found = eventually(lambda: settled(server, subscription))
    assert (len(endpoint.posts), found["acks_dropped"], found["acknowledged"]) == (3, 2, 1)


def test_messages_can_be_made_to_overtake_each_other(cloud: Cloud, server: PubsubServer, endpoint: Endpoint) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic, endpoint.url)
    set_max_in_flight(server.address, subscription, 1)
    set_faults(server.address, subscription, Faults(delay_seconds=0.1, reorder_within_seconds=0.2, seed=1))
    sent = [cloud.publish(topic) for _ in range(10)]
    eventually(lambda: settled(server, subscription))
    arrived = [post.message_id for post in endpoint.posts]
    assert arrived != sent
    assert sorted(arrived) == sorted(sent)


def test_a_subscription_can_be_deleted_while_it_is_served(cloud: Cloud, endpoint: Endpoint) -> None:
    gate = threading.Event()
    endpoint.answer = lambda _post: (gate.wait(10), 200)[1]
    topic = cloud.topic()
    subscription = cloud.subscription(topic, endpoint.url)
    cloud.publish(topic)
    eventually(lambda: endpoint.posts)
    cloud.subscriber.delete_subscription(subscription=subscription)
    gate.set()
    cloud.subscription(topic, f"{endpoint.url}/next")
    cloud.publish(topic)
    eventually(lambda: [post for post in endpoint.posts if post.path == "/next"])


def test_a_port_that_is_taken_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            PubsubServer(port)
