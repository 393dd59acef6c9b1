"""Who may send alerts to the webhook: whoever brings the secret, or signs with it.

Cloud Monitoring offers a token in the address or basic authentication, and nothing better: no signature and no header of one's own. Other
senders sign body and time (``shared/signature.py``), so that the secret never travels and a request that was overheard is soon worth nothing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime

from shared.signature import SIGNATURE, is_genuine

SHORTEST = 16
"""Characters of a secret. A shorter one can be guessed, and none at all would let everybody in."""


def is_known_sender(secret: str, token: str | None, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether the request brought the secret, as ``?auth_token=`` or as the password of basic authentication, or is signed with it.

    Compared in constant time. A request with a signature is judged by it alone.
    """
    if len(secret) < SHORTEST:
        return False
    if headers.get(SIGNATURE):
        return is_genuine(secret, headers, body, now)
    if token is not None:
        return _is_same(token.encode(errors="replace"), secret)
    return _is_same(_password(headers.get("Authorization", "")), secret)


def _password(authorization: str) -> bytes:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def _is_same(brought: bytes, secret: str) -> bool:
    return hmac.compare_digest(brought, secret.encode())
