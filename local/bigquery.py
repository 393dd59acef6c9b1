"""A local BigQuery that knows two things, asked by ``jobs.query`` with named parameters: request-response logs, and a billing export.

It reads no SQL. Whoever asks says by its parameters which endpoint, from when until when, and how many rows at most; or whose spend, on
which SKUs, of which time.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from typing import Any

from local.http_server import HttpServer

_FIELDS = (
    ("endpoint", "STRING", "NULLABLE"),
    ("deployed_model_id", "STRING", "NULLABLE"),
    ("logging_time", "TIMESTAMP", "NULLABLE"),
    ("request_id", "NUMERIC", "NULLABLE"),
    ("request_payload", "STRING", "REPEATED"),
    ("response_payload", "STRING", "REPEATED"),
)


_SPEND_FIELDS = (("usd", "NUMERIC", "NULLABLE"), ("billed_until", "TIMESTAMP", "NULLABLE"))


class BigQuery(HttpServer):
    """A context manager; ``add`` takes the rows that the emulator's request log hands out, ``bill`` those of a billing export."""

    def __init__(self) -> None:
        super().__init__(_handler(self), "bigquery")
        self._rows: list[Mapping[str, Any]] = []
        self._billed: list[Mapping[str, Any]] = []
        self.refusals: list[int] = []
        """Statuses that the next queries are answered with."""
        self.queries: list[str] = []
        """What was asked, in SQL."""

    @property
    def url(self) -> str:
        """For ``BIGQUERY_EMULATOR_HOST``."""
        return self.base

    def add(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)

    def bill(self, row: Mapping[str, Any]) -> None:
        """A row in the documented form of the export."""
        self._billed.append(row)

    def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of ``jobs.query``."""
        self.queries.append(str(body["query"]))
        parameters = {p["name"]: p["parameterValue"] for p in body["queryParameters"]}
        if "projects" in parameters:
            return self._answered(_SPEND_FIELDS, [self._spend(parameters)])
        given = {name: value["value"] for name, value in parameters.items()}
        begin, end = _moment(given["begin"]), _moment(given["end"])
        found = [
            row
            for row in self._rows
            if row["endpoint"] == given["endpoint"] and begin <= _moment(row["logging_time"]) < end
        ]
        found.sort(key=lambda row: zlib.crc32(str(row["request_id"]).encode()))
        return self._answered(_FIELDS, found[: int(given["limit"])])

    def _spend(self, given: Mapping[str, Any]) -> dict[str, Any]:
        projects = {one["value"] for one in given["projects"]["arrayValues"]}
        begin, end = _moment(given["begin"]["value"]), _moment(given["end"]["value"])
        found = [
            row
            for row in self._billed
            if row["service"]["id"] == given["service"]["value"]
            and row["sku"]["description"].startswith(given["sku"]["value"])
            and row["project"]["id"] in projects
            and begin <= _moment(row["usage_start_time"]) < end
        ]
        usd = sum(
            (Decimal(str(r["cost"])) + sum(Decimal(str(c["amount"])) for c in r["credits"]))
            / Decimal(str(r["currency_conversion_rate"]))
            for r in found
        )
        until = max((r["usage_end_time"] for r in found), default=None)
        return {"usd": f"{usd:.9f}" if found else None, "billed_until": until}

    def _answered(self, fields: tuple[tuple[str, str, str], ...], found: list[Any]) -> dict[str, Any]:
        rows = [{"f": list(_cells(fields, row))} for row in found]
        return {
            "kind": "bigquery#queryResponse",
            "jobComplete": True,
            "jobReference": {"projectId": "local-project", "jobId": f"job_{len(self.queries)}", "location": "US"},
            "queryId": f"query_{len(self.queries)}",
            "schema": {"fields": [{"name": name, "type": kind, "mode": mode} for name, kind, mode in fields]},
            "totalRows": str(len(rows)),
            "rows": rows,
        }


def _cells(fields: tuple[tuple[str, str, str], ...], row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for name, kind, mode in fields:
        value = row[name]
        if value is None:
            yield {"v": None}
            continue
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
            status = served.refusals.pop(0) if served.refusals else 200
            refusal = {"error": {"code": status, "message": "as asked for", "errors": [{"reason": "accessDenied"}]}}
            answer = json.dumps(served.answer(body) if status == 200 else refusal).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing: what was asked is kept."""

    return Handler
