"""Telling people: signed, once per channel, again where a channel was down; and never a secret in a log."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from local.identity import Issuer
from local.receiver import Receiver
from shared import topics
from tests.functional.functions.harness import NOTICE_SECRET, Cloud
from tests.functional.functions.policies import policy
from tests.local.helpers import Endpoint


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch, cloud: Cloud, people: Receiver) -> Iterator[Endpoint]:
    """A second channel, ``chat``, that answers as the test says."""
    with Endpoint() as chat:
        channels = {
            "ops": {"url": people.url, "secret": NOTICE_SECRET},
            "chat": {"url": f"{chat.url}/secret-path", "secret": NOTICE_SECRET},
        }
        monkeypatch.setenv("NOTIFY_CHANNELS", json.dumps(channels))
        cloud.apply(policy(notify=["webhook://chat", "webhook://ops"]))
        cloud.deploy("run-1")
        yield chat


def changes(cloud: Cloud) -> list[bytes]:
    return [message.data for message in cloud.published(topics.ROLLOUT_CHANGED)]


def test_people_get_the_sentence_of_the_ledger_once(cloud: Cloud, people: Receiver) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    events = changes(cloud)
    for data in (*events, *events):
        assert cloud.wake("notify", data) == 200
    assert people.forged == 0
    assert set(people.received.values()) == {1}
    told = {notice["sentence"] for notice in people.notices}
    assert told == {e.sentence for e in cloud.ledger("1") if e.decision != "operate"}
    promoted = next(n for n in people.notices if n["decision"] == "promote")
    assert promoted["thread"] == cloud.rollout("1").id
    assert promoted["traffic"]["after"] == {cloud.rollout("1").deployed_id: 100}
    assert promoted["now"]["phase"] == "watching"


def test_a_channel_that_is_down_does_not_stop_the_others_and_gets_it_later(
    cloud: Cloud, people: Receiver, other: Endpoint
) -> None:
    other.answer = lambda _: 500
    (first, *_) = changes(cloud)
    assert cloud.wake("notify", first) == 500
    assert len(people.notices) == 1
    assert cloud.wake("notify", first) == 500
    other.answer = lambda _: 200
    assert cloud.wake("notify", first) == 200
    assert cloud.wake("notify", first) == 200
    assert (len(other.posts), sum(people.received.values())) == (3, 1)


def test_a_channel_that_refuses_is_given_up_with_a_line(
    cloud: Cloud, people: Receiver, other: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    other.answer = lambda _: 404
    (first, *_) = changes(cloud)
    assert [cloud.wake("notify", first), cloud.wake("notify", first)] == [200, 200]
    assert (len(other.posts), sum(people.received.values())) == (1, 1)
    assert "channel webhook://chat answered 404" in capsys.readouterr().out


def test_a_channel_that_nobody_configured_does_not_stop_the_others(
    cloud: Cloud, people: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.apply(policy(notify=["webhook://nobody", "webhook://ops"]))
    cloud.deploy("run-1")
    (first, *_) = changes(cloud)
    assert cloud.wake("notify", first) == 200
    assert len(people.notices) == 1
    assert "channel webhook://nobody is not in NOTIFY_CHANNELS; known are ops" in capsys.readouterr().out


def test_a_notice_whose_event_was_lost_is_announced_again_by_a_tick(cloud: Cloud, people: Receiver) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    assert changes(cloud)
    cloud.advance(minutes=3)
    cloud.tick("assess_rollouts")
    assert set(cloud.deliver(topics.ROLLOUT_CHANGED)) == {200}
    told = len(people.notices)
    assert told == len([e for e in cloud.ledger("1") if e.decision != "operate"])
    cloud.advance(minutes=3)
    cloud.tick("assess_rollouts")
    assert changes(cloud) == []


def test_no_secret_is_ever_logged(
    cloud: Cloud,
    people: Receiver,
    other: Endpoint,
    signed: Issuer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ALERT_TOKEN", "the-secret-of-the-alerts")
    other.answer = lambda _: 503
    for data in changes(cloud):
        cloud.wake("notify", data)
    for token in ("the-secret-of-the-alerts", "guessed-secret"):
        cloud.apps.client("receive_alert").post("/", query_string={"auth_token": token}, data=b"nonsense")
    cloud.command({"command": "pause", "rollout": "no-such"})
    cloud.command({"command": "pause", "rollout": "no-such"}, f"{cloud.token[:-9]}AAAAAAAAA")
    logged = "".join(capsys.readouterr())
    assert "answered 503" in logged
    for secret in (
        "the-secret-of-the-alerts",
        "guessed-secret",
        NOTICE_SECRET,
        "secret-path",
        people.url,
        cloud.token[:40],
    ):
        assert secret not in logged


@pytest.mark.parametrize("stranger", [{"endpoint": "churn-serving"}, {"deployed_model": "123", "endpoint": None}])
def test_a_person_is_called_about_an_alert_that_belongs_to_no_rollout(
    cloud: Cloud, people: Receiver, stranger: dict[str, str | None]
) -> None:
    """Where the endpoint is named the policy says who; where it is not, the log has it, and nothing is lost as poison."""
    cloud.apply(policy())
    assert cloud.wake("roll_back", cloud.alarm(**stranger)) == 200
    (told,) = changes(cloud)
    assert cloud.wake("notify", told) == 200
    assert cloud.dead_letters() == []
    assert [n["sentence"].split(":")[0] for n in people.notices] == (
        ["An alert names a target that does not exist"] if stranger["endpoint"] else []
    )
    assert cloud.world.store.unsent_notices() == []
