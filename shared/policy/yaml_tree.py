"""YAML documents with the line of every key. Only the command line reads YAML; what is deployed reads stored policies.

Scalars follow YAML 1.2's core schema: ``no`` and ``2026-01-31`` are text, ``1:30`` is not ninety. PyYAML alone follows 1.1, in
which a label ``country: no`` becomes a truth value. A whole number with more digits than 64 bits hold is text, too. A key that is given
twice is refused: YAML leaves open which one holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from shared.policy.findings import KeyPath, key_text
from shared.policy.problems import Problem

DEEPEST = 50
"""Levels of a document; a policy has fewer than ten."""
MOST = 20_000
"""Values of a document with its aliases spelt out; a policy has a few hundred. A dozen lines of aliases can mean a billion."""
_TOO_DEEP = f"the document is nested more than {DEEPEST} levels deep"


class _CoreLoader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML's own attribute


for _tag, _form, _first in (
    ("null", r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,17})", list("-+0123456789")),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"(?:<<)", ["<"]),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"{_form}\Z"), _first)


@dataclass(frozen=True)
class Document:
    """One document of a file."""

    value: Any
    root: yaml.Node

    def line_of(self, path: KeyPath) -> int:
        """The line of the key, or of the nearest thing around it that is there."""
        node, line = self.root, self.root.start_mark.line + 1
        for part in path:
            entry = _entry(node, part)
            if entry is None:
                break
            where, node = entry
            line = where.start_mark.line + 1
        return int(line)


def read_documents(text: str, file: str) -> tuple[list[Document], list[Problem]]:
    """The documents of a file, and what keeps it from being YAML; documents before a broken one are still read."""
    documents: list[Document] = []
    problems: list[Problem] = []
    try:
        loader = _CoreLoader(text)
    except yaml.YAMLError as error:
        return [], [_syntax(error, file)]
    try:
        while loader.check_node():
            root = loader.get_node()
            if root is not None and _is_readable(root, file, problems):
                documents.append(Document(loader.construct_document(root), root))
    except yaml.YAMLError as error:
        problems.append(_syntax(error, file))
    except RecursionError:
        problems.append(Problem(file, 0, "", _TOO_DEEP))
    finally:
        loader.dispose()
    return [document for document in documents if document.value is not None], problems


class _UnreadableError(Exception):
    """The document cannot become values at all."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _is_readable(root: yaml.Node, file: str, problems: list[Problem]) -> bool:
    """Whether the document can become values; what is wrong with it as YAML is added to ``problems``."""
    try:
        problems.extend(_Walk(file).twice_given(root, ()))
    except _UnreadableError as error:
        problems.append(error.problem)
        return False
    return True


class _Walk:
    """Through one document, alias by alias, as far as that is bearable."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._seen = 0

    def twice_given(self, node: yaml.Node, path: KeyPath, above: tuple[yaml.Node, ...] = ()) -> Iterator[Problem]:
        """The keys that are given twice; _UnreadableError for what cannot become values."""
        line = node.start_mark.line + 1
        self._seen += 1
        if node in above:
            message = "the document contains itself: an alias is used inside its own anchor"
            raise _UnreadableError(Problem(self._file, line, key_text(path), message))
        if len(path) > DEEPEST:
            raise _UnreadableError(Problem(self._file, line, "", _TOO_DEEP))
        if self._seen > MOST:
            message = f"the document has more than {MOST} values once its aliases are spelt out"
            raise _UnreadableError(Problem(self._file, line, "", message))
        if isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                yield from self.twice_given(item, (*path, number), (*above, node))
        elif isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, value in node.value:
                name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
                here = key.start_mark.line + 1
                if name in first and isinstance(key, yaml.ScalarNode):
                    message = f"the key is given twice, first in line {first[name]}"
                    yield Problem(self._file, here, key_text((*path, name)), message, "each key once")
                first.setdefault(name, here)
                yield from self.twice_given(value, (*path, name), (*above, node))


def _entry(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        # The last one: what comes from a merge stands before the mapping's own keys.
        for key, value in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return key, value
    return None


def _syntax(error: yaml.YAMLError, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    context = getattr(error, "context", None)
    return Problem(file, mark.line + 1 if mark else 0, "", f"not YAML: {said}{f' ({context})' if context else ''}")
