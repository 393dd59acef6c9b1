"""What ``make demo SCENARIO=NAME`` can play: one module of this package per scenario, found by its name (``blue_green`` is ``blue-green``).

A module has a docstring, whose first line is the list's, and a function ``make(setting) -> Scenario``.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TextIO

from local.outcomes import Outcome
from local.story import Watcher

DEFAULT = "lifecycle"


@dataclass(frozen=True)
class Setting:
    """How a scenario is to be played."""

    folder: Path
    """Store, logs, artifacts; emptied first."""
    seed: int
    rate: float
    """Compressed seconds per second."""
    rps: float
    """Real predictions per second."""
    watcher: Watcher


class Scenario(Protocol):
    """One story, played once."""

    @property
    def model(self) -> str:
        """Whose versions it is about."""
        ...

    def run(self) -> None:
        """From beginning to end; StoryError when something does not happen in time."""
        ...

    def outcomes(self) -> list[Outcome]:
        """What was expected and what was found; a story that stopped half-way fails what it did not reach."""
        ...

    def show(self, out: TextIO, took: timedelta) -> None:
        """The summary that stays on the screen."""
        ...


def names() -> list[str]:
    """Every scenario, the default first."""
    found = [path.stem.replace("_", "-") for path in Path(__file__).parent.glob("[a-z]*.py")]
    return sorted(found, key=lambda name: (name != DEFAULT, name))


def about(name: str) -> str:
    """A scenario in one line; read, not imported, so that ``--help`` stays quick."""
    path = Path(__file__).with_name(f"{name.replace('-', '_')}.py")
    return (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n")[0]


def make(name: str, setting: Setting) -> Scenario:
    """The scenario of that name."""
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    build: Callable[[Setting], Scenario] = module.make
    return build(setting)
