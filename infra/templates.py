"""Jinja templates as Python modules: translating them takes a function a twelfth of the time until its first page."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from jinja2 import FileSystemLoader

from shared.page.render import COMPILED, TEMPLATES, environment

_SOURCES, _MODULES = (path.relative_to(COMPILED.parents[2]).as_posix() for path in (TEMPLATES, COMPILED))


def with_compiled_templates(root: Path, files: Mapping[str, Path]) -> dict[str, Path | bytes]:
    """The files of a zip (name in it to file) with the page's templates replaced by what Jinja makes of them."""
    kept: dict[str, Path | bytes] = {name: path for name, path in files.items() if not name.startswith(f"{_SOURCES}/")}
    if len(kept) == len(files):
        return kept
    compiler = environment().overlay(loader=FileSystemLoader(root / _SOURCES))
    with tempfile.TemporaryDirectory() as folder:
        compiler.compile_templates(folder, zip=None, ignore_errors=False)
        modules = {f"{_MODULES}/{path.name}": path.read_bytes() for path in Path(folder).glob("*.py")}
    return kept | modules
