"""A container's server process for tests, under the custom-container contract, with the standard library only."""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        super().setup()
        Handler.connections += 1

    def do_GET(self) -> None:
        self.answer(200 if self.path == os.environ["AIP_HEALTH_ROUTE"] else 404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != os.environ["AIP_PREDICT_ROUTE"]:
            self.answer(404, {"error": self.path})
            return
        instances = json.loads(body)["instances"]
        first = instances[0]
        if first == "crash":
            os._exit(1)
        if first == "slow":
            time.sleep(2)
        if isinstance(first, int):
            self.answer(first, {"error": "asked for"})
            return
        weight = json.loads((Path(os.environ["AIP_STORAGE_URI"]) / "model.json").read_text())["weight"]
        facts = {"weight": weight, "connections": Handler.connections, "greeting": os.environ.get("GREETING", "")}
        self.answer(200, {"predictions": [{**facts, "echo": instance} for instance in instances]})

    def answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        pass


if __name__ == "__main__":
    if "--broken" in sys.argv:
        sys.exit("cannot load the model")
    if "--deaf" in sys.argv:
        time.sleep(60)
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
