"""One call of the function ``receive_command``: its answer, or why there is none.

A command is never sent twice by itself: after a lost answer nobody knows whether it was obeyed, and the person can look.
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlsplit

import requests

from shared.errors import PermanentError, RefusedError, TransientError

TIMEOUT = (10.0, 60.0)
"""Wall seconds to connect, and for the answer: the function asks Vertex AI, the store and Pub/Sub before it answers."""
_LOCAL = ("127.0.0.1", "localhost", "::1")


class NotObeyedError(RefusedError):
    """The function, or Cloud Run before it, refused the command."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class _Bearer(requests.auth.AuthBase):
    """As an authentication and not as a header: a .netrc file would replace the header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def checked_url(url: str | None) -> str:
    """The address as given; PermanentError without one, or where the token would travel unencrypted."""
    if not url:
        raise PermanentError(
            "the address of receive_command is not known; give --url, or set ROLLOUTS_COMMAND_URL "
            "(`gcloud run services describe receive-command --format 'value(status.url)'` prints it)"
        )
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise PermanentError(f"{url} is no address; it begins with https://")
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise PermanentError(f"{url} is not encrypted, and an ID token would be readable on the way; use https://")
    return url


def send_command(url: str, token: str, command: dict[str, str], look: str) -> dict[str, Any]:
    """The function's answer. NotObeyedError with its own sentence; TransientError when it could not be reached.

    ``look`` is what shows whether a command was obeyed whose answer was lost. Every call is a command of its own, with an id that the function
    takes once.
    """
    command = {"id": uuid.uuid4().hex, **command}
    try:
        answer = requests.post(url, json=command, auth=_Bearer(token), timeout=TIMEOUT, allow_redirects=False)
    except requests.ReadTimeout:
        raise TransientError(
            f"{url} took the command and gave no answer within {TIMEOUT[1]:g} s; {look} shows whether it was obeyed"
        ) from None
    except (requests.ConnectionError, requests.Timeout) as error:
        raise TransientError(
            f"{url} cannot be reached ({_reason(error)}); check --url or ROLLOUTS_COMMAND_URL, and the network. Should the "
            f"connection have broken midway: {look} shows whether it was obeyed"
        ) from None
    except requests.RequestException as error:
        raise PermanentError(f"{url} cannot be called: {error}") from None
    body = _json_of(answer)
    if answer.status_code == 200 and body is not None:
        return body
    if body is not None and isinstance(body.get("error"), str):
        raise NotObeyedError(body["error"], answer.status_code)
    raise _not_the_function(url, answer)


def _json_of(answer: requests.Response) -> dict[str, Any] | None:
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _not_the_function(url: str, answer: requests.Response) -> PermanentError | TransientError:
    """Somebody answered who is not the function: Cloud Run's front end, a proxy, another service."""
    code = answer.status_code
    if code in (401, 403):
        return NotObeyedError(
            f"Cloud Run let nobody through to {url} ({code}); ask for roles/run.invoker on receive-command, and check that "
            "the ID token is yours and has not expired",
            code,
        )
    if code == 429 or code >= 500:
        return TransientError(f"{url} failed ({code}) before it could say why; its log has the reason. Try again")
    return TransientError(f"what answers at {url} is not receive_command ({code}); check --url or ROLLOUTS_COMMAND_URL")


def _reason(error: requests.RequestException) -> str:
    """The innermost reason, without the layers of the libraries above it."""
    inner: BaseException = error
    while isinstance(following := inner.__cause__ or inner.__context__, Exception):
        inner = following
    return str(inner) or type(inner).__name__
