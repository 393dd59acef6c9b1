"""Slack: blocks, in one thread per rollout where the channel has a bot's token.

``chat.postMessage`` answers with the message's ``ts``, which later ones name as ``thread_ts``; an incoming webhook answers "ok" and nothing
else, so its messages stand in the channel one by one. Links are text, not buttons: a button reports each click to the app, which has nothing
to answer with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import PermanentError, TransientError
from shared.notify.announcement import Announcement, write_check, write_span
from shared.notify.markup import cut, for_slack
from shared.notify.posting import as_json, post
from shared.rollout.record import Verdict

if TYPE_CHECKING:
    from requests import Response

API = "https://slack.com/api"
ICONS = {"info": "🔵", "warning": "🟠", "error": "🔴"}
VERDICTS = {
    Verdict.PASS: "✓",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NO_DATA: "∅",
    Verdict.PROVIDER_ERROR: "!",
    Verdict.FAIL: "✗",
}
MOST_CHECKS = 8
_LATER = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
"""Of the errors that Slack names: those that another try may not meet."""
_NO_THREAD = frozenset({"cannot_reply_to_message", "message_not_found", "thread_not_found"})
"""The first message of the thread was deleted."""
_NAME = re.compile(r"[a-z_]{1,40}")


class LostThreadError(PermanentError):
    """The thread's first message is gone; another one has to begin it anew."""


@dataclass(frozen=True, repr=False)
class SlackWebhook:
    """An incoming webhook; its address is the credential."""

    url: str

    def post(self, name: str, told: Announcement) -> None:
        post(name, self.url, as_json(slack_message(told)), {})


@dataclass(frozen=True, repr=False)
class SlackBot:
    """A bot with ``chat:write`` in one channel; the token is a secret."""

    token: str
    channel: str
    """Its id, such as C0123456789; a name works too, until somebody renames the channel."""
    api: str = API
    """GovSlack has another."""

    def post(self, name: str, told: Announcement, thread: str) -> str:
        """Send one message, into a thread or, with an empty one, to begin one; the ``ts`` that names it."""
        payload = {"channel": self.channel, **slack_message(told)}
        if thread:
            payload |= {"thread_ts": thread, "reply_broadcast": told.is_for_all}
        url = f"{self.api.rstrip('/')}/chat.postMessage"
        return _said(name, post(name, url, as_json(payload), {"Authorization": f"Bearer {self.token}"}))


def _said(name: str, answer: Response) -> str:
    """Slack answers 200 whatever it did, and says in the body what that was."""
    try:
        said = answer.json()
        ok, error, ts = said["ok"], str(said.get("error", "")), str(said.get("ts", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TransientError(f"channel {name} answered what is not Slack's") from None
    if ok:
        return ts
    error = error if _NAME.fullmatch(error) else "an error without a name"
    if error in _LATER:
        raise TransientError(f"channel {name} answered {error}")
    if error in _NO_THREAD:
        raise LostThreadError(f"channel {name} has lost the beginning of the thread ({error})")
    raise PermanentError(f"channel {name} answered {error}; check its token and channel in NOTIFY_CHANNELS")


def slack_message(told: Announcement) -> dict[str, Any]:
    """Blocks for people, and the text that a notification shows."""
    entry = told.entry
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(f"{ICONS[entry.severity]} {told.title}", 150)}},
        _section(for_slack(entry.sentence)),
    ]
    fields = _fields(told)
    if fields:
        blocks.append({"type": "section", "fields": [_text(text) for text in fields]})
    if entry.checks:
        blocks.append(_section(_checks(told)))
    if told.took:
        spans = "\n".join(f"*{write_span(took.seconds)}* {took.what}" for took in told.took)
        blocks.append(_section(f"*Restored*\n{spans}"))
    if told.links:
        links = " · ".join(f"<{link.url}|{link.label}>" for link in told.links)
        blocks.append(_section(links))
    blocks.append({"type": "context", "elements": [_text(_footer(told))]})
    return {
        "text": for_slack(told.headline, 1_000),
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _fields(told: Announcement) -> list[str]:
    found = []
    if told.moved:
        moved = "\n".join(f"{for_slack(one.name)}: {one.before} % → *{one.after} %*" for one in told.moved)
        found.append(f"*Traffic*\n{moved}")
    if told.entry.target:
        found.append(f"*Endpoint*\n{for_slack(told.entry.target, 500)}")
    return found


def _checks(told: Announcement) -> str:
    checks = told.entry.checks
    lines = [
        f"{VERDICTS[c.verdict]} *{for_slack(c.metric, 100)}* {for_slack(write_check(c) or c.sentence, 200)}"
        for c in checks[:MOST_CHECKS]
    ]
    if len(checks) > MOST_CHECKS:
        lines.append(f"and {len(checks) - MOST_CHECKS} more")
    return "\n".join(["*Checks*", *lines])


def _footer(told: Announcement) -> str:
    entry = told.entry
    by = f" · by {for_slack(entry.actor, 200)}" if entry.actor else ""
    return f"{entry.at:%Y-%m-%d %H:%M:%S} UTC{by} · {for_slack(entry.id, 200)}"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text)}


def _text(text: str) -> dict[str, Any]:
    # verbatim: what looks like an address or a channel's name in somebody's text stays text.
    return {"type": "mrkdwn", "text": text, "verbatim": True}
