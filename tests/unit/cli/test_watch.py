"""``rollouts get --watch``: live in a terminal, a line for each change elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.rollout.record import Phase
from shared.wiring import store_from_env
from tests.unit.cli.conftest import Rollouts
from tests.unit.cli.recorded import CLOCK, NOW, V2, V4

ROOT = Path(__file__).parents[3]


def test_elsewhere_what_has_ended_is_one_line(morning: Rollouts) -> None:
    ran = morning("get", V2, "--watch")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "2026-11-23 12:00:00 UTC  ✖ rolled back  1/3  Rolled back v2: error_rate 12.4 % > 1 % (31 of 250 requests)\n"
    )
    (line,) = morning("get", V2, "-w", "--json").out.splitlines()
    assert json.loads(line)["rollout"]["state"] == "rolled_back"


@dataclass
class Terminal:
    """A real one, in which the watch runs."""

    socket: str
    store: Path

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self.socket, "-f", "/dev/null", *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout

    def shown_when(self, is_there: Callable[[str], bool]) -> str:
        """What the terminal shows, once it does."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            shown = self.tmux("capture-pane", "-p")
            if is_there(shown):
                return shown
            time.sleep(0.1)
        raise AssertionError(shown)

    def move(self, phase: Phase, stage: int, sentence: str) -> None:
        with closing(store_from_env({"STORE_PATH": str(self.store)})) as store:
            stored = store.get_rollout(V4)
            assert stored
            store.transition(
                stored, stored.rollout.moved(NOW, phase=phase, stage=stage, stage_since=NOW, sentence=sentence)
            )


@pytest.fixture
def terminal(morning: Rollouts, tmp_path: Path) -> Iterator[Terminal]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed; on Debian: apt-get install tmux")
    made = Terminal(f"watch-{os.getpid()}-{tmp_path.name[-20:]}", tmp_path / "store.db")
    yield made
    subprocess.run(["tmux", "-L", made.socket, "kill-server"], capture_output=True, check=False)


AT_80 = """\
Rollout   churn-v4-000004
State     ◌ canary  stage 1/3  10 %
Stages    ✔ deploy ─ ◌ 10 % (12m of 15m) ─ · 50 % (15m) ─ · 100 % (1d)
Version   churn v4, beside v3
Target    local-project/us-central1/churn-serving
Deployed  4000000004, stable 3000000003
Policy    version 1
Since     2026-11-23 11:19 UTC, 41m ago; in this stage for 12m
Traffic   v3 100 % → v3 90 %, v4 10 % at 2026-11-23 11:48 UTC
Checks    until 2026-11-23 11:55 UTC
  ✔ pass          error_rate 0 % <= 1 % (0 of 120 requests)
  ✔ pass          latency_ms p95 189.5 <= 200 (2 of 120 above 200) (decides
                  nothing)
Last      2026-11-23 11:48 UTC by advance_rollout: Advanced v4 to 10 % (stage 1
          of 3): v4 is ready
Next      7m of 15m judged at 10 %; then stage 2 of 3: 50 % of the traffic for
          15m
at 12:00:00 UTC; Ctrl-C leaves, the rollout goes on
"""


@pytest.mark.parametrize(("columns", "lines"), [(80, 18), (140, 15)])
def test_in_a_terminal_it_is_live_at_every_width(terminal: Terminal, columns: int, lines: int) -> None:
    variables = {
        **CLOCK,
        "STORE_PATH": str(terminal.store),
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
        "PATH": os.environ["PATH"],
    }
    settings = [f"{name}={value}" for name, value in variables.items()]
    program = [sys.executable, "-m", "rollouts_cli.main", "get", V4, "--watch"]
    terminal.tmux(
        "-u",
        "new-session",
        "-d",
        "-x",
        str(columns),
        "-y",
        "40",
        "env",
        "-i",
        "TERM=tmux-256color",
        *settings,
        *program,
    )
    terminal.tmux("set-option", "-g", "remain-on-exit", "on")
    shown = terminal.shown_when(lambda text: "Ctrl-C leaves" in text)
    assert len(shown.strip().splitlines()) == lines
    assert columns != 80 or shown.strip() == AT_80.strip()
    terminal.move(Phase.CANARY, 1, "Advanced v4 to 50 %")
    shown = terminal.shown_when(lambda text: "stage 2/3  50 %" in text)
    assert shown.count("Rollout   ") == 1  # painted over, not below
    assert "✔ deploy ─ ✔ 10 % ─ ◌ 50 %" in shown
    terminal.move(Phase.ROLLED_BACK, 1, "Rolled back v4")
    shown = terminal.shown_when(lambda text: "it has ended" in text)
    assert "✖ rolled back  at stage 2/3" in shown
