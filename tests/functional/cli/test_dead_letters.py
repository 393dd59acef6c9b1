"""``rollouts dead-letters``: shown without being taken, and published again where they came from."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local.pubsub import PubsubServer
from local.pubsub.clients import publisher_at, subscriber_at
from local.pubsub.wiring import Route, wire
from rollouts_cli.main import app
from shared import topics
from tests.command_line import Ran
from tests.functional.cli.town import run

PROJECT = "proj-1"
ALERTS = f"projects/{PROJECT}/topics/{topics.ALERT_FIRED}"
REASON = "analysis alert: endpoint: expected an id; found null"
AT_80 = """\
ID                TIME (UTC)           FUNCTION   TOPIC
{0}  {1}  roll_back  alert-fired
    analysis alert: endpoint: expected an id; found null  {{"id": 7}}
`rollouts dead-letters show {0}` shows all of the first one, `redrive` publishes it again
"""


class Cellar:
    """Pub/Sub with the dead letters' topic and subscription, as it is wired everywhere."""

    in_process = True
    """Whether the command line runs in this process, which spares it a second."""

    def __init__(self, server: PubsubServer, folder: Path) -> None:
        self.server, self._folder = server, folder
        self.publisher: Any = publisher_at(server.address)
        self.subscriber: Any = subscriber_at(server.address)

    def keep(self, data: bytes, **attributes: str) -> str:
        """A dead letter; its id."""
        topic = f"projects/{PROJECT}/topics/{topics.DEAD_LETTERS}"
        answer = self.publisher.publish(topic=topic, messages=[{"data": data, "attributes": attributes}])
        return str(answer.message_ids[0])

    def heard(self, topic: str) -> str:
        """A subscription to a topic, for the test."""
        name = f"projects/{PROJECT}/subscriptions/test"
        self.subscriber.create_subscription({"name": name, "topic": f"projects/{PROJECT}/topics/{topic}"})
        return name

    def pull(self, subscription: str) -> list[Any]:
        answer = self.subscriber.pull(subscription=subscription, max_messages=10, timeout=10)
        self.subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in answer.received_messages])
        return [one.message for one in answer.received_messages]

    def rollouts(self, *arguments: str, **environment: str) -> Ran:
        known = {"GOOGLE_CLOUD_PROJECT": PROJECT, "PUBSUB_EMULATOR_HOST": self.server.address}
        if self.in_process:
            found = CliRunner().invoke(app, ["dead-letters", *arguments], env={**known, **environment})
            return Ran(found.exit_code, found.stdout, found.stderr)
        return run(("dead-letters", *arguments), {**known, **environment}, self._folder)

    def close(self) -> None:
        self.publisher.transport.close()
        self.subscriber.transport.close()


@pytest.fixture
def cellar(tmp_path: Path) -> Iterator[Cellar]:
    with PubsubServer() as server:
        wire(server.address, PROJECT, {}, lambda name: name, topics=topics.ALL)
        made = Cellar(server, tmp_path)
        yield made
        made.close()


def kept_by_a_handler(cellar: Cellar, **changes: str) -> str:
    attributes = {"function": "roll_back", "reason": REASON, "topic": ALERTS, "message_id": "17", **changes}
    return cellar.keep(b'{"id": 7}', **{key: value for key, value in attributes.items() if value})


def test_they_are_shown_with_their_reason_and_stay(cellar: Cellar) -> None:
    id_ = kept_by_a_handler(cellar)
    ran = cellar.rollouts("list", COLUMNS="80")
    told = json.loads(cellar.rollouts("list", "--json").out)["dead_letters"]
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == AT_80.format(id_, told[0]["at"][:19].replace("T", " "))
    assert told == [
        {
            "id": id_,
            "original": "17",
            "at": told[0]["at"],
            "function": "roll_back",
            "topic": ALERTS,
            "reason": REASON,
            "redrives": 0,
            "attributes": {},
            "data": base64.b64encode(b'{"id": 7}').decode(),
        }
    ]
    counts = cellar.server.broker.counts()[f"projects/{PROJECT}/subscriptions/{topics.DEAD_LETTERS}"]
    assert counts["acknowledged"] == 0


def test_one_is_published_again_with_its_originals_id_and_only_it_is_taken_off(cellar: Cellar) -> None:
    id_, other = kept_by_a_handler(cellar), kept_by_a_handler(cellar, message_id="18")
    heard = cellar.heard(topics.ALERT_FIRED)
    ran = cellar.rollouts("redrive", id_)
    assert (ran.code, ran.out) == (0, f"{id_}: published again to alert-fired, for roll_back to take\n")
    (message,) = cellar.pull(heard)
    assert (message.data, dict(message.attributes)) == (b'{"id": 7}', {"redrive_of": "17", "redrives": "1"})
    left = json.loads(cellar.rollouts("list", "--json").out)["dead_letters"]
    assert [one["id"] for one in left] == [other]
    gone = cellar.rollouts("redrive", id_)
    assert (gone.code, gone.out) == (1, "")
    assert gone.err == f"error: there is no dead letter {id_} among the 1 that were looked at\n"


def test_what_pubsub_gave_up_is_traced_to_its_topic_by_the_subscription(cellar: Cellar) -> None:
    # An address where nobody listens: Pub/Sub tries five times and gives up.
    route = Route(topics.ROLLOUT_DUE, attempts=5)
    wire(cellar.server.address, PROJECT, {"advance_rollout": route}, lambda _: "http://127.0.0.1:9")
    source = {
        "CloudPubSubDeadLetterSourceSubscription": "advance-rollout",
        "CloudPubSubDeadLetterSourceSubscriptionProject": PROJECT,
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
    }
    id_ = cellar.keep(b'{"rollout": "r"}', correlation_id="c-1", **source)
    (told,) = json.loads(cellar.rollouts("list", "--json").out)["dead_letters"]
    assert (told["function"], told["topic"]) == ("advance_rollout", f"projects/{PROJECT}/topics/rollout-due")
    assert told["reason"] == "advance_rollout did not take it in 5 deliveries; its log says why"
    heard = cellar.heard(topics.ROLLOUT_DUE)
    redriven = json.loads(cellar.rollouts("redrive", id_, "--json").out)["redriven"]
    assert [one["id"] for one in redriven] == [id_]
    (message,) = cellar.pull(heard)
    assert dict(message.attributes) == {"correlation_id": "c-1", "redrive_of": id_, "redrives": "1"}


def test_a_tick_that_was_kept_gets_its_job_back(cellar: Cellar) -> None:
    schedule = f"projects/{PROJECT}/topics/{topics.SCHEDULE}"
    id_ = kept_by_a_handler(cellar, function="retire_models", topic=schedule)
    heard = cellar.heard(topics.SCHEDULE)
    assert cellar.rollouts("redrive", id_).code == 0
    (message,) = cellar.pull(heard)
    assert dict(message.attributes) == {"job": "retire_models", "redrive_of": "17", "redrives": "1"}


def test_what_came_over_https_has_no_topic_to_go_back_to(cellar: Cellar) -> None:
    id_ = kept_by_a_handler(cellar, function="receive_alert", topic="", message_id="")
    ran = cellar.rollouts("redrive", id_)
    assert (ran.code, ran.err) == (
        1,
        f"error: dead letter {id_} came to receive_alert from no topic; send it again where it came from\n",
    )
    assert [one["id"] for one in json.loads(cellar.rollouts("list", "--json").out)["dead_letters"]] == [id_]


def test_data_that_is_no_text_and_control_characters_do_no_harm(cellar: Cellar) -> None:
    cellar.keep(b"\xff\xfe", function="notify", reason="\x1b]0;title\x07 not JSON")
    out = cellar.rollouts("list").out
    assert "(2 bytes that are no text)" in out
    assert "\x1b" not in out


def test_where_there_are_none_it_says_so(cellar: Cellar) -> None:
    assert cellar.rollouts("list").out == "there are no dead letters\n"
    assert json.loads(cellar.rollouts("list", "--json").out) == {"dead_letters": []}


def test_a_project_without_them_and_one_that_is_not_named_are_told(cellar: Cellar) -> None:
    other = cellar.rollouts("list", GOOGLE_CLOUD_PROJECT="proj-2")
    assert (other.code, other.out) == (1, "")
    assert other.err.startswith("error: dead letters of project proj-2: ")
    assert other.err.endswith("; is GOOGLE_CLOUD_PROJECT the project of the functions?\n")
    assert cellar.rollouts("list", GOOGLE_CLOUD_PROJECT="").err.startswith("error: GOOGLE_CLOUD_PROJECT is not set")


def test_pubsub_that_does_not_answer_is_exit_2(cellar: Cellar) -> None:
    cellar.in_process = False
    ran = cellar.rollouts("list", "--json", PUBSUB_EMULATOR_HOST="127.0.0.1:9")
    assert ran.code == 2
    assert json.loads(ran.out)["error"].startswith("dead letters of project proj-1: ")


def test_one_is_shown_with_all_that_is_known_of_it(cellar: Cellar) -> None:
    kept_by_a_handler(cellar)
    id_ = kept_by_a_handler(cellar, correlation_id="c-7", message_id="18", redrives="2")
    ran = cellar.rollouts("show", id_)
    assert (ran.code, ran.err) == (0, "")
    shown = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in ran.out.splitlines()[:-2])
    assert shown.pop("Kept").endswith(" UTC")
    assert shown == {
        "Letter": id_,
        "Original": "18",
        "Function": "roll_back",
        "Topic": ALERTS,
        "Reason": REASON,
        "Redriven": "2 times before",
        "correlation_id": "c-7",
        "redrives": "2",
    }
    assert ran.out.endswith('Data\n  {"id": 7}\n')
    assert json.loads(cellar.rollouts("show", id_, "--json").out)["redrives"] == 2
    missing = cellar.rollouts("show", "1")
    assert (missing.code, missing.out) == (1, "")
    assert missing.err == (
        "error: there is no dead letter 1 among the 2 that were looked at; `rollouts dead-letters list` shows them\n"
    )


def test_all_of_a_function_are_published_again_and_the_others_stay(cellar: Cellar) -> None:
    mine = [kept_by_a_handler(cellar, message_id=f"{n}") for n in range(5)]
    other = kept_by_a_handler(cellar, function="notify", topic=f"projects/{PROJECT}/topics/{topics.ROLLOUT_CHANGED}")
    heard = cellar.heard(topics.ALERT_FIRED)
    ran = cellar.rollouts("redrive", "--function", "roll-back")
    assert (ran.code, ran.out.splitlines()) == (
        0,
        [f"{id_}: published again to alert-fired, for roll_back to take" for id_ in mine],
    )
    assert sorted(dict(m.attributes)["redrive_of"] for m in cellar.pull(heard)) == ["0", "1", "2", "3", "4"]
    assert [one["id"] for one in json.loads(cellar.rollouts("list", "--json").out)["dead_letters"]] == [other]
    assert cellar.rollouts("redrive", "--function", "roll_back").out == "there are no such dead letters\n"


def test_what_is_redriven_unmended_comes_back_with_a_higher_number(cellar: Cellar) -> None:
    id_ = kept_by_a_handler(cellar)
    heard = cellar.heard(topics.ALERT_FIRED)
    for number in (1, 2, 3):
        assert cellar.rollouts("redrive", id_).code == 0
        (message,) = cellar.pull(heard)
        assert dict(message.attributes)["redrives"] == str(number)
        id_ = kept_by_a_handler(cellar, **dict(message.attributes))
    (told,) = json.loads(cellar.rollouts("list", "--json").out)["dead_letters"]
    assert (told["redrives"], told["original"]) == (3, "17")


def test_some_are_discarded_after_a_question_and_can_still_be_read_in_the_answer(cellar: Cellar) -> None:
    first, second, third = (kept_by_a_handler(cellar, message_id=f"{n}") for n in range(3))
    refused = cellar.rollouts("discard", first)
    assert (refused.code, refused.err) == (1, "Aborted!\n"), "there is nobody to answer the question"
    assert json.loads(cellar.rollouts("discard", first, "--json").out) == {
        "error": "nothing was discarded; --yes discards without asking"
    }
    ran = cellar.rollouts("discard", first, third, "99", "--yes", "--json")
    told = json.loads(ran.out)
    assert ran.code == 1
    assert [(one["id"], base64.b64decode(one["data"])) for one in told["discarded"]] == [
        (first, b'{"id": 7}'),
        (third, b'{"id": 7}'),
    ]
    assert told["refused"] == [{"id": "99", "error": "there is no dead letter 99 among the 3 that were looked at"}]
    assert [one["id"] for one in json.loads(cellar.rollouts("list", "--json").out)["dead_letters"]] == [second]
    assert cellar.rollouts("discard", "--function", "roll_back", "--yes").out == f"{second}: discarded\n"
    assert cellar.rollouts("list").out == "there are no dead letters\n"


def test_which_ones_has_to_be_said(cellar: Cellar) -> None:
    for arguments in (("redrive",), ("discard", "--yes"), ("redrive", "1", "--function", "notify")):
        ran = cellar.rollouts(*arguments)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("error: say which: IDs")


def test_only_those_of_one_function_are_listed(cellar: Cellar) -> None:
    kept_by_a_handler(cellar)
    id_ = kept_by_a_handler(cellar, function="notify")
    told = json.loads(cellar.rollouts("list", "--function", "notify", "--json").out)["dead_letters"]
    assert [one["id"] for one in told] == [id_]
