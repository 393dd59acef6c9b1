"""The demonstration, as a newcomer runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


OTHERS = pytest.mark.skipif(
    not os.environ.get("DEMOS"),
    reason="minutes more: DEMOS=all plays the other scenarios, whose parts have stories of their own",
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("scenario", "outcomes"),
    [
        ("lifecycle", 12),
        pytest.param("shadow", 8, marks=OTHERS),
        pytest.param("experiment", 7, marks=OTHERS),
        pytest.param("blue-green", 8, marks=OTHERS),
        pytest.param("dual", 10, marks=OTHERS),
    ],
)
def test_a_demo_meets_every_outcome(tmp_path: Path, scenario: str, outcomes: int) -> None:
    command = [sys.executable, "-m", "local.demo", "--scenario", scenario, "--folder", str(tmp_path / "demo")]
    done = subprocess.run([*command, "--seed", "7"], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    said = done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"demo: {outcomes} of {outcomes} outcomes as expected", said[-6000:]
    assert done.returncode == 0, said[-6000:]
