"""Source without what only people read: comments and docstrings are a third of it, and every cold start would read them.

Lines keep their numbers, so a traceback still points into the repository. Of a docstring of a class a full stop stays: a dataclass without
one works out a text about itself when it is imported (``dataclasses``), which takes longer than to read one. So it does of a module's:
nothing else may stand before an import of ``__future__``.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cache


@cache
def bare(source: str) -> str:
    """The same program in the same lines."""
    lines = source.splitlines(keepends=True)
    for node, is_kept in _texts(ast.parse(source)):
        _replace(lines, node, '"."' if is_kept else "...")
    return "".join(_without_comments("".join(lines)))


def _texts(tree: ast.Module) -> Iterator[tuple[ast.Expr, bool]]:
    """Texts that stand for themselves, and whether each is the docstring of a class or a module."""
    for node in ast.walk(tree):
        for body in (getattr(node, "body", ()), getattr(node, "orelse", ()), getattr(node, "finalbody", ())):
            for at, statement in enumerate(body if isinstance(body, list) else ()):
                is_text = (
                    isinstance(statement, ast.Expr)
                    and isinstance(statement.value, ast.Constant)
                    and isinstance(statement.value.value, str)
                )
                if is_text:
                    yield statement, isinstance(node, ast.ClassDef | ast.Module) and at == 0


def _replace(lines: list[str], node: ast.Expr, by: str) -> None:
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    # Columns are counted in bytes.
    before = lines[first].encode()[: node.col_offset].decode()
    after = lines[last].encode()[node.end_col_offset :].decode()
    lines[first : last + 1] = [before + by + ("\n" if last > first else after), *["\n"] * (last - first)]
    if last > first and after.strip():
        raise ValueError(f"line {last + 1}: a statement follows a text on the same line")


def _without_comments(source: str) -> Iterator[str]:
    ends = {
        token.start[0]: token.start[1]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    for number, line in enumerate(source.splitlines(keepends=True), 1):
        yield line[: ends[number]].rstrip() + "\n" if number in ends else line
