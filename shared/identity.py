"""Who is calling: ID tokens that Google signed, and the assertions of Identity-Aware Proxy.

Pub/Sub does not say who published, so what needs an identity comes over HTTPS. Where the key sets are fetched from is the only thing
that the local system has different (``ID_TOKEN_CERTS_URL``, ``IAP_CERTS_URL``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from shared.errors import PermanentError, TransientError

GOOGLE_CERTS = "https://www.googleapis.com/oauth2/v1/certs"
IAP_CERTS = "https://www.gstatic.com/iap/verify/public_key"
IAP_ISSUER = "https://cloud.google.com/iap"
ASSERTION = "X-Goog-IAP-JWT-Assertion"
"""The header in which Identity-Aware Proxy says who is there; its other headers are not signed, so nobody reads them."""
ISSUERS = ("accounts.google.com", "https://accounts.google.com")
KEPT = 600.0
"""Wall seconds for which fetched keys are used: strangers' tokens must not become as many requests to Google."""
FRESH = 60.0
"""Keys younger than this are not fetched anew for the sake of a token that they do not verify; an older set may lack a new key."""
LONGEST = 8192
"""Characters of a token; Google's have about 1200."""


class UnauthenticatedError(PermanentError):
    """Nobody knows who is calling."""


class Keys:
    """The keys at one address, kept for a while; safe to use from many threads."""

    def __init__(self, url: str = GOOGLE_CERTS, seconds: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._seconds = seconds
        self._lock = threading.Lock()
        self._answer: Any = None
        self._fetched_at = 0.0

    def verified_email(self, authorization: str, audience: str) -> str:
        """The e-mail address in a valid ``Bearer`` ID token for this audience; UnauthenticatedError that repeats nothing of it."""
        if not audience:
            raise UnauthenticatedError("no token can be valid here: COMMAND_AUDIENCE is not set")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError(
                "send an ID token: Authorization: Bearer TOKEN (gcloud auth print-identity-token)"
            )
        if len(token) > LONGEST or token.count(".") != 2:
            raise UnauthenticatedError("the ID token is not valid: it is no token")
        claims = self._claims(token, audience)
        if claims.get("iss") not in ISSUERS or claims.get("email_verified") is not True or not claims.get("email"):
            raise UnauthenticatedError("the ID token carries no verified e-mail address")
        return str(claims["email"])

    def verified_person(self, assertion: str, audience: str) -> str:
        """The e-mail address in a valid assertion of Identity-Aware Proxy (ES256); UnauthenticatedError that repeats nothing of it.

        ``audience`` is ``/projects/NUMBER/locations/REGION/services/SERVICE`` (cloud.google.com/iap/docs/signed-headers-howto).
        """
        if not audience:
            raise UnauthenticatedError("nobody can be known here: PAGE_AUDIENCE is not set")
        if not assertion:
            raise UnauthenticatedError(
                "the request did not come through Identity-Aware Proxy; open the address that it protects"
            )
        if len(assertion) > LONGEST or assertion.count(".") != 2:
            raise UnauthenticatedError("the assertion of Identity-Aware Proxy is not valid: it is none")
        claims = self._claims(assertion, audience, "the assertion of Identity-Aware Proxy")
        if claims.get("iss") != IAP_ISSUER or not claims.get("email") or not isinstance(claims["email"], str):
            raise UnauthenticatedError("the assertion of Identity-Aware Proxy names nobody")
        return str(claims["email"])

    def _claims(self, token: str, audience: str, what: str = "the ID token") -> Mapping[str, Any]:
        import jwt
        from google.auth import exceptions
        from google.oauth2 import id_token

        for is_last in (False, True):
            keys = self._keys(older_than=FRESH if is_last else KEPT)
            try:
                claims: Mapping[str, Any] = id_token.verify_token(
                    token, lambda *_, keys=keys, **__: keys, audience=audience, certs_url=self._url
                )
                return claims
            except (ValueError, KeyError, TypeError, exceptions.GoogleAuthError, jwt.PyJWTError) as exc:
                # google-auth raises its own where the keys are certificates, and PyJWT's where they are a JWK set; a forged token may
                # make either stumble over its content.
                why = _why(exc, audience)
                if is_last or why != FORGED:
                    raise UnauthenticatedError(f"{what} is not valid: {why}") from None
        raise AssertionError("the second attempt returns or raises")

    def _keys(self, older_than: float) -> Any:
        """As fetched, unless that is too long ago; TransientError when they cannot be had."""
        from google.auth import exceptions
        from google.auth.transport.requests import Request

        with self._lock:
            if self._answer is not None and self._seconds() - self._fetched_at < older_than:
                return self._answer
            try:
                answer = Request()(self._url, method="GET", timeout=10)
            except exceptions.TransportError as exc:
                raise TransientError(f"the keys that sign ID tokens cannot be fetched: {exc}") from exc
            if answer.status != 200:
                raise TransientError(
                    f"the keys that sign ID tokens cannot be fetched: {self._url} said {answer.status}"
                )
            self._answer, self._fetched_at = answer, self._seconds()
            return answer


FORGED = "it is malformed, or no key of Google's has signed it"


def _why(exc: Exception, audience: str) -> str:
    """In our words: the libraries' repeat what the token says."""
    said = str(exc).lower()
    if "expired" in said:
        return "it has expired"
    if "audience" in said:
        return f"it is not for the audience {audience}"
    if "too early" in said or "not yet valid" in said:
        return "its time has not come; is the clock of whoever made it right?"
    return FORGED
