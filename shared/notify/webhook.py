"""A signed webhook: the receiver can tell that the message is ours, is whole and is fresh.

The signature is HMAC-SHA256 over ``id.timestamp.body`` with the shared secret, as hexadecimal, in ``X-Rollouts-Signature: v1=...``;
the id and the timestamp are headers too. ``is_genuine`` is what a receiver does, and documents it by being run.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.errors import PermanentError, TransientError

ID, TIMESTAMP, SIGNATURE = "X-Rollouts-Id", "X-Rollouts-Timestamp", "X-Rollouts-Signature"
TOLERANCE = timedelta(minutes=5)


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


def sign(secret: str, id: str, body: bytes, now: datetime) -> dict[str, str]:  # noqa: A002
    """The three headers."""
    timestamp = str(int(now.timestamp()))
    return {ID: id, TIMESTAMP: timestamp, SIGNATURE: f"v1={_digest(secret, id, timestamp, body)}"}


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether the message was signed with the secret, within the tolerance, and not changed since."""
    id_, timestamp, signature = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not timestamp.isdigit() or abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
        return False
    return hmac.compare_digest(signature.encode(), f"v1={_digest(secret, id_, timestamp, body)}".encode())


def _digest(secret: str, id: str, timestamp: str, body: bytes) -> str:  # noqa: A002
    return hmac.new(secret.encode(), b".".join((id.encode(), timestamp.encode(), body)), hashlib.sha256).hexdigest()
