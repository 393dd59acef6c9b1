"""The identity of the local system: ID tokens like Google's, under a key of its own.

What verifies them is the real ``google.oauth2.id_token.verify_token``; only the address of the key set differs. Times in a
token are wall times, as the library that checks them reads the wall clock.
"""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from jwt.algorithms import RSAAlgorithm

from local.http_server import HttpServer

ISSUER = "https://accounts.google.com"


class Issuer:
    """An RSA key, the tokens it signs, and the key set that verifies them."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        digest = Hash(SHA256())
        digest.update(public)
        self._key_id = digest.finalize().hex()[:40]

    @classmethod
    def create(cls) -> Self:
        """A new key, for this run only."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The key that ``save`` wrote, so that several processes speak with one identity."""
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError(f"{path} holds no RSA key; write one with Issuer.create().save(path).")
        return cls(key)

    def save(self, path: Path) -> None:
        """Write the key for other processes of this user."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_bytes(pem)

    def mint(self, email: str, audience: str, seconds: int = 3600) -> str:
        """An ID token of a verified e-mail address for one audience, valid for ``seconds`` of wall time."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "azp": email,
            "sub": str(int.from_bytes(email.encode(), "big") % 10**21),
            "email": email,
            "email_verified": True,
            "iat": now,
            "exp": now + seconds,
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id})

    def jwks(self) -> dict[str, Any]:
        """The public key as a JWK set, the form of https://www.googleapis.com/oauth2/v3/certs."""
        public = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self._key_id, "use": "sig", "alg": "RS256"}]}

    def pems(self) -> dict[str, str]:
        """The public key as a map of PEM texts by key id; google-auth takes a bare key where Google has certificates."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {self._key_id: public.decode()}


class KeyServer(HttpServer):
    """Serves an issuer's public key over HTTP: ``/certs`` as a JWK set, ``/certs/pem`` as PEM; a context manager."""

    def __init__(self, issuer: Issuer, port: int = 0) -> None:
        documents = {"/certs": issuer.jwks(), "/certs/pem": issuer.pems()}

        class Handler(BaseHTTPRequestHandler):
            """Answers from the two documents."""

            def do_GET(self) -> None:
                document = documents.get(self.path)
                body = json.dumps(document or {"error": f"{self.path} is not here; try /certs"}).encode()
                self.send_response(200 if document else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Cache-Control", "public, max-age=3600")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keys are fetched all the time; nobody wants to read it."""

        super().__init__(Handler, "keys", port)
        self.url = f"{self.base}/certs"
