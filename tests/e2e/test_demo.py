"""The demonstration, as a newcomer runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_meets_every_outcome(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.demo", "--folder", str(tmp_path / "demo"), "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    said = done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "demo: 12 of 12 outcomes as expected", said[-6000:]
    assert done.returncode == 0, said[-6000:]
