"""How long one call may take, and which calls are tried again.

The generated clients have no timeout and no retry for Vertex AI's endpoint and model services, so every call passes its own. Only
two kinds may be repeated: reads, and writes that carry the etag that was read (if the first attempt was applied and its
answer lost, the second is refused as stale, and the caller looks again). The timeout covers all attempts of a call together.
"""

from __future__ import annotations

from typing import Any

from google.api_core import exceptions as google_errors
from google.api_core.retry import Retry, if_exception_type

from shared.clock import wall_seconds

READ_SECONDS = 20.0
WRITE_SECONDS = 30.0
PUBLISH_SECONDS = 20.0
_LEAVE_SECONDS = 2.0
"""Of the timeout, left to the last attempt: api_core gives an attempt with less than 1 s the whole timeout again."""

_is_worth_repeating = if_exception_type(
    google_errors.ServiceUnavailable,
    google_errors.InternalServerError,
    google_errors.Unknown,
    google_errors.TooManyRequests,
)


def _retry(seconds: float) -> Retry:
    # A wait between attempts is our time, so it shrinks with compressed time; an attempt's own time does not.
    return Retry(
        predicate=_is_worth_repeating,
        initial=wall_seconds(0.25),
        maximum=wall_seconds(4.0),
        multiplier=2.0,
        timeout=wall_seconds(seconds - _LEAVE_SECONDS),
    )


def read() -> dict[str, Any]:
    """Arguments of a call that changes nothing."""
    return {"timeout": READ_SECONDS, "retry": _retry(READ_SECONDS)}


def guarded_write() -> dict[str, Any]:
    """Arguments of a write that carries an etag."""
    return {"timeout": WRITE_SECONDS, "retry": _retry(WRITE_SECONDS)}


def write() -> dict[str, Any]:
    """Arguments of a write that would happen twice: once, and whoever called looks whether it happened."""
    return {"timeout": WRITE_SECONDS, "retry": None}


def publication() -> dict[str, Any]:
    """Arguments of publishing, which may happen twice: whoever hears of it knows a message again.

    Pub/Sub's own default tries for ten minutes, longer than a function lives.
    """
    return {"timeout": PUBLISH_SECONDS, "retry": _retry(PUBLISH_SECONDS)}
