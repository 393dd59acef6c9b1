"""docs/strategies.md names a test for every strategy and every end, and each of them is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from docs.generate import ROOT

TEXT = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
ENDS = ("succeeds", "degrades and is undone", "is interrupted")
_ROW = re.compile(r"^\| (?P<strategy>\[[^|]+) \| (?P<ends>.+) \|$", re.MULTILINE)
_TEST = re.compile(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)")
SECTION = TEXT.partition("\n## The tests\n")[2]
TABLE = SECTION[: SECTION.index("\n\n", SECTION.index("| --- |"))]
ROWS = {found["strategy"]: found["ends"].split(" | ") for found in _ROW.finditer(TABLE)}
NAMED = _TEST.findall(SECTION)


def test_the_table_has_one_test_for_each_of_three_ends_of_eleven_strategies() -> None:
    assert "| " + " | ".join(ENDS) + " |" in TABLE.replace("| strategy ", "")
    assert len(ROWS) == 11
    for strategy, cells in ROWS.items():
        assert [len(_TEST.findall(cell)) for cell in cells] == [1, 1, 1], f"{strategy}: one test in each column"
    in_table = _TEST.findall(TABLE)
    assert len(in_table) == len(set(in_table)) == 33


@pytest.mark.parametrize(("name", "path"), NAMED, ids=[name for name, _ in NAMED])
def test_a_named_test_is_there_and_runs_whenever_tests_run(name: str, path: str) -> None:
    found = _tests(path).get(name)
    assert found is not None, f"{path} has no {name}: say in docs/strategies.md how it is called now"
    marks = [ast.unparse(mark) for mark in found.decorator_list]
    assert not [mark for mark in marks if "skip" in mark or "xfail" in mark], f"{name} is skipped"


def test_every_test_that_the_document_names_is_a_link() -> None:
    assert sorted(re.findall(r"\btest_\w+\b(?!\.py)", SECTION)) == sorted(name for name, _ in NAMED)


@cache
def _tests(path: str) -> dict[str, ast.FunctionDef]:
    return {
        node.name: node for node in ast.parse(Path(ROOT, path).read_bytes()).body if isinstance(node, ast.FunctionDef)
    }
