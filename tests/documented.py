"""Code that stands in the documentation, as a reader would copy it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def endpoint_of() -> Callable[[str, dict[str, Any]], str]:
    """What a client of a sticky experiment runs."""
    text = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    (code,) = [one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "def endpoint_of" in one]
    names: dict[str, Any] = {"hashlib": hashlib}
    exec(code, names)  # noqa: S102 (our own documentation)
    found: Callable[[str, dict[str, Any]], str] = names["endpoint_of"]
    return found


def documented_object() -> dict[str, Any]:
    """The object that the documentation shows."""
    text = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    (shown,) = [one for one in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if "sticky-arms/v1" in one]
    return dict(json.loads(shown))
