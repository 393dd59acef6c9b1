"""Requests that nobody who means well sends: to ``receive_alert`` and ``receive_command``, with and without their secrets, drawn from a seed."""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.signature import SIGNATURE, TIMESTAMP, sign

LARGEST = 256 * 1024


@dataclass(frozen=True)
class Malformed:
    """One request; with ``raw`` it is not even HTTP."""

    function: str
    method: str = "POST"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: bytes = b""


class Malice:
    """Draws one after another."""

    def __init__(self, seed: int, secret: str, token: str) -> None:
        self._draw = random.Random(seed)
        self._secret = secret
        self._token = token
        """An ID token that is valid: what comes with it gets as far as it can."""

    def next(self) -> Malformed:
        """One of some dozen kinds, with its details drawn."""
        kind = self._draw.choices((self._alert, self._stranger, self._command, self._raw), (50, 25, 20, 5))[0]
        return kind()

    def _alert(self) -> Malformed:
        """By somebody who has the secret, in one of the ways to prove it; only the body is wrong, or the way it is sent."""
        body = self._body()
        headers = {"Content-Type": "application/json"}
        path = "/"
        match self._draw.randrange(3):
            case 0:
                path = f"/?auth_token={self._secret}"
            case 1:
                headers["Authorization"] = f"Basic {base64.b64encode(f'x:{self._secret}'.encode()).decode()}"
            case _:
                headers |= sign(self._secret, self._word(), body, datetime.now(UTC))
        match self._draw.randrange(12):
            case 0:
                return Malformed("receive_alert", self._draw.choice(("GET", "PUT", "DELETE", "PATCH")), path, headers)
            case 1:
                headers["Content-Type"] = self._draw.choice(("text/xml", "multipart/form-data", ";;;", "a/b; c=\x7f"))
            case 2:
                headers["Content-Encoding"] = "gzip"
                return Malformed("receive_alert", path=path, headers=headers, body=gzip.compress(b"[" * 100_000))
        return Malformed("receive_alert", path=path, headers=headers, body=body)

    def _stranger(self) -> Malformed:
        """By somebody who guesses."""
        headers = {"Content-Type": "application/json"}
        path = f"/{self._draw.choice(('', 'admin', '..%2f..%2fetc/passwd', '%00', 'a' * 3000))}"
        match self._draw.randrange(5):
            case 0:
                path += f"?auth_token={self._word()}&auth_token={self._secret[:-1]}"
            case 1:
                headers["Authorization"] = f"Basic {self._word()}"
            case 2:
                headers |= sign(self._word(), self._word(), b"", datetime.now(UTC))
            case 3:
                headers |= {SIGNATURE: self._word(), TIMESTAMP: self._draw.choice(("9" * 400, "-1", "1e9", "", "²"))}
                headers = {key: value.encode("latin-1", "replace").decode("latin-1") for key, value in headers.items()}
        return Malformed("receive_alert", path=path, headers=headers, body=self._body())

    def _command(self) -> Malformed:
        token = self._draw.choice((self._token, self._word(), f"{self._word()}.{self._word()}.{self._word()}", ""))
        headers = {"Authorization": f"{self._draw.choice(('Bearer', 'bearer', 'Basic', ''))} {token}"}
        body = self._draw.choice((self._body(), self._wrong_command()))
        return Malformed("receive_command", headers=headers | {"Content-Type": "application/json"}, body=body)

    def _wrong_command(self) -> bytes:
        command: dict[str, Any] = {"id": self._word(), "command": "pause", "rollout": "no-such-rollout"}
        command[self._draw.choice(("id", "command", "rollout", "reason", "forced", "model", "\ud800"))] = self._value(2)
        return json.dumps(command).encode()

    def _raw(self) -> Malformed:
        function = self._draw.choice(("receive_alert", "receive_command"))
        return Malformed(function, raw=self._draw.choice(_RAW))

    def _body(self) -> bytes:
        match self._draw.randrange(10):
            case 0:
                return self._draw.randbytes(self._draw.randrange(200))
            case 1:
                return self._draw.choice((b"[", b'{"a":', b'{"incident":')) * self._draw.randrange(1, 20_000)
            case 2:
                return b"" if self._draw.random() < 0.5 else b" " * self._draw.randrange(1, 100)
            case 3:
                return b'{"x":' + b"9" * self._draw.randrange(1, 10_000) + b"}"
            case 4 if self._draw.random() < 0.05:
                return b"x" * (LARGEST + self._draw.randrange(1, 100_000))
            case 5:
                return json.dumps({"schema": "alert/v1", "id": self._value(1), "state": self._value(1)}).encode()
            case 6:
                return json.dumps(
                    {"version": "1.2", "incident": {"incident_id": self._value(1), "state": "ajar"}}
                ).encode()
            case _:
                return json.dumps(self._value(4)).encode()

    def _value(self, depth: int) -> Any:
        """Any JSON that is neither an alert nor a command."""
        if depth and self._draw.random() < 0.5:
            many = range(self._draw.randrange(4))
            if self._draw.random() < 0.5:
                return [self._value(depth - 1) for _ in many]
            return {self._word(): self._value(depth - 1) for _ in many}
        return self._draw.choice((None, True, -1, 10**400, 1e308, "", "\ud800", "\x00\n\u202e", self._word()))

    def _word(self) -> str:
        return "".join(self._draw.choices("abcXYZ019-_~%'\"<>", k=self._draw.randrange(1, 40)))


_RAW = (
    b"GET\r\n\r\n",
    b"POST / HTTP/9.9\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    b"POST /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nBad Header: x\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(300)) + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 64 + b"\r\n\r\n",
)
