"""Who is calling: ID tokens that Google signed, and the webhook's shared secret.

Pub/Sub does not say who published, so what needs an identity comes over HTTPS. Where the key set is fetched from is the only thing
that the local system has different (``ID_TOKEN_CERTS_URL``).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping

from shared.errors import PermanentError, TransientError

GOOGLE_CERTS = "https://www.googleapis.com/oauth2/v1/certs"
ISSUERS = ("accounts.google.com", "https://accounts.google.com")


class UnauthenticatedError(PermanentError):
    """Nobody knows who is calling."""


def verified_email(authorization: str, audience: str, certs_url: str = GOOGLE_CERTS) -> str:
    """The e-mail address in a valid ``Bearer`` ID token for this audience."""
    import jwt
    from google.auth import exceptions
    from google.auth.transport.requests import Request
    from google.oauth2 import id_token

    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError("send an ID token: Authorization: Bearer TOKEN (gcloud auth print-identity-token)")
    try:
        claims = id_token.verify_token(token, Request(), audience=audience, certs_url=certs_url)
    except exceptions.TransportError as exc:
        raise TransientError(f"the keys that sign ID tokens cannot be fetched: {exc}") from exc
    except (ValueError, exceptions.GoogleAuthError, jwt.PyJWTError) as exc:
        # google-auth raises the first two where the keys are certificates, and PyJWT's own where they are a JWK set.
        raise UnauthenticatedError(f"the ID token is not valid: {exc}") from exc
    if claims.get("iss") not in ISSUERS or not claims.get("email_verified") or not claims.get("email"):
        raise UnauthenticatedError("the ID token carries no verified e-mail address")
    return str(claims["email"])


def is_known_sender(secret: str, token: str | None, authorization: str | None) -> bool:
    """Whether Monitoring's webhook brought the secret: as ``?auth_token=``, or as the password of basic authentication.

    Monitoring offers nothing better: no signature and no header of one's own. Compared in constant time.
    """
    if not secret:
        return False
    if token is not None and hmac.compare_digest(token.encode(), secret.encode()):
        return True
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        password = base64.b64decode(encoded, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(password, secret.encode())


def audience_of(environment: Mapping[str, str], url: str) -> str:
    """What a token must be made for: ``COMMAND_AUDIENCE``, or the address that was called."""
    return environment.get("COMMAND_AUDIENCE") or url
