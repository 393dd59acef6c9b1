"""What each chat gets, as JSON that is kept: ``UPDATE_GOLDEN=1 pytest tests/unit/notify`` writes it anew, for a person to read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.notify.announcement import Announcement, write_span
from shared.notify.gchat import chat_message
from shared.notify.slack import MOST_CHECKS, slack_message
from shared.notify.webhook import webhook_payload
from tests.unit.notify.stories import ERRORS, NOW, ROLLOUT, STORIES, entry, told

KEPT = Path(__file__).parents[2] / "data" / "notices"
FORMS: Mapping[str, Callable[[Announcement], dict[str, Any]]] = {
    "slack": slack_message,
    "gchat": chat_message,
    "webhook": webhook_payload,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("story", STORIES)
def test_a_message_is_the_one_that_is_kept(story: str, form: str) -> None:
    path = KEPT / f"{form}-{story}.json"
    message = FORMS[form](STORIES[story])
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(json.dumps(message, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert message == json.loads(path.read_text(encoding="utf-8"))


def texts(value: object) -> list[str]:
    """Every text anywhere in a message."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


def test_a_rollback_says_the_numbers_the_traffic_and_the_times() -> None:
    for form in ("slack", "gchat"):
        said = "\n".join(texts(FORMS[form](STORIES["rolled_back"])))
        for part in ("observed 0.124, limit 0.01, stable 0.002, 250 samples", "v4: 10 % → ", "22 min", "5 min", "4 s"):
            assert part in said, (form, part)


def test_nothing_that_somebody_wrote_is_markup_in_slack() -> None:
    for text in texts(slack_message(STORIES["hostile"])):
        assert (
            "<!" not in text
            and "<users" not in text
            and "evil.example|" not in text.replace("https://evil.example|the", "")
        )
        links = [part.partition(">")[0] for part in text.split("<")[1:]]
        assert all(
            link.startswith(("https://console.cloud.google.com/", "https://rollouts.example.com/")) for link in links
        )
    said = "\n".join(texts(slack_message(STORIES["hostile"])))
    assert "&lt;!channel&gt;" in said
    assert "*see*" not in said and "`" not in said and "~" not in said and "_rm" not in said


def test_nothing_that_somebody_wrote_is_markup_in_google_chat() -> None:
    (card,) = chat_message(STORIES["hostile"])["cardsV2"]
    for text in texts(card["card"]["sections"]):
        assert "<b>now" not in text and "<users" not in text and "<b>bad" not in text
    assert "&lt;users/all&gt;" in "\n".join(texts(card))


def test_a_message_stays_within_what_slack_takes() -> None:
    checks = tuple(replace(ERRORS, metric=f"{'&' * 200}{n}", sentence="<" * 5_000) for n in range(40))
    long = told(entry("hold", "&<>" * 4_000, checks=checks, model="m" * 300, target=f"p/r/{'e' * 900}"))
    message = slack_message(long)
    header, *rest = message["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert len(message["text"]) <= 1_000
    assert len(message["blocks"]) <= 50
    sections = [block["text"]["text"] for block in rest if "text" in block]
    assert max(map(len, sections)) <= 3_000
    assert max(len(f["text"]) for block in rest for f in block.get("fields", [{"text": ""}])) <= 2_000
    assert any(text.endswith(f"and {40 - MOST_CHECKS} more") for text in sections)
    assert not [text for text in sections if text.endswith(("&", "&l", "&lt", "&am", "&amp", "&amp…", "&l…"))]


def test_a_rollback_whose_beginning_nobody_knows_says_only_what_is_known() -> None:
    of = entry(
        "roll_back", "s", traffic_before={"1": 100}, traffic_after={"2": 100}, detected_at=NOW - timedelta(seconds=9)
    )
    assert [(took.what, took.seconds) for took in told(of, None).took] == [("from the alert", 9)]


def test_our_own_analysis_is_not_said_to_know_when_it_began() -> None:
    """It dates its alert by the moment at which it asks."""
    asked = NOW - timedelta(seconds=3)
    of = entry("roll_back", "s", traffic_after={"3333333333": 100}, began_at=asked, detected_at=asked)
    assert [took.seconds for took in told(of).took] == [22 * 60, 3]


def test_traffic_that_did_not_move_is_not_told() -> None:
    same = {"3333333333": 90, "4444444444": 10}
    assert told(entry("hold", "s", traffic_before=same, traffic_after=dict(same))).moved == ()
    assert told(entry("hold", "s")).moved == ()


def test_a_version_that_is_not_known_goes_by_its_number() -> None:
    moved = told(entry("reassert", "s", traffic_before={"999": 100}, traffic_after={ROLLOUT.deployed_id: 100})).moved
    assert [(one.name, one.before, one.after) for one in moved] == [("999", 100, 0), ("v4", 0, 100)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (41, "41 s"), (60, "1 min"), (185, "3 min 5 s"), (3_600, "1 h"), (7_800, "2 h 10 min")],
)
def test_spans_are_short(seconds: int, text: str) -> None:
    assert write_span(seconds) == text


def test_a_question_leads_to_the_page_that_asks() -> None:
    links = {link.label: link.url for link in STORIES["asked"].links}
    assert links["Approve"] == f"{links['Rollout']}/approve"
    assert "Approve" not in {link.label for link in STORIES["promoted"].links}
    assert [link.label for link in told(entry("ask", "s"), page="").links] == ["Endpoint", "Version", "Logs"]


def test_a_notification_names_the_model_once() -> None:
    assert slack_message(STORIES["rolled_back"])["text"].count("arr-coc-relevance v4") == 1
    assert slack_message(STORIES["promoted"])["text"].startswith("arr-coc-relevance: Promoted v4")
