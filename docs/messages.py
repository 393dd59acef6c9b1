"""What the code says when something is wrong, and whether docs/runbook.md says what to do: ``python -m docs.messages``.

A message is the text of an error that is raised on purpose (shared/errors.py and what derives from it) or of a line logged as a warning or an
error. What is filled in at run time is written as ``…`` and a backtick as ``'``; so a message of the log is found in the runbook by its fixed
words. A row ``all of PATH`` speaks for a file, or a folder, whose messages need no entry of their own.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUNBOOK = ROOT / "docs" / "runbook.md"
SPOKEN = ("shared", "functions", "rollouts_cli")
GAP = "…"
_LOUD = ("log.warning", "log.error")
_ROW = re.compile(r"^\| `(?P<text>[^`]+)` \|", re.MULTILINE)
_ALL = re.compile(r"^\| all of \[?(?P<path>[\w/.]+)", re.MULTILINE)
_OF_CODE = frozenset({"ValueError", "TypeError", "KeyError", "AssertionError", "NotImplementedError", "RuntimeError"})
"""What says that the code is wrong, not the world; nobody but its author can mend it."""


@dataclass(frozen=True)
class Said:
    """One message, and where it is said first."""

    text: str
    place: str


def main() -> int:
    """Print the rows that docs/runbook.md lacks, ready to be filled in; 1 when there are any."""
    lacking, stale = compare()
    for said in lacking:
        print(f"| `{said.text}` | TODO: what to do | <!-- {said.place} -->")
    for text in sorted(stale):
        print(f"nobody says any more: {text}")
    return 1 if lacking or stale else 0


def compare() -> tuple[list[Said], set[str]]:
    """The messages without an entry, and the entries without a message."""
    said = {one.text: one for one in messages()}
    written, whole = set(entries()), tuple(spoken_for())
    lacking = [one for text, one in said.items() if text not in written and not one.place.startswith(whole)]
    return lacking, written - set(said)


def entries() -> list[str]:
    """The messages that the section "Messages" of the runbook explains."""
    _, _, section = RUNBOOK.read_text(encoding="utf-8").partition("\n## Messages\n")
    return [found["text"] for found in _ROW.finditer(section)]


def spoken_for() -> list[str]:
    """The files and folders for which one row speaks."""
    return [found["path"] for found in _ALL.finditer(RUNBOOK.read_text(encoding="utf-8"))]


def messages() -> Iterator[Said]:
    """Every message of the code, in order of its files."""
    seen = set()
    for top in SPOKEN:
        for path in sorted((ROOT / top).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_bytes())):
                text = _text(node)
                if text and text not in seen and len(re.sub(r"[…\W]", "", text)) > 5:
                    seen.add(text)
                    yield Said(text, f"{path.relative_to(ROOT)}")


def _text(node: ast.AST) -> str:
    """What a node says, if it is one that says something."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        name = ast.unparse(node.exc.func)
        is_error = name.rpartition(".")[2].endswith("Error") and name not in _OF_CODE
        return _template(node.exc.args) if is_error else ""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in _LOUD:
        return _template(node.args)
    return ""


def _template(arguments: list[ast.expr]) -> str:
    return " ".join(_fixed(arguments[0]).split()).replace("`", "'").replace("|", "/") if arguments else ""


def _fixed(value: ast.expr) -> str:
    match value:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_fixed(part) for part in parts)
        case ast.BinOp(left=left, right=right):
            return _fixed(left) + _fixed(right)
        case _:
            return GAP


if __name__ == "__main__":
    sys.exit(main())
