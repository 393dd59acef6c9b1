"""What the tests of the local system share: an endpoint that records what is posted to it, and patience."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeVar

T = TypeVar("T")

PROJECT = "projects/proj-1"


@dataclass(frozen=True)
class Post:
    """One request that arrived."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    client: tuple[str, int]
    at: float

    @property
    def message_id(self) -> str:
        """Of the message in the body."""
        return str(self.body["message"]["messageId"])


class Endpoint:
    """An HTTP server that answers a post with ``answer(post)`` and keeps it."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.answer: Callable[[Post], int] = lambda _post: 200
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                post = Post(self.path, dict(self.headers), body, self.client_address, time.monotonic())
                endpoint.posts.append(post)
                self.send_response(endpoint.answer(post))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def eventually(look: Callable[[], T | None], seconds: float = 20.0) -> T:
    """What ``look`` returns as soon as it is true; fails when it never is."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.01)
    return found
