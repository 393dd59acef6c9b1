"""People in Slack and Google Chat: one thread per rollout, by how serious it is, and nothing stops because a chat is dead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from shared import topics
from shared.store.threads import LEASE
from tests.functional.functions.chats import KEY, TOKEN, Chats
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import judged, policy

ALL = ["slack://ml", "gchat://space", "slack://hook?from=warning"]


@pytest.fixture
def chats(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chats]:
    with Chats() as made:
        monkeypatch.setenv("NOTIFY_CHANNELS", json.dumps(made.channels()))
        monkeypatch.setenv("STATUS_PAGE_URL", "https://rollouts.example.com/")
        yield made


def told(cloud: Cloud) -> list[int]:
    """Deliver what waits for ``notify``; what it answered."""
    return [cloud.wake("notify", message.data) for message in cloud.published(topics.ROLLOUT_CHANGED)]


def said(message: dict[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False)


def bad_second_version(cloud: Cloud) -> None:
    cloud.apply(judged(notify=ALL))
    cloud.deploy("run-1")
    cloud.minutes(20)
    cloud.deploy("run-2")
    cloud.minutes(8, errors={"2": 0.3})
    assert cloud.rollout("2").phase.value == "rolled_back"


def test_each_rollout_has_one_thread_in_each_chat(cloud: Cloud, chats: Chats) -> None:
    bad_second_version(cloud)
    assert set(told(cloud)) == {200}
    first, second = cloud.rollout("1").id, cloud.rollout("2").id
    roots = {message["ts"] for message in chats.slack if "thread_ts" not in message}
    assert len(roots) == 2
    assert {message["thread_ts"] for message in chats.slack if "thread_ts" in message} == roots
    assert {message["in"] for message in chats.gchat} == {first, second}
    told_of = [e for v in ("1", "2") for e in cloud.ledger(v) if e.decision != "operate"]
    assert len(chats.slack) == len(chats.gchat) == len(told_of)


def test_a_rollback_is_told_with_numbers_traffic_times_and_links(cloud: Cloud, chats: Chats) -> None:
    bad_second_version(cloud)
    told(cloud)
    (rolled,) = [m for m in chats.slack if "Rolled back" in m["blocks"][0]["text"]["text"]]
    entry = next(e for e in cloud.ledger("2") if e.decision == "roll_back")
    assert entry.detected_at and entry.restored_at and entry.detected_at <= entry.restored_at
    text = said(rolled)
    for part in (
        "v2: 10 % → *0 %*",
        "v1: 90 % → *100 %*",
        "observed ",
        "limit 0.01",
        "from its first share",
        "from the alert",
    ):
        assert part in text
    assert f"https://rollouts.example.com/rollouts/{entry.rollout}|Rollout" in text
    assert rolled["reply_broadcast"] is True
    assert said(chats.gchat[[m["fallbackText"] for m in chats.gchat].index(entry.sentence)]).count("openLink") == 4


def test_a_channel_hears_only_what_is_serious_enough(cloud: Cloud, chats: Chats) -> None:
    bad_second_version(cloud)
    told(cloud)
    serious = [e for v in ("1", "2") for e in cloud.ledger(v) if e.severity != "info"]
    assert [message["text"] for message in chats.hooked if "Rolled back" in message["text"]]
    assert len(chats.hooked) == len([e for e in serious if e.decision != "operate"])


def test_the_same_event_again_tells_nobody_again(cloud: Cloud, chats: Chats) -> None:
    cloud.apply(policy(notify=ALL))
    cloud.deploy("run-1")
    events = [message.data for message in cloud.published(topics.ROLLOUT_CHANGED)]
    for data in (*events, *events):
        assert cloud.wake("notify", data) == 200
    assert len(chats.slack) == len(chats.gchat) == len(set(events))


def test_dead_chats_stop_no_rollout_and_no_rollback(cloud: Cloud, chats: Chats) -> None:
    chats.trouble = lambda _: (503, "down")
    cloud.apply(judged(notify=ALL))
    cloud.deploy("run-1")
    assert set(told(cloud)) == {500}
    cloud.minutes(20)
    cloud.deploy("run-2")
    cloud.minutes(8, errors={"2": 0.3})
    assert cloud.split() == {"1": 100}
    chats.trouble = lambda _: None
    assert set(told(cloud)) == {200}
    assert [m for m in chats.gchat if "Rolled back" in m["fallbackText"]]


def test_a_chat_that_is_dead_for_more_than_a_day_is_given_up(
    cloud: Cloud, chats: Chats, capsys: pytest.CaptureFixture[str]
) -> None:
    chats.trouble = lambda path: (503, "down") if path.startswith("/api") else None
    cloud.apply(policy(notify=ALL))
    cloud.deploy("run-1")
    first, *_ = (message.data for message in cloud.published(topics.ROLLOUT_CHANGED))
    assert cloud.wake("notify", first) == 500
    cloud.advance(seconds=timedelta(days=1).total_seconds())
    assert cloud.wake("notify", first) == 200
    assert "given up, as it is no news any more: channel slack://ml answered 503" in capsys.readouterr().out
    assert (len(chats.slack), len(chats.gchat)) == (0, 1)


@pytest.mark.parametrize(
    ("answer", "status", "line"),
    [
        ({"ok": False, "error": "ratelimited"}, 500, "channel slack://ml answered ratelimited"),
        ("<html>gateway</html>", 500, "channel slack://ml answered what is not Slack's"),
        ([], 500, "channel slack://ml answered what is not Slack's"),
        ({"ok": False, "error": "is_archived"}, 200, "answered is_archived; check its token and channel"),
        ({"ok": False, "error": f"no {TOKEN}"}, 200, "answered an error without a name; check its token"),
    ],
)
def test_what_slack_refuses_is_said_without_what_it_wrote(
    cloud: Cloud, chats: Chats, capsys: pytest.CaptureFixture[str], answer: Any, status: int, line: str
) -> None:
    cloud.apply(policy(notify=["slack://ml"]))
    cloud.deploy("run-1")
    chats.trouble = lambda _: (200, answer)
    first, *_ = (message.data for message in cloud.published(topics.ROLLOUT_CHANGED))
    assert cloud.wake("notify", first) == status
    logged = capsys.readouterr().out
    assert line in logged
    assert TOKEN not in logged and "gateway" not in logged


def test_no_credential_of_a_chat_is_ever_logged(
    cloud: Cloud, chats: Chats, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Chats() as gone:
        unreachable = gone.channels()["space"]
    monkeypatch.setenv("NOTIFY_CHANNELS", json.dumps({**chats.channels(), "space": unreachable}))
    cloud.apply(policy(notify=ALL))
    cloud.deploy("run-1")
    first, *_ = (message.data for message in cloud.published(topics.ROLLOUT_CHANGED))
    for trouble in ((503, KEY), (302, KEY), (404, {"error": KEY})):
        chats.trouble = lambda _, answer=trouble: answer  # type: ignore[misc]
        cloud.wake("notify", first)
    logged = "".join(capsys.readouterr())
    assert "cannot be reached" in logged
    assert TOKEN not in logged and KEY not in logged and chats.url not in logged


def test_a_thread_whose_beginning_was_deleted_begins_anew(cloud: Cloud, chats: Chats) -> None:
    cloud.apply(policy(notify=["slack://ml"]))
    cloud.deploy("run-1")
    first, second, *_ = (message.data for message in cloud.published(topics.ROLLOUT_CHANGED))
    assert cloud.wake("notify", first) == 200
    chats.slack.clear()
    assert cloud.wake("notify", second) == 500
    assert cloud.wake("notify", second) == 200
    (again,) = chats.slack
    assert "thread_ts" not in again


def test_two_deliveries_at_once_do_not_begin_two_threads(cloud: Cloud, chats: Chats) -> None:
    """The second comes while the first is under way, and is sent back; when the first has died it goes on alone."""
    cloud.apply(policy(notify=["slack://ml"]))
    cloud.deploy("run-1")
    first, second, *_ = (message.data for message in cloud.published(topics.ROLLOUT_CHANGED))
    rollout = cloud.rollout("1").id
    cloud.world.store.threads.take("slack://ml", rollout, cloud.now)
    assert cloud.wake("notify", first) == 500
    assert chats.slack == []
    cloud.advance(seconds=LEASE.total_seconds() + 1)
    assert [cloud.wake("notify", first), cloud.wake("notify", second)] == [200, 200]
    root, reply = chats.slack
    assert reply["thread_ts"] == root["ts"]


def test_a_failed_first_message_leaves_the_thread_to_the_next(cloud: Cloud, chats: Chats) -> None:
    cloud.apply(policy(notify=["slack://ml"]))
    cloud.deploy("run-1")
    first, *_ = (message.data for message in cloud.published(topics.ROLLOUT_CHANGED))
    chats.trouble = lambda _: (500, "")
    assert cloud.wake("notify", first) == 500
    chats.trouble = lambda _: None
    assert cloud.wake("notify", first) == 200
    assert len(chats.slack) == 1
