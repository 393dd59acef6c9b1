"""A local Cloud Billing Catalog: the SKUs of a file, page by page, as ``cloudbilling.googleapis.com/v1`` gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.http_server import HttpServer


class BillingCatalog(HttpServer):
    """A context manager; ``answers`` are what is given before the pages, such as a refusal."""

    def __init__(self, service: str, skus: Sequence[Mapping[str, Any]], page: int = 5000) -> None:
        super().__init__(_handler(self), "catalog")
        self._service, self._skus, self._page = service, skus, page
        self.answers: list[int] = []
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """For ``BILLING_EMULATOR_HOST``."""
        return self.base

    def answer(self, path: str, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """One page."""
        self.asked.append(asked)
        if self.answers:
            status = self.answers.pop(0)
            return status, {"error": {"code": status, "message": "as asked for"}}
        if path != f"/v1/services/{self._service}/skus":
            return 404, {"error": {"code": 404, "message": f"{path} is not here"}}
        begin = int(asked.get("pageToken", "0"))
        end = begin + min(self._page, int(asked.get("pageSize", "5000")))
        more = {"nextPageToken": str(end)} if end < len(self._skus) else {"nextPageToken": ""}
        return 200, {"skus": list(self._skus[begin:end]), **more}


def _handler(served: BillingCatalog) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, page = served.answer(parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()})
            body = json.dumps(page).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: what was asked is kept."""

    return Handler
