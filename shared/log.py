"""One JSON line per event on standard output, as Cloud Logging reads it; no logging client (57 MB and 0.75 s at import).

``sys.stdout`` is looked up at each line: the Functions Framework replaces it during a request to add the execution id.
"""

from __future__ import annotations

import contextvars
import json
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_labels: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("labels", default={})  # noqa: B039 (never mutated)
_TRACE_ID = re.compile(r"[0-9a-f]{32}(?![0-9a-f])")
"""Whatever else the header holds, anybody may have sent."""
_UNSEEN = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON may leave as it is, and a terminal or an encoding may not: controls, other ends of lines, directions, halves of characters."""
_trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="")


@contextmanager
def labelled(**labels: str) -> Iterator[None]:
    """Every line inside carries these labels: function, event, rollout."""
    token = _labels.set(_labels.get() | {k: v for k, v in labels.items() if v})
    try:
        yield
    finally:
        _labels.reset(token)


def set_trace(header: str | None) -> None:
    """Join the lines to the request's trace (``X-Cloud-Trace-Context``)."""
    project = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    trace = _TRACE_ID.match(header or "")
    _trace.set(f"projects/{project}/traces/{trace[0]}" if trace and project else "")


def _write(severity: str, message: str, fields: dict[str, Any]) -> None:
    line: dict[str, Any] = {"severity": severity, "message": message, **fields}
    if labels := _labels.get():
        line["logging.googleapis.com/labels"] = labels
    if trace := _trace.get():
        line["logging.googleapis.com/trace"] = trace
    text = json.dumps(line, ensure_ascii=False, default=str)
    sys.stdout.write(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")
    sys.stdout.flush()


def info(message: str, **fields: Any) -> None:
    _write("INFO", message, fields)


def warning(message: str, **fields: Any) -> None:
    _write("WARNING", message, fields)


def error(message: str, **fields: Any) -> None:
    """With the traceback of the exception in hand, where Error Reporting looks for it."""
    if sys.exc_info()[0] is not None:
        fields.setdefault("stack_trace", traceback.format_exc())
    _write("ERROR", message, fields)
