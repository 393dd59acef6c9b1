"""The channels of a deployment: names that policies use, and where they lead.

``NOTIFY_CHANNELS`` is a JSON object from Secret Manager, by name: addresses and secrets never stand in a policy. Which keys an entry needs is
said by the scheme with which a policy names it::

    webhook://ops   {"url": "https://...", "secret": "..."}
    slack://ops     {"token": "xoxb-...", "channel": "C0123456789"}     one thread per rollout
    slack://ops     {"url": "https://hooks.slack.com/services/..."}     no threads
    gchat://ops     {"url": "https://chat.googleapis.com/v1/spaces/..."}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import PermanentError
from shared.notify.gchat import ChatWebhook
from shared.notify.slack import API, SlackBot, SlackWebhook
from shared.notify.webhook import Webhook

Channel = Webhook | SlackBot | SlackWebhook | ChatWebhook


@dataclass(frozen=True, repr=False)
class Channels:
    """Every channel by name, as configured."""

    entries: Mapping[str, Mapping[str, str]]

    @classmethod
    def from_json(cls, text: str) -> Channels:
        try:
            entries = {
                name: {key: str(value) for key, value in entry.items() if value is not None}
                for name, entry in json.loads(text).items()
            }
        except (ValueError, TypeError, AttributeError):
            raise PermanentError(
                'NOTIFY_CHANNELS is not of the form {"name": {"url": "...", "secret": "..."}}'
            ) from None
        return cls(entries)

    def find(self, channel: str) -> Channel:
        """What is behind ``slack://name``."""
        scheme, _, name = channel.partition("://")
        if name not in self.entries:
            known = ", ".join(sorted(self.entries)) or "none"
            raise PermanentError(f"channel {channel} is not in NOTIFY_CHANNELS; known are {known}")
        entry = self.entries[name]
        match scheme:
            case "webhook" if _has(entry, "url", "secret"):
                return Webhook(entry["url"], entry["secret"])
            case "slack" if _has(entry, "token", "channel"):
                return SlackBot(entry["token"], entry["channel"], entry.get("api", API))
            case "slack" if _has(entry, "url"):
                return SlackWebhook(entry["url"])
            case "gchat" if _has(entry, "url"):
                return ChatWebhook(entry["url"])
        raise PermanentError(
            f"channel {channel} lacks keys in NOTIFY_CHANNELS; webhook needs url and secret, slack needs token and channel or url, "
            "gchat needs url"
        )


def _has(entry: Mapping[str, str], *keys: str) -> bool:
    return all(entry.get(key) for key in keys)
