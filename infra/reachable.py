"""Which files of the repository a function needs, read from its imports without running any of them.

Every import statement counts, those inside functions too: they run later, but they run. Only what stands under ``if TYPE_CHECKING:``
never does. So a function gets all adapters that ``shared.wiring`` might build for it, whether it asks for them or not: a zip that is
some kilobytes too large costs nothing, one that lacks a module fails at the moment of a rollback.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import packages_distributions
from pathlib import Path

SHARED = "shared"
DATA = frozenset({".css", ".csv", ".html", ".j2", ".js", ".json", ".svg", ".txt", ".yaml"})
"""Files that a package reads at run time; they go where the package goes."""


class PackagingError(Exception):
    """A function that cannot be packaged, with the reason and what to do."""


@dataclass(frozen=True)
class _Import:
    """One module that a statement names; ``names`` may be submodules of it, or anything else that it holds."""

    module: str
    names: tuple[str, ...]
    line: int


Known = dict[Path, frozenset[Path]]
"""The files that a file's imports execute; most are reached by every function, and are looked at once for all of them."""


def reachable(root: Path, main: Path, known: Known) -> list[Path]:
    """The files below ``root / "shared"`` that ``main`` imports, directly or not, with the data of their packages.

    ``known`` is empty at first, and given again for the next function of the same sources.
    """
    found: set[Path] = set()
    waiting = [main]
    while waiting:
        file = waiting.pop()
        if file not in known:
            imports = _imports(root, file)
            known[file] = frozenset(path for imported in imports for path in _files(root, file, imported))
        fresh = known[file] - found
        found |= fresh
        waiting += sorted(fresh)
    return sorted(found | {data for package in found if package.name == "__init__.py" for data in _data(package)})


def _files(root: Path, file: Path, imported: _Import) -> Iterator[Path]:
    """The files that one import executes: the packages on the way, the module, and the names that are submodules."""
    top = imported.module.partition(".")[0]
    if top != SHARED:
        _refuse_siblings(root, file, imported, top)
        return
    segments = imported.module.split(".")
    for depth in range(1, len(segments)):
        yield _init(root, segments[:depth], file, imported)
    module = _find(root, segments)
    if module is None:
        raise PackagingError(
            f"{_place(root, file, imported)} imports {imported.module}, which is not in {root}; correct the name, or add the module"
        )
    yield module
    for name in imported.names:
        submodule = _find(root, [*segments, name]) if module.name == "__init__.py" else None
        if submodule is not None:
            yield submodule


def _find(root: Path, segments: list[str]) -> Path | None:
    base = root.joinpath(*segments)
    candidates = (base / "__init__.py", base.with_name(f"{base.name}.py"))
    return next((path for path in candidates if path.is_file()), None)


def _init(root: Path, segments: list[str], file: Path, imported: _Import) -> Path:
    init = root.joinpath(*segments, "__init__.py")
    if not init.is_file():
        raise PackagingError(
            f"{_place(root, file, imported)} imports {imported.module}, and {init} is missing; add it, packages are explicit here"
        )
    return init


def _refuse_siblings(root: Path, file: Path, imported: _Import, top: str) -> None:
    if top in sys.stdlib_module_names:
        return
    # Beside a main.py a module would be found while developing, and missing in the zip.
    folders = (root,) if file.is_relative_to(root / SHARED) else (root, file.parent)
    if any((folder / top).is_dir() or (folder / f"{top}.py").is_file() for folder in folders):
        raise PackagingError(
            f"{_place(root, file, imported)} imports {imported.module}, which is not deployed; "
            f"a function may import {SHARED}, the standard library and what requirements.txt names"
        )

    lacking = _unpinned(root, top)
    if lacking is not None:
        raise PackagingError(
            f"{_place(root, file, imported)} imports {imported.module}, which {lacking}; a function is deployed with requirements.txt "
            "and nothing else: pin it there, with its size and reason, or do without"
        )


def _unpinned(root: Path, top: str) -> str | None:
    """Why a package of others would be missing where the function is deployed; None where it would not."""
    requirements = root / "requirements.txt"
    if not requirements.is_file():
        return None  # said better when the zip is written
    found = _distributions().get(top, ())
    if _pinned(requirements.read_text()) & {_normal(name) for name in found}:
        return None
    return f"comes with {found[0]}" if found else "no installed package brings"


@lru_cache(maxsize=16)
def _pinned(requirements: str) -> frozenset[str]:
    return frozenset(_normal(line) for line in requirements.splitlines() if re.match(r"[A-Za-z0-9]", line))


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def _normal(line: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>!~;\[ ]", line, maxsplit=1)[0]).lower()


def _place(root: Path, file: Path, imported: _Import) -> str:
    return f"{file.relative_to(root)}:{imported.line}"


def _data(init: Path) -> Iterator[Path]:
    """Files beside a package's modules, and in folders below that are no packages themselves."""
    for path in init.parent.iterdir():
        if path.is_file() and path.suffix in DATA:
            yield path
        elif path.is_dir() and not (path / "__init__.py").exists():
            yield from (below for below in path.rglob("*") if below.is_file() and below.suffix in DATA)


def _imports(root: Path, file: Path) -> tuple[_Import, ...]:
    """Read once, as most files are reached by every function."""
    known = file.stat()
    return _imports_at(root, file, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=4096)
def _imports_at(root: Path, file: Path, _written: int, _size: int) -> tuple[_Import, ...]:
    return tuple(_read_imports(root, file))


def _read_imports(root: Path, file: Path) -> Iterator[_Import]:
    if file.suffix != ".py":
        return
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except SyntaxError as exc:
        raise PackagingError(
            f"{file.relative_to(root)}:{exc.lineno} cannot be read as Python: {exc.msg}; correct it"
        ) from exc
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            yield from (_Import(alias.name, (), node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield _Import(_absolute(root, file, node), names, node.lineno)


def _absolute(root: Path, file: Path, node: ast.ImportFrom) -> str:
    """The full name of what a relative import names."""
    if not node.level:
        return node.module or ""
    package = file.relative_to(root).parent.parts
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, but for the bodies that only a type checker reads."""
    waiting = [node]
    while waiting:
        for child in ast.iter_child_nodes(waiting.pop()):
            if isinstance(child, ast.If) and _is_type_checking(child.test):
                yield from child.orelse
                waiting += child.orelse
                continue
            yield child
            if not isinstance(child, ast.expr):  # no statement is in an expression
                waiting.append(child)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
