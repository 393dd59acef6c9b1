"""A repository of a few lines, written to disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

MAIN = "from shared.a import x\n\n\ndef act(event): ...\n"


def write_repository(root: Path, files: Mapping[str, str] | None = None) -> Path:
    """One function ``act`` that imports ``shared.a``; ``files`` adds or replaces."""
    texts = {"functions/act/main.py": MAIN, "shared/__init__.py": "", "shared/a.py": "x = 1\n"}
    texts |= {"requirements.txt": "functions-framework==3.10.2\npydantic==2.14.3\n"}
    for name, text in {**texts, **(files or {})}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
