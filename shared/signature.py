"""A signed message: its receiver can tell that it is from whom it says, is whole and is fresh.

The signature is HMAC-SHA256 over ``id.timestamp.body`` with a shared secret, as hexadecimal, in ``X-Rollouts-Signature: v1=...``; the id
and the timestamp (epoch seconds) are headers too. Notices are sent with it, and alerts may come with it. ``is_genuine`` is what a receiver
does, and documents it by being run.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

ID, TIMESTAMP, SIGNATURE = "X-Rollouts-Id", "X-Rollouts-Timestamp", "X-Rollouts-Signature"
TOLERANCE = timedelta(minutes=5)
_DIGITS = 11
"""Of a timestamp; more would be no time, and a very long number takes very long to read."""


def sign(secret: str, id: str, body: bytes, now: datetime) -> dict[str, str]:  # noqa: A002
    """The three headers."""
    timestamp = str(int(now.timestamp()))
    return {ID: id, TIMESTAMP: timestamp, SIGNATURE: f"v1={_digest(secret, id, timestamp, body)}"}


def is_genuine(
    secret: str, headers: Mapping[str, str], body: bytes, now: datetime, tolerance: timedelta = TOLERANCE
) -> bool:
    """Whether the message was signed with the secret, within the tolerance, and not changed since."""
    id_, timestamp, signature = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _DIGITS):
        return False
    if abs(now.timestamp() - int(timestamp)) > tolerance.total_seconds():
        return False
    expected = f"v1={_digest(secret, id_, timestamp, body)}"
    return hmac.compare_digest(signature.encode(errors="replace"), expected.encode())


def _digest(secret: str, id: str, timestamp: str, body: bytes) -> str:  # noqa: A002
    content = b".".join((id.encode(errors="replace"), timestamp.encode(), body))
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
