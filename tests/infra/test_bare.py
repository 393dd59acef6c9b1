"""Deployed source is the same program in the same lines."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from infra.bare import bare
from infra.package import ROOT

SOURCES = sorted((ROOT / "shared").rglob("*.py"))


def program(source: str) -> list[str]:
    """Every node with its line, texts that stand for themselves apart."""
    return list(_nodes(ast.parse(source)))


def _nodes(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value in (..., "."):
        yield "nothing"
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        yield "nothing"
        return
    yield f"{type(node).__name__} {getattr(node, 'lineno', '')} {_own(node)}"
    for child in ast.iter_child_nodes(node):
        yield from _nodes(child)


def _own(node: ast.AST) -> str:
    """What a node says by itself: names, values, attributes."""
    values = (getattr(node, name, None) for name in node._fields)
    return repr([value for value in values if isinstance(value, str | bytes | int | float | complex | bool | None)])


def test_every_file_stays_the_same_program_in_the_same_lines() -> None:
    assert len(SOURCES) > 200
    for path in SOURCES:
        source = path.read_text()
        assert program(bare(source)) == program(source), path
        compile(bare(source), path, "exec")


def test_what_only_people_read_is_gone() -> None:
    source = '''"""A module."""

LIMIT = 3  # of them
"""What it is."""
TEXT = """kept: # no comment
"""


class Kept:
    """Its docstring."""

    def shorter(self) -> str:
        """Says
        something."""
        return "# kept"  # gone
'''
    assert (
        bare(source)
        == '''"."

LIMIT = 3
...
TEXT = """kept: # no comment
"""


class Kept:
    "."

    def shorter(self) -> str:
        ...

        return "# kept"
'''
    )


def test_a_function_of_nothing_but_its_docstring_stays_one() -> None:
    found: dict[str, object] = {}
    exec(bare('def nothing():\n    """Does nothing."""\n'), found)  # noqa: S102 (the text is ours)
    assert callable(found["nothing"])


def test_a_statement_on_the_line_where_a_text_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2"):
        bare('"""A\nmodule."""; x = 1\n')
