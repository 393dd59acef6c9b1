"""Google Chat: a card (v2) posted to a space's incoming webhook, in one thread per rollout by ``threadKey``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.notify.announcement import Announcement, write_check, write_span
from shared.notify.markup import cut, for_card
from shared.notify.posting import as_json, post
from shared.notify.slack import ICONS, MOST_CHECKS, VERDICTS
from shared.text import one_line

_IN_THREAD = {"messageReplyOption": "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"}


@dataclass(frozen=True, repr=False)
class ChatWebhook:
    """A space's incoming webhook; key and token stand in its address, which is a secret."""

    url: str

    def post(self, name: str, told: Announcement) -> None:
        query = _IN_THREAD if told.thread else None
        post(name, self.url, as_json(chat_message(told)), {}, query)


def chat_message(told: Announcement) -> dict[str, Any]:
    """A card, and the words that a notification shows instead; the same thread key is the same thread."""
    entry = told.entry
    sections: list[dict[str, Any]] = [{"widgets": [_paragraph(for_card(entry.sentence)), *_facts(told)]}]
    if entry.checks:
        sections.append(_checks(told))
    if told.took:
        rows = [_row(write_span(took.seconds), took.what) for took in told.took]
        sections.append({"header": "Restored", "widgets": rows})
    if told.links:
        sections.append({"widgets": [{"buttonList": {"buttons": [_button(one.label, one.url) for one in told.links]}}]})
    by = f" by {entry.actor}" if entry.actor else ""
    message: dict[str, Any] = {
        "fallbackText": cut(one_line(told.headline), 500),
        "cardsV2": [
            {
                "cardId": entry.id,
                "card": {
                    "header": {
                        "title": cut(f"{ICONS[entry.severity]} {told.title}", 200),
                        "subtitle": cut(f"{entry.at:%Y-%m-%d %H:%M:%S} UTC{by}", 200),
                    },
                    "sections": sections,
                },
            }
        ],
    }
    return message | ({"thread": {"threadKey": told.thread}} if told.thread else {})


def _facts(told: Announcement) -> list[dict[str, Any]]:
    found = [_row(f"{for_card(one.name)}: {one.before} % → <b>{one.after} %</b>", "Traffic") for one in told.moved]
    if told.entry.target:
        found.append(_row(for_card(told.entry.target, 500), "Endpoint"))
    return found


def _checks(told: Announcement) -> dict[str, Any]:
    checks = told.entry.checks
    rows = [
        _row(for_card(write_check(c) or c.sentence, 300), f"{VERDICTS[c.verdict]} {cut(c.metric, 100)}")
        for c in checks[:MOST_CHECKS]
    ]
    if len(checks) > MOST_CHECKS:
        rows.append(_paragraph(f"and {len(checks) - MOST_CHECKS} more"))
    return {"header": "Checks", "widgets": rows}


def _paragraph(text: str) -> dict[str, Any]:
    return {"textParagraph": {"text": text}}


def _row(text: str, label: str) -> dict[str, Any]:
    return {"decoratedText": {"topLabel": for_card(label, 200), "text": text, "wrapText": True}}


def _button(label: str, url: str) -> dict[str, Any]:
    return {"text": label, "onClick": {"openLink": {"url": url}}}
