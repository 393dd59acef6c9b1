"""A local BigQuery that knows one thing: the request-response logs of endpoints, asked by ``jobs.query`` with named parameters.

It reads no SQL. Whoever asks says by its parameters which endpoint, from when until when, and how many rows at most.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_FIELDS = (
    ("endpoint", "STRING", "NULLABLE"),
    ("deployed_model_id", "STRING", "NULLABLE"),
    ("logging_time", "TIMESTAMP", "NULLABLE"),
    ("request_id", "NUMERIC", "NULLABLE"),
    ("request_payload", "STRING", "REPEATED"),
    ("response_payload", "STRING", "REPEATED"),
)


class BigQuery:
    """A context manager; ``add`` takes the rows that the emulator's request log hands out."""

    def __init__(self) -> None:
        self._rows: list[Mapping[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.queries: list[str] = []
        """What was asked, in SQL."""

    @property
    def url(self) -> str:
        """For ``BIGQUERY_EMULATOR_HOST``."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def add(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="bigquery", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of ``jobs.query``."""
        self.queries.append(str(body["query"]))
        given = {p["name"]: p["parameterValue"]["value"] for p in body["queryParameters"]}
        begin, end = _moment(given["begin"]), _moment(given["end"])
        found = [
            row
            for row in self._rows
            if row["endpoint"] == given["endpoint"] and begin <= _moment(row["logging_time"]) < end
        ]
        found.sort(key=lambda row: zlib.crc32(str(row["request_id"]).encode()))
        rows = [{"f": list(_cells(row))} for row in found[: int(given["limit"])]]
        return {
            "kind": "bigquery#queryResponse",
            "jobComplete": True,
            "jobReference": {"projectId": "local-project", "jobId": f"job_{len(self.queries)}", "location": "US"},
            "queryId": f"query_{len(self.queries)}",
            "schema": {"fields": [{"name": name, "type": kind, "mode": mode} for name, kind, mode in _FIELDS]},
            "totalRows": str(len(rows)),
            "rows": rows,
        }


def _cells(row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for name, kind, mode in _FIELDS:
        value = row[name]
        if kind == "TIMESTAMP":
            value = str(round(_moment(value).timestamp() * 1_000_000))
        yield {"v": [{"v": one} for one in value]} if mode == "REPEATED" else {"v": str(value)}


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _handler(served: BigQuery) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(served.answer(body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing: what was asked is kept."""

    return Handler
