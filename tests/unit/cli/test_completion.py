"""Completion in a shell: the script, and what it asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Rollouts


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(rollouts: Rollouts, shell: str) -> None:
    ran = rollouts("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    assert "_ROLLOUTS_COMPLETE" in ran.out


def test_commands_are_completed() -> None:
    command = Path(sys.executable).with_name("rollouts")
    if not command.exists():
        pytest.skip("the command line is not installed here (make setup)")
    asked = {"_ROLLOUTS_COMPLETE": "complete_bash", "COMP_WORDS": "rollouts un", "COMP_CWORD": "1"}
    ran = subprocess.run(
        [command], env={**os.environ, **asked}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stdout.split() == ["unfreeze", "undo-saving"]
