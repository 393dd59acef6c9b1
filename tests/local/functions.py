"""Tiny functions, written to disk by tests of the hosts: one event function, one HTTP function, one that fails."""

from __future__ import annotations

from pathlib import Path

_KEEP_EVENT = '''
"""Writes each event to the file that KEPT names."""

import json
import os

import functions_framework


@functions_framework.cloud_event
def keep_event(event):
    message = event.data["message"]
    line = {"module": __name__, "id": event["id"], "type": event["type"], "source": event["source"], **message}
    with open(os.environ["KEPT"], "a") as kept:
        kept.write(json.dumps(line) + "\\n")
'''

_GREET = """
import functions_framework


@functions_framework.http
def greet(request):
    return f"{__name__} {request.path} {request.args.get('name', '')}"
"""

_FAIL = """
import functions_framework


@functions_framework.cloud_event
def fail(event):
    raise RuntimeError("out of order")
"""


def write_functions(root: Path) -> Path:
    """A folder like ``functions/`` with the three."""
    for name, code in {"keep_event": _KEEP_EVENT, "greet": _GREET, "fail": _FAIL}.items():
        (root / name).mkdir(parents=True)
        (root / name / "main.py").write_text(code)
    return root
