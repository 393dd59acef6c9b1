"""The command line as a process of its own: what a person, or a pipe, gets from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import command_line
from tests.command_line import Ran
from tests.unit.cli.recorded import CLOCK, fill

Rollouts = Callable[..., Ran]


@pytest.fixture
def rollouts(tmp_path: Path) -> Rollouts:
    """``rollouts ARGUMENT...`` in an empty directory with an empty store."""
    home = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "STORE_PATH": str(tmp_path / "store.db")}

    def run(*arguments: str | Path, **environment: str) -> Ran:
        return command_line.run([*map(str, arguments)], {**home, "GIT_CONFIG_NOSYSTEM": "1", **environment}, tmp_path)

    return run


@pytest.fixture
def morning(rollouts: Rollouts, tmp_path: Path) -> Rollouts:
    """The same with the store of ``recorded``, at its fixed present."""
    fill(tmp_path / "store.db")

    def run(*arguments: str | Path, **environment: str) -> Ran:
        return rollouts(*arguments, **CLOCK, **environment)

    return run
