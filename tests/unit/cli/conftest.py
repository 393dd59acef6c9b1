"""The command line as a process of its own: what a person, or a pipe, gets from it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.cli.recorded import CLOCK, fill


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Rollouts = Callable[..., Ran]


@pytest.fixture
def rollouts(tmp_path: Path) -> Rollouts:
    """``rollouts ARGUMENT...`` in an empty directory with an empty store."""
    home = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "STORE_PATH": str(tmp_path / "store.db")}
    root = Path(__file__).parents[3]

    def run(*arguments: str | Path, **environment: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "rollouts_cli.main", *map(str, arguments)],
            cwd=tmp_path,
            env={**home, "PYTHONPATH": str(root), "GIT_CONFIG_NOSYSTEM": "1", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def morning(rollouts: Rollouts, tmp_path: Path) -> Rollouts:
    """The same with the store of ``recorded``, at its fixed present."""
    fill(tmp_path / "store.db")

    def run(*arguments: str | Path, **environment: str) -> Ran:
        return rollouts(*arguments, **CLOCK, **environment)

    return run
