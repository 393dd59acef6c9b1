"""Where the command line writes: results to standard output, what went wrong to standard error.

Nothing is coloured where nobody looks: rich leaves colours out when the output is no terminal and when NO_COLOR is set. Lines
are never wrapped, so that what is piped into another program is what was written.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from shared.errors import RolloutsError, TransientError
from shared.policy.problems import Problem

Part = str | tuple[str, str]
"""A piece of a line; it may come with its style."""

AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")]


def say(*parts: Part) -> None:
    """One line of the result."""
    _console().print(Text.assemble(*parts), soft_wrap=True)


def say_json(value: Any) -> None:
    """The result as JSON, for programs."""
    _console().print(Text(json.dumps(value, indent=2, ensure_ascii=False)), soft_wrap=True)


def complain(*parts: Part) -> None:
    """One line of what went wrong."""
    _console(stderr=True).print(Text.assemble(*parts), soft_wrap=True)


def complain_of(problems: Iterable[Problem]) -> None:
    """Problems of policy files, one line each: place, key, what is wrong, what is allowed."""
    for problem in problems:
        place = f"{problem.file}:{problem.line}" if problem.line else problem.file
        parts: list[Part] = [(f"{place}:", "cyan")]
        if problem.key:
            parts.append((f" {problem.key}:", "bold"))
        parts.append(f" {problem.message}")
        if problem.allowed:
            parts += [("; allowed: ", "dim"), problem.allowed]
        complain(*parts)


def problems_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Problems for programs."""
    return [asdict(problem) for problem in problems]


@contextmanager
def reported(as_json: bool, *, answered: bool = False) -> Iterator[None]:
    """Errors raised inside as one sentence and an exit code: 1 for what needs a change, 2 for what may succeed later.

    ``answered``: what is done inside is answered over HTTP, and programs get the status, or null without an answer.
    """
    try:
        yield
    except RolloutsError as error:
        if as_json:
            say_json({"error": str(error)} | ({"status": getattr(error, "status", None)} if answered else {}))
        else:
            complain(("error: ", "bold red"), printable(str(error)))
        raise typer.Exit(2 if isinstance(error, TransientError) else 1) from None


def width() -> int | None:
    """How many columns there are: COLUMNS, or the terminal's; None for a pipe, where nothing is cut or wrapped."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given):
        return max(int(given), 40)
    return _console().width if sys.stdout.isatty() else None


def printable(text: str) -> str:
    """The text on one line and without control characters: what others wrote must not command this terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _console(stderr: bool = False) -> Console:
    # Made anew each time: it asks whether the stream of this moment is a terminal.
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
