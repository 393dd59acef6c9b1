"""What a Google service says when it does not do something, in the words of ``shared.errors``.

The status code decides, never the text: most of the texts are undocumented. The two exceptions are FAILED_PRECONDITION that speaks of an
etag (other services of Vertex AI answer a stale etag with ABORTED, and which one an endpoint answers is not documented), and
INVALID_ARGUMENT that says that something exists already: a repeated deployment, for which the code is not documented either, is no failure.
Only the service's own reason is passed on, never the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core import exceptions as google_errors
from google.auth.exceptions import GoogleAuthError

from shared.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    NotFoundError,
    RefusedError,
    RolloutsError,
    TransientError,
)

_BY_STATUS: tuple[tuple[type[google_errors.GoogleAPICallError], type[RolloutsError]], ...] = (
    # Subclasses stand before their bases: in api_core RESOURCE_EXHAUSTED is a client's error, UNIMPLEMENTED a server's.
    (google_errors.NotFound, NotFoundError),
    (google_errors.AlreadyExists, AlreadyExistsError),
    (google_errors.Aborted, ConflictError),
    (google_errors.MethodNotImplemented, RefusedError),  # UNIMPLEMENTED
    (google_errors.Unauthorized, TransientError),  # UNAUTHENTICATED: a token that expired under way
    (google_errors.TooManyRequests, BusyError),  # RESOURCE_EXHAUSTED: not taken, so nothing was done
    (google_errors.Cancelled, TransientError),
    (google_errors.ClientError, RefusedError),  # INVALID_ARGUMENT, FAILED_PRECONDITION, PERMISSION_DENIED, OUT_OF_RANGE
    (google_errors.ServerError, TransientError),  # UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN, DATA_LOSS
)


def _as_ours(error: google_errors.GoogleAPICallError) -> type[RolloutsError]:
    if isinstance(error, google_errors.FailedPrecondition) and "etag" in error.message.lower():
        return ConflictError
    if isinstance(error, google_errors.InvalidArgument) and "already exists" in error.message.lower():
        return AlreadyExistsError
    return next((ours for status, ours in _BY_STATUS if isinstance(error, status)), TransientError)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise errors of the client as ours; ``what`` says which call on which resource failed."""
    try:
        yield
    except google_errors.GoogleAPICallError as error:
        reason = error.message or "no reason given"
        raise _as_ours(error)(f"{what}: {reason} ({_status(error)})") from error
    except google_errors.RetryError as error:
        # Raised when retrying took too long; the cause is the last answer.
        last = error.cause.message if isinstance(error.cause, google_errors.GoogleAPICallError) else error.message
        raise TransientError(f"{what}: still failing after retries: {last}") from error
    except GoogleAuthError as error:
        raise TransientError(f"{what}: no credentials for Google Cloud: {error}") from error


def _status(error: google_errors.GoogleAPICallError) -> str:
    return error.grpc_status_code.name if error.grpc_status_code else str(error.code)
