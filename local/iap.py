"""Identity-Aware Proxy on this machine: whoever comes is one person, and the page behind it gets a signed assertion of that.

The assertion is made as Google's (ES256, issuer, audience, e-mail address), under a key of this run; the page verifies it with the code that
verifies Google's. What a visitor sends under the proxy's headers is dropped, as the real one drops it.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from local.http_server import HttpServer
from shared.identity import ASSERTION, IAP_ISSUER

AUDIENCE = "/projects/123456789012/locations/us-central1/services/status-page"
KEYS = "/iap/verify/public_key"
KEY_ID = "local"
SECONDS = 600
"""How long an assertion is good for, as Google's."""
_OF_THE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length"})


class IdentityAwareProxy(HttpServer):
    """Stands before one function; a context manager. ``person`` may be changed at any time: who comes then is somebody else."""

    def __init__(self, person: str, target: Callable[[], str], port: int = 0) -> None:
        """``target`` is where the function listens, asked for at each request; without a slash at the end."""
        self.person = person
        self._key = ec.generate_private_key(ec.SECP256R1())
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == KEYS:
                    proxy._answer_keys(self)
                else:
                    proxy._forward(self, target())

            do_HEAD = do_POST = do_GET  # noqa: N815 - their names are http.server's

            def log_message(self, *_: object) -> None:
                """The page logs what matters."""

        super().__init__(Handler, "iap", port)
        self.url = self.base
        self.keys_url = f"{self.url}{KEYS}"

    def assertion(self, **changes: object) -> str:
        """What the page is told about who comes."""
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": IAP_ISSUER,
            "aud": AUDIENCE,
            "sub": f"accounts.google.com:{int.from_bytes(self.person.encode(), 'big') % 10**21}",
            "email": self.person,
            "iat": now,
            "exp": now + SECONDS,
        }
        said = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(said, self._key, algorithm="ES256", headers={"kid": KEY_ID})

    def _answer_keys(self, handler: BaseHTTPRequestHandler) -> None:
        form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        body = json.dumps({KEY_ID: self._key.public_key().public_bytes(*form).decode()}).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _forward(self, handler: BaseHTTPRequestHandler, target: str) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {
            name: value
            for name, value in handler.headers.items()
            if name.lower() not in _OF_THE_CONNECTION and not name.lower().startswith("x-goog-")
        }
        parts = urlsplit(target)
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        try:
            # The host as the visitor knows it, which is what the page compares a form's origin with. Where several functions share an address,
            # the page's links begin with its own path; what a person types does not.
            path = parts.path + handler.path.removeprefix(parts.path)
            connection.request(handler.command, path, body or None, {**headers, ASSERTION: self.assertion()})
            answer = connection.getresponse()
            content = answer.read()
        except OSError as exc:
            handler.send_error(502, explain=f"the page does not answer: {exc}")
            return
        finally:
            connection.close()
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in (*_OF_THE_CONNECTION, "date", "server"):
                handler.send_header(name, value if name.lower() != "location" else value.removeprefix(parts.path))
        handler.send_header("Content-Length", answer.getheader("Content-Length") or str(len(content)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)
