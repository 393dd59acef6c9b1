"""Delivery to topics and webhooks, inline and in the background."""

from __future__ import annotations

import base64
import threading

import pytest

from tests.emulator_monitoring.webhooks import Receiver, receiver
from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.channels import Delivery
from vertex_emulator.monitoring.protos import Message


def token_channel(hook: Receiver) -> Message:
    labels = {"url": f"{hook.url}/?auth_token=opensesame"}
    return protos.NotificationChannel(name="hook", type_="webhook_tokenauth", labels=labels)


def basic_channel(hook: Receiver) -> Message:
    labels = {"url": hook.url, "username": "monitoring", "password": "opensesame"}
    return protos.NotificationChannel(name="hook", type_="webhook_basicauth", labels=labels)


def topic_channel() -> Message:
    return protos.NotificationChannel(name="topic", type_="pubsub", labels={"topic": "projects/p/topics/t"})


def test_a_webhook_that_fails_at_first_gets_the_message_once_it_recovers() -> None:
    delivery = Delivery(None, backoff=0)
    with receiver(Receiver(statuses=[503, 500])) as hook:
        delivery.send(token_channel(hook), b"{}")
        assert [path for path, _, _ in hook.requests] == ["/?auth_token=opensesame"] * 3
    assert delivery.undelivered == []


@pytest.mark.parametrize(("statuses", "tries", "reason"), [([400], 1, "answered 400"), ([500] * 9, 4, "answered 500")])
def test_a_message_is_given_up_at_once_on_4xx_and_after_four_tries_on_5xx(
    statuses: list[int], tries: int, reason: str
) -> None:
    delivery = Delivery(None, backoff=0)
    with receiver(Receiver(statuses=statuses)) as hook:
        delivery.send(token_channel(hook), b"{}")
        assert len(hook.requests) == tries
    (given_up,) = delivery.undelivered
    assert (given_up.channel, given_up.reason) == ("hook", reason)


def test_basic_credentials_are_sent_only_after_a_challenge() -> None:
    delivery = Delivery(None, backoff=0)
    with receiver(Receiver(challenge=True)) as hook:
        delivery.send(basic_channel(hook), b"{}")
        expected = "Basic " + base64.b64encode(b"monitoring:opensesame").decode()
        assert [authorization for _, authorization, _ in hook.requests] == ["", expected]
    assert delivery.undelivered == []


def test_a_401_without_a_challenge_gets_no_credentials() -> None:
    delivery = Delivery(None, backoff=0)
    with receiver(Receiver(statuses=[401])) as hook:
        delivery.send(basic_channel(hook), b"{}")
        assert [authorization for _, authorization, _ in hook.requests] == [""]
    assert "WWW-Authenticate" in delivery.undelivered[0].reason


def test_an_unreachable_webhook_is_recorded_not_raised() -> None:
    delivery = Delivery(None, backoff=0)
    with receiver(Receiver()) as hook:
        channel = token_channel(hook)
    delivery.send(channel, b"{}")
    assert "ConnectionRefusedError" in delivery.undelivered[0].reason


def test_a_publisher_that_fails_once_is_called_again() -> None:
    calls: list[str] = []

    def publish(topic: str, data: bytes) -> None:
        calls.append(topic)
        if len(calls) == 1:
            raise ConnectionError("not yet")

    delivery = Delivery(publish, backoff=0)
    delivery.send(topic_channel(), b"{}")
    assert calls == ["projects/p/topics/t"] * 2
    assert delivery.undelivered == []


def test_without_a_publisher_a_topic_channel_says_so() -> None:
    delivery = Delivery(None, backoff=0)
    delivery.send(topic_channel(), b"{}")
    assert "publish callback" in delivery.undelivered[0].reason


def test_in_the_background_a_slow_channel_holds_nobody_up_and_order_is_kept() -> None:
    release, sent = threading.Event(), list[bytes]()

    def publish(_topic: str, data: bytes) -> None:
        release.wait(10)
        sent.append(data)

    delivery = Delivery(publish, backoff=0)
    delivery.start()
    for data in (b"open", b"closed"):
        delivery.send(topic_channel(), data)
    assert sent == []
    release.set()
    delivery.stop()
    assert sent == [b"open", b"closed"]
