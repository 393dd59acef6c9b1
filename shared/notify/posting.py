"""One request to a chat: what its answer means, and never a word of the address or the credential."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from requests import Response

SECONDS = 10
"""A chat that does not answer by then is down; the message is sent again, and no other waits for it."""


def as_json(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def post(
    name: str, url: str, body: bytes, headers: Mapping[str, str], query: Mapping[str, str] | None = None
) -> Response:
    """Post it; TransientError where another try may do, PermanentError where somebody has to mend the channel."""
    import requests

    sent = {"Content-Type": "application/json; charset=utf-8", **headers}
    try:
        answer = requests.post(url, data=body, headers=sent, params=query, timeout=SECONDS, allow_redirects=False)
    except requests.RequestException as exc:
        # The exception's text has the address, which is itself a credential.
        raise TransientError(f"channel {name} cannot be reached ({type(exc).__name__})") from None
    if answer.status_code in (408, 429) or answer.status_code >= 500:
        raise TransientError(f"channel {name} answered {answer.status_code}")
    if not answer.ok or answer.is_redirect:
        raise PermanentError(f"channel {name} answered {answer.status_code}; check its address in NOTIFY_CHANNELS")
    return answer
