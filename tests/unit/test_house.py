"""The house: what is deployed does not know where it runs, and each function is small and alone."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DEPLOYED = sorted([*(ROOT / "shared").rglob("*.py"), *(ROOT / "functions").rglob("*.py")])
FUNCTIONS = sorted(p.parent for p in (ROOT / "functions").glob("*/main.py"))
LOCAL_WORDS = re.compile(r"emulator|localhost|127\.0\.0\.1|local_|CLOCK_(RATE|ORIGIN)", re.IGNORECASE)
MAY_KNOW = {ROOT / "shared" / "channels.py", ROOT / "shared" / "clock.py"}
LONGEST = 60


def _code(path: Path) -> str:
    """The source without comments and docstrings: those may speak of anything."""
    tree = ast.parse(path.read_text())
    prose = {
        node.value.lineno + line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range((node.value.end_lineno or node.value.lineno) - node.value.lineno + 1)
    }
    comments = {
        t.start for t in tokenize.generate_tokens(io.StringIO(path.read_text()).readline) if t.type == tokenize.COMMENT
    }
    lines = path.read_text().splitlines()
    for row, column in comments:
        lines[row - 1] = lines[row - 1][:column]
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in prose)


@pytest.mark.parametrize("path", [p for p in DEPLOYED if p not in MAY_KNOW], ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_deployed_knows_that_it_runs_locally(path: Path) -> None:
    found = LOCAL_WORDS.search(_code(path))
    assert found is None, f"{path.relative_to(ROOT)} speaks of {found and found.group()}"


def test_the_two_that_may_know_are_looked_for_by_words_that_they_contain() -> None:
    assert all(LOCAL_WORDS.search(_code(path)) for path in MAY_KNOW)


@pytest.mark.parametrize("folder", FUNCTIONS, ids=lambda p: p.name)
def test_a_function_is_its_folders_name_and_fits_on_a_screen(folder: Path) -> None:
    source = (folder / "main.py").read_text()
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    assert folder.name in names
    assert len(source.splitlines()) <= LONGEST


def test_the_functions_of_the_house_are_all_there() -> None:
    wanted = "advance_rollout assess_rollouts find_training_runs notify receive_alert receive_command register_model"
    assert {p.name for p in FUNCTIONS} >= {
        *wanted.split(),
        "retire_models",
        "roll_back",
        "start_rollout",
        "status_page",
    }


def test_every_pinned_requirement_that_is_named_has_its_reason() -> None:
    first_block = (ROOT / "requirements.txt").read_text().partition("# pulled in")[0]
    pins = [line for line in first_block.splitlines() if "==" in line]
    assert pins and all("  # " in line for line in pins)
