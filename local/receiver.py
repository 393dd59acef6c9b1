"""The people's side of a signed webhook: takes what ``notify`` sends, and believes only what is signed."""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

from local.http_server import HttpServer
from shared.clock import Clock, now, wall_seconds
from shared.signature import ID, TOLERANCE, is_genuine

_WALL_SECONDS = 30.0
"""What a busy machine may take from signing to reading: where time is compressed, minutes of tolerance are a second of the wall's."""


class Receiver(HttpServer):
    """Keeps every genuine notice, and counts how often each came."""

    def __init__(self, secret: str, clock: Clock = now) -> None:
        self.notices: list[dict[str, Any]] = []
        self.received: Counter[str] = Counter()
        self.forged = 0
        receiver = self
        tolerance = max(TOLERANCE, timedelta(seconds=_WALL_SECONDS / wall_seconds(1)))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                genuine = is_genuine(secret, dict(self.headers.items()), body, clock(), tolerance)
                receiver._take(self.headers.get(ID, ""), body, genuine)
                self.send_response(204 if genuine else 401)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._lock = threading.Lock()
        super().__init__(Handler, "receiver")

    @property
    def url(self) -> str:
        return f"{self.base}/notices"

    def _take(self, id_: str, body: bytes, genuine: bool) -> None:
        with self._lock:
            if not genuine:
                self.forged += 1
                return
            self.received[id_] += 1
            if self.received[id_] == 1:
                self.notices.append({**json.loads(body), "received_at": datetime.now(UTC).isoformat()})
