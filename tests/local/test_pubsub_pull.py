"""Subscriptions that are pulled, and the settings of all, in the embedded Pub/Sub."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import types

from local.pubsub import Faults, PubsubServer, control, set_faults
from tests.local.cloud import Cloud, backoff, dead_letter
from tests.local.helpers import PROJECT, Endpoint, eventually


@pytest.fixture
def subscriber(server: PubsubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The client that applications use, which finds the server by the variable of Google's emulator."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
    with pubsub_v1.SubscriberClient() as client:
        yield client


def test_the_application_clients_publish_in_batches_and_stream(
    cloud: Cloud, server: PubsubServer, subscriber: Any
) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic)
    seen: list[bytes] = []
    enough = threading.Event()

    def take(message: Any) -> None:
        if message.data == b"7" and b"7" not in seen:
            message.nack()
        else:
            message.ack()
        seen.append(message.data)
        if len(seen) == 21:
            enough.set()

    stream = subscriber.subscribe(subscription, callback=take)
    publisher = pubsub_v1.PublisherClient()
    for future in [publisher.publish(topic, str(number).encode()) for number in range(20)]:
        future.result(timeout=10)
    publisher.stop()
    publisher.transport.close()
    assert enough.wait(20)
    eventually(lambda: server.broker.counts()[subscription]["outstanding"] == 0)
    stream.cancel()
    stream.result(timeout=10)
    assert sorted(seen) == sorted([str(number).encode() for number in range(20)] + [b"7"])
    found = server.broker.counts()[subscription]
    assert (found["published"], found["nacked"], found["acknowledged"]) == (20, 1, 20)


def test_a_stream_holds_no_more_than_its_client_allows(cloud: Cloud, server: PubsubServer, subscriber: Any) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic)
    gate = threading.Event()

    def wait(message: Any) -> None:
        gate.wait(10)
        message.ack()

    stream = subscriber.subscribe(subscription, callback=wait, flow_control=pubsub_v1.types.FlowControl(max_messages=2))
    for _ in range(5):
        cloud.publish(topic)
    eventually(lambda: server.broker.counts()[subscription]["outstanding"] == 2)
    assert server.broker.counts()[subscription]["waiting"] == 3
    gate.set()
    eventually(lambda: server.broker.counts()[subscription]["acknowledged"] == 5)
    stream.cancel()
    stream.result(timeout=10)


def test_acknowledgements_and_deadlines_may_come_over_the_stream(cloud: Cloud, server: PubsubServer) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic)
    requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    requests.put({"subscription": subscription, "stream_ack_deadline_seconds": 60})
    stream = cloud.subscriber.streaming_pull(requests=map(types.StreamingPullRequest, iter(requests.get, None)))
    cloud.publish(topic)
    (first,) = next(stream).received_messages
    requests.put({"modify_deadline_ack_ids": [first.ack_id], "modify_deadline_seconds": [0]})
    (second,) = next(stream).received_messages
    assert second.message.message_id == first.message.message_id
    requests.put({"ack_ids": [second.ack_id]})
    eventually(lambda: server.broker.counts()[subscription]["acknowledged"] == 1)
    requests.put(None)
    stream.cancel()


def test_a_stream_from_nowhere_is_refused(cloud: Cloud) -> None:
    for name, error in (("", exceptions.InvalidArgument), (f"{PROJECT}/subscriptions/nowhere", exceptions.NotFound)):
        request = types.StreamingPullRequest(subscription=name, stream_ack_deadline_seconds=60)
        with pytest.raises(error):
            next(cloud.subscriber.streaming_pull(requests=iter([request])))


def test_a_pull_waits_for_a_message_that_comes_soon(cloud: Cloud) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic)
    timer = threading.Timer(0.1, cloud.publish, (topic,))
    timer.start()
    assert len(cloud.pull(subscription)) == 1
    timer.join()


def test_an_acknowledgement_can_be_lost_without_a_word(cloud: Cloud, server: PubsubServer) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic)
    set_faults(server.address, subscription, Faults(drop_acks=1))
    cloud.publish(topic)
    (received,) = cloud.pull_some(subscription)
    for outstanding in (1, 0):
        cloud.subscriber.acknowledge(subscription=subscription, ack_ids=[received.ack_id])
        assert server.broker.counts()[subscription]["outstanding"] == outstanding


def test_a_message_that_is_not_acknowledged_in_time_comes_again(cloud: Cloud, server: PubsubServer) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic)
    cloud.publish(topic)
    (received,) = cloud.pull_some(subscription)
    cloud.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=1)
    (again,) = cloud.pull_some(subscription)
    assert again.message.message_id == received.message.message_id
    assert server.broker.counts()[subscription]["deadline_exceeded"] == 1


def test_settings_left_out_have_the_documented_defaults(cloud: Cloud) -> None:
    topic, graveyard = cloud.topic(), cloud.topic()
    name = cloud.subscription(topic, dead_letter_policy={"dead_letter_topic": graveyard}, retry_policy={})
    found = cloud.subscriber.get_subscription(subscription=name)
    assert found.ack_deadline_seconds == 10
    assert found.message_retention_duration.days == 7
    assert found.dead_letter_policy.max_delivery_attempts == 5
    assert found.retry_policy.minimum_backoff.seconds == 10
    assert found.retry_policy.maximum_backoff.seconds == 600


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"ack_deadline_seconds": 601}, "between 10 and 600"),
        ({"message_retention_duration": Duration(seconds=60)}, "10 minutes and 31 days"),
        ({"retry_policy": backoff(20, 10)}, "the minimum first"),
        ({"retry_policy": backoff(10, 601)}, "within 0 and 600 s"),
        ({"push_config": {"push_endpoint": "localhost:8080"}}, "is not a URL"),
    ],
)
def test_a_setting_out_of_bounds_is_refused(cloud: Cloud, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=says):
        cloud.subscription(cloud.topic(), **settings)


@pytest.mark.parametrize(
    ("settings", "feature"),
    [
        ({"enable_message_ordering": True}, "ordering"),
        ({"enable_exactly_once_delivery": True}, "exactly-once"),
        ({"bigquery_config": {"table": "p.d.t"}}, "BigQuery"),
        ({"push_config": {"push_endpoint": "http://127.0.0.1:1", "no_wrapper": {}}}, "unwrapped push"),
    ],
)
def test_what_is_not_offered_is_refused_instead_of_ignored(
    cloud: Cloud, settings: dict[str, Any], feature: str
) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match=feature):
        cloud.subscription(cloud.topic(), **settings)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({f"k{number}": "v" for number in range(101)}, "at most 100 attributes"),
        ({"k" * 257: "v"}, "key has 1 to 256 bytes"),
        ({"k": "v" * 1025}, "more than 1024 bytes"),
    ],
)
def test_attributes_beyond_the_quota_are_refused(cloud: Cloud, attributes: dict[str, str], says: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=says):
        cloud.publish(cloud.topic(), b"x", **attributes)


def test_a_subscription_is_changed_by_its_mask_alone(cloud: Cloud, endpoint: Endpoint) -> None:
    topic, graveyard = cloud.topic(), cloud.topic()
    name = cloud.subscription(topic, endpoint.url, retry_policy=backoff(1, 2))
    changed = {
        "name": name,
        "topic": topic,
        "ack_deadline_seconds": 60,
        "dead_letter_policy": dead_letter(graveyard, 7),
        "retry_policy": backoff(3, 4),
    }
    mask = {"paths": ["ack_deadline_seconds", "dead_letter_policy"]}
    cloud.subscriber.update_subscription({"subscription": changed, "update_mask": mask})
    found = cloud.subscriber.get_subscription(subscription=name)
    assert found.ack_deadline_seconds == 60
    assert found.dead_letter_policy.max_delivery_attempts == 7
    assert found.retry_policy.minimum_backoff.seconds == 1
    assert found.push_config.push_endpoint == endpoint.url
    with pytest.raises(exceptions.InvalidArgument, match="update_mask"):
        cloud.subscriber.update_subscription({"subscription": changed, "update_mask": {"paths": ["filter"]}})


def test_a_deadline_beyond_ten_minutes_is_refused(cloud: Cloud) -> None:
    subscription = cloud.subscription(cloud.topic())
    with pytest.raises(exceptions.InvalidArgument, match="between 0 and 600"):
        cloud.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=["a"], ack_deadline_seconds=601)


def test_a_pull_from_a_push_subscription_or_for_nothing_is_refused(cloud: Cloud, endpoint: Endpoint) -> None:
    topic = cloud.topic()
    with pytest.raises(exceptions.InvalidArgument, match="push subscription"):
        cloud.pull(cloud.subscription(topic, endpoint.url))
    with pytest.raises(exceptions.InvalidArgument, match="max_messages"):
        cloud.pull(cloud.subscription(topic), limit=0)


def test_lists_come_in_pages_and_keep_to_their_project(cloud: Cloud) -> None:
    topics = sorted(cloud.topic() for _ in range(5))
    cloud.publisher.create_topic(name="projects/proj-10/topics/elsewhere")
    found = cloud.publisher.list_topics(request={"project": PROJECT, "page_size": 2})
    assert [topic.name for topic in found] == topics
    subscriptions = sorted(cloud.subscription(topics[0]) for _ in range(3))
    listed = cloud.subscriber.list_subscriptions(request={"project": PROJECT, "page_size": 2})
    assert [subscription.name for subscription in listed] == subscriptions
    assert list(cloud.publisher.list_topic_subscriptions(topic=topics[0])) == subscriptions
    assert list(cloud.publisher.list_topic_subscriptions(topic=topics[1])) == []


def test_the_controls_name_what_they_do_not_find(server: PubsubServer) -> None:
    missing = f"{PROJECT}/subscriptions/nowhere"
    with pytest.raises(grpc.RpcError, match="nowhere"):
        control.set_faults(server.address, missing, Faults())
    with pytest.raises(grpc.RpcError, match="nowhere"):
        control.set_max_in_flight(server.address, missing, 1)
