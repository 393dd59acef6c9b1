"""``rollouts history``: every decision with its traffic and who acted."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.unit.cli.conftest import Rollouts
from tests.unit.cli.recorded import CLOCK, V2, V4, fill

ROLLOUT_AT_80 = """\
TIME (UTC)           DECISION  TRAFFIC                      ACTOR
2026-11-23 11:19:00  start                                  start_rollout
    Registered v4
2026-11-23 11:20:00  operate                                advance_rollout
    Deploying v4 beside v3 on n1-standard-2
2026-11-23 11:48:00  advance   v3 100 % → v3 90 %, v4 10 %  advance_rollout
    Advanced v4 to 10 % (stage 1 of 3): v4 is ready
"""
MODEL_AT_120 = """\
TIME (UTC)           DECISION    TRAFFIC                      ACTOR            WHY
2026-11-23 11:20:00  v4 operate                               advance_rollout  Deploying v4 beside v3 on n1-standard-2
2026-11-23 11:48:00  v4 advance  v3 100 % → v3 90 %, v4 10 %  advance_rollout  Advanced v4 to 10 % (stage 1 of 3): v4 is
                                                                               ready
2026-11-23 11:57:00  v5 start                                 start_rollout    Registered v5; waits for the trial
                                                                               churn-v4-000004
"""


def test_the_history_of_a_rollout(morning: Rollouts) -> None:
    ran = morning("history", V4, COLUMNS="80")
    assert (ran.code, ran.out, ran.err) == (0, ROLLOUT_AT_80, "")


def test_the_newest_of_a_models_history_names_the_version(morning: Rollouts) -> None:
    assert morning("history", "churn", "--last", "3", COLUMNS="120").out == MODEL_AT_120


def test_in_a_pipe_every_decision_is_one_whole_line(morning: Rollouts) -> None:
    lines = morning("history", "churn").out.splitlines()
    assert len(lines) == 8
    assert lines[2] == (
        "2026-11-12 12:00:00  v2 roll back  v1 90 %, v2 10 % → v1 100 %  roll_back        "
        "Rolled back v2: error_rate 12.4 % > 1 % (31 of 250 requests)"
    )


def test_programs_get_the_ledgers_entries(morning: Rollouts) -> None:
    begun, ended = json.loads(morning("history", V2, "--json").out)["entries"]
    assert (begun["decision"], begun["traffic_before"], begun["began_at"]) == ("start", None, None)
    assert (ended["id"], ended["severity"], ended["actor"]) == (f"{V2}-0002", "error", "roll_back")
    assert (ended["traffic_before"], ended["traffic_after"]) == (
        {"1000000001": 90, "2000000002": 10},
        {"1000000001": 100},
    )
    assert ended["at"] == "2026-11-12T12:00:00+00:00"
    assert ended["checks"][0]["sentence"] == "error_rate 12.4 % > 1 % (31 of 250 requests)"


def test_an_unknown_name_is_answered_with_models_and_rollouts_near_it(morning: Rollouts) -> None:
    ran = morning("history", "chrun")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: there is no rollout or model chrun; near it: churn; `rollouts list --all` shows them\n"


def on_a_terminal(folder: Path, **environment: str) -> str:
    """What ``rollouts history`` prints on a terminal of 80 columns."""
    fill(folder / "store.db")
    ours, theirs = pty.openpty()
    env = {"PATH": os.environ["PATH"], "STORE_PATH": str(folder / "store.db"), "TERM": "xterm", **CLOCK, **environment}
    command = [sys.executable, "-W", "error", "-m", "rollouts_cli.main", "history", V2]
    done = subprocess.run(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs, timeout=60, check=False)
    os.close(theirs)
    text = os.read(ours, 65_536).decode()
    os.close(ours)
    assert done.returncode == 0, text
    return text


def test_a_terminal_gets_colours_and_its_own_width_unless_no_color_is_set(tmp_path: Path) -> None:
    for name in ("colours", "none"):
        (tmp_path / name).mkdir()
    assert "\x1b[31mroll back" in on_a_terminal(tmp_path / "colours")
    plain = on_a_terminal(tmp_path / "none", NO_COLOR="1")
    assert "\x1b[3" not in plain
    assert "\r\n    Rolled back v2: error_rate" in plain
