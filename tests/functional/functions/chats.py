"""Slack's and Google Chat's side of a channel, over HTTP: they take what their documentation says, and answer as it says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

TOKEN, KEY = "xoxb-the-bots-token", "the-key-of-the-space"
CHANNEL = "C0123456789"


class Chats:
    """Keeps every message, with the thread that it went to."""

    def __init__(self) -> None:
        self.slack: list[dict[str, Any]] = []
        self.gchat: list[dict[str, Any]] = []
        self.hooked: list[dict[str, Any]] = []
        """What came by Slack's incoming webhook."""
        self.trouble: Callable[[str], tuple[int, Any] | None] = lambda _: None
        """What a path answers instead, if anything."""
        chats = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with chats._lock:
                    status, answer = chats._take(self.path, self.headers.get("Authorization", ""), body)
                text = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def channels(self) -> dict[str, dict[str, str]]:
        """The entries of NOTIFY_CHANNELS that lead here."""
        return {
            "ml": {"token": TOKEN, "channel": CHANNEL, "api": f"{self.url}/api"},
            "hook": {"url": f"{self.url}/services/{KEY}"},
            "space": {"url": f"{self.url}/v1/spaces/AAAA/messages?key={KEY}&token={KEY}"},
        }

    def _take(self, path: str, authorization: str, body: dict[str, Any]) -> tuple[int, Any]:
        split = urlsplit(path)
        if trouble := self.trouble(split.path):
            return trouble
        if split.path == "/api/chat.postMessage":
            return 200, self._slack(authorization, body)
        if split.path.startswith("/services/"):
            self.hooked.append(body)
            return 200, "ok"
        query = parse_qs(split.query)
        if query.get("key") != [KEY]:
            return 401, {"error": {"status": "UNAUTHENTICATED"}}
        # Without the option a thread's key is ignored, and the message stands alone.
        replies = query.get("messageReplyOption") == ["REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"]
        self.gchat.append({**body, "in": body.get("thread", {}).get("threadKey", "") if replies else ""})
        return 200, {"name": f"spaces/AAAA/messages/{len(self.gchat)}"}

    def _slack(self, authorization: str, body: dict[str, Any]) -> dict[str, Any]:
        if authorization != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        if body.get("channel") != CHANNEL:
            return {"ok": False, "error": "channel_not_found"}
        thread = body.get("thread_ts", "")
        if thread and thread not in {message["ts"] for message in self.slack}:
            return {"ok": False, "error": "cannot_reply_to_message"}
        ts = f"1764000000.{len(self.slack) + 1:06d}"
        self.slack.append({**body, "ts": ts})
        return {"ok": True, "channel": CHANNEL, "ts": ts}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
