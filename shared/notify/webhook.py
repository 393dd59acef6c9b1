"""A signed webhook: the receiver can tell that the message is ours, is whole and is fresh (``shared/signature.py``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.errors import PermanentError, TransientError
from shared.signature import sign


@dataclass(frozen=True)
class Webhook:
    """Where a channel posts to; both fields are secrets (the address is itself a credential) and are never logged."""

    url: str
    secret: str

    def __repr__(self) -> str:
        return "Webhook(...)"

    def post(self, name: str, id: str, payload: Mapping[str, Any], now: datetime) -> None:  # noqa: A002
        """Send one message; ``id`` lets the receiver drop a repetition."""
        import requests

        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", **sign(self.secret, id, body, now)}
        try:
            answer = requests.post(self.url, data=body, headers=headers, timeout=10, allow_redirects=False)
        except requests.RequestException as exc:
            raise TransientError(f"channel {name} cannot be reached ({type(exc).__name__})") from None
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            raise TransientError(f"channel {name} answered {answer.status_code}")
        if not answer.ok or answer.is_redirect:
            raise PermanentError(f"channel {name} answered {answer.status_code}; check its address in NOTIFY_CHANNELS")
