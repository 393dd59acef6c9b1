"""What the functions declare to need, held against the table from which Terraform makes their roles."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.package import functions
from infra.table import Row
from shared import permissions as groups

HOW = "the top of infra/functions.yaml says how a function is added"


class DeclarationError(Exception):
    """A function whose PERMISSIONS cannot be read."""


def declared(root: Path, name: str) -> frozenset[str]:
    """PERMISSIONS of a function, read without running it: texts, and the names of shared/permissions.py."""
    main = root / "functions" / name / "main.py"
    for node in ast.parse(main.read_bytes()).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["PERMISSIONS"]:
            if not isinstance(node.value, ast.Tuple):
                break
            found = [permission for element in node.value.elts for permission in _named(main, element)]
            if len(found) != len(set(found)):
                raise DeclarationError(f"functions/{name}/main.py: PERMISSIONS names one twice")
            return frozenset(found)
    raise DeclarationError(f"functions/{name}/main.py has no tuple PERMISSIONS; {HOW}")


def differences(root: Path, table: Mapping[str, Row]) -> Iterator[str]:
    """Every difference between code and table, as a sentence."""
    folders = set(functions(root))
    for name in sorted(folders - set(table)):
        yield f"functions/{name} has no row in infra/functions.yaml, so it would not be deployed; {HOW}"
    for name in sorted(set(table) - folders):
        yield f"infra/functions.yaml has a row {name}, and functions/ has no such folder"
    for name in sorted(set(table) & folders):
        try:
            wanted = declared(root, name)
        except DeclarationError as exc:
            yield str(exc)
            continue
        for permission in sorted(wanted - table[name].granted):
            yield f"{name} declares {permission} (PERMISSIONS), and its row in infra/functions.yaml does not grant it"
        for permission in sorted(table[name].granted - wanted):
            yield f"{name} is granted {permission} by its row in infra/functions.yaml, and does not declare it (PERMISSIONS)"


def _named(main: Path, element: ast.expr) -> tuple[str, ...]:
    if isinstance(element, ast.Constant) and isinstance(element.value, str):
        return (element.value,)
    name = ast.unparse(element).removeprefix("*")
    value = getattr(groups, name, None)
    if value is None:
        raise DeclarationError(
            f"{main.parent.name}/main.py: PERMISSIONS has {name}, which is neither a text nor in shared/permissions.py"
        )
    return (value,) if isinstance(value, str) else tuple(value)
