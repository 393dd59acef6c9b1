"""The channels of a deployment: names that policies use, and where they lead.

``NOTIFY_CHANNELS`` is a JSON object ``{"ops": {"url": "https://...", "secret": "..."}}`` from Secret Manager: addresses and secrets never
stand in a policy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import PermanentError
from shared.notify.webhook import Webhook

SCHEME = "webhook://"


@dataclass(frozen=True)
class Channels:
    """Every channel by name."""

    webhooks: Mapping[str, Webhook]

    @classmethod
    def from_json(cls, text: str) -> Channels:
        try:
            return cls({name: Webhook(entry["url"], entry["secret"]) for name, entry in json.loads(text).items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise PermanentError(
                'NOTIFY_CHANNELS is not of the form {"name": {"url": "...", "secret": "..."}}'
            ) from None

    def find(self, channel: str) -> Webhook:
        """The webhook behind ``webhook://name``."""
        name = channel.removeprefix(SCHEME)
        if name not in self.webhooks:
            known = ", ".join(sorted(self.webhooks)) or "none"
            raise PermanentError(f"channel {channel} is not in NOTIFY_CHANNELS; known are {known}")
        return self.webhooks[name]
