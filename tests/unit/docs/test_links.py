"""Relative links and pictures in the documentation lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import ROOT, documents

_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
DOCUMENTS = [*documents(), *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]


def _prose(path: Path) -> str:
    return _FENCED.sub("", path.read_text(encoding="utf-8"))


def _anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to headings."""
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(_prose(path)))
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_to_files_and_headings_that_are_there(path: Path) -> None:
    broken = []
    for found in _LINK.finditer(_prose(path)):
        link = found[1] or found[2]
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        path = todo.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        links = (found[1] or found[2] for found in _LINK.finditer(_prose(path)))
        todo += [
            (path.parent / link.partition("#")[0]).resolve() for link in links if not link.startswith(("http", "#"))
        ]
    assert set(DOCUMENTS) <= seen
