"""``rollouts validate`` and ``rollouts schema``."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Rollouts
from tests.unit.policy.files import EXAMPLES, HEAD, ROOT

WRONG = HEAD + "rollout:\n  drift: stop\n  checks:\n    - {metric: latency_ms, p95_at_mots: 100}\nnotify: [ml]\n"


def test_valid_policies_are_named_with_their_place(rollouts: Rollouts) -> None:
    ran = rollouts("validate", EXAMPLES)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        f"{EXAMPLES}/arr-coc-relevance.yaml:10: arr-coc-relevance is a valid policy",
        f"{EXAMPLES}/churn-tabular.yaml:6: churn-tabular is a valid policy",
    ]


def test_three_mistakes_are_three_lines_on_standard_error_each_with_place_key_and_what_is_allowed(
    rollouts: Rollouts, tmp_path: Path
) -> None:
    (tmp_path / "p.yaml").write_text(WRONG, encoding="utf-8")
    ran = rollouts("validate", "p.yaml")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        "p.yaml:6: rollout.drift: 'stop' is not one of the choices; allowed: pause, reassert, adopt",
        "p.yaml:8: rollout.checks[0].p95_at_mots: unknown key; did you mean p95_at_most?; allowed: metric, at_most,"
        " p50_at_most, p95_at_most, p99_at_most, mean_at_most, mean_at_least, range, outside, share_above, share_below,"
        " margin, labels, floor, min_samples, gating",
        "p.yaml:9: notify[0]: 'ml' is not allowed here; allowed: a channel such as slack://ml-alerts, gchat://ml-alerts or webhook://ml-alerts?from=error",
    ]


def test_the_result_has_a_json_twin(rollouts: Rollouts, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(WRONG, encoding="utf-8")
    ran = rollouts("validate", "--json", "p.yaml")
    result = json.loads(ran.out)
    assert (ran.code, ran.err, result["valid"]) == (1, "", False)
    assert result["problems"][0] == {
        "file": "p.yaml",
        "line": 6,
        "key": "rollout.drift",
        "message": "'stop' is not one of the choices",
        "allowed": "pause, reassert, adopt",
    }
    assert json.loads(rollouts("validate", "--json", EXAMPLES).out)["policies"][0]["model"] == "arr-coc-relevance"


def test_what_looks_like_markup_is_printed_as_it_is(rollouts: Rollouts, tmp_path: Path) -> None:
    (tmp_path / "[red]p.yaml").write_text(HEAD + "mode: '[bold]:smile:'\n", encoding="utf-8")
    assert rollouts("validate", "[red]p.yaml").err.startswith("[red]p.yaml:5: mode: '[bold]:smile:' is not one")


@pytest.mark.parametrize(("environment", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals_that_want_them(
    tmp_path: Path, environment: dict[str, str], is_coloured: bool
) -> None:
    leader, follower = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "rollouts_cli.main", "validate", str(EXAMPLES)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environment},
            stdout=follower,
            cwd=tmp_path,
            timeout=60,
            check=True,
        )
        printed = os.read(leader, 10_000).decode()
    finally:
        os.close(leader)
        os.close(follower)
    assert "churn-tabular is a valid policy" in printed
    assert ("\x1b[36m" in printed) is is_coloured


def test_the_schema_can_be_piped_into_a_file(rollouts: Rollouts) -> None:
    ran = rollouts("schema")
    assert ran.out == (ROOT / "docs" / "policy.schema.json").read_text(encoding="utf-8")


def test_without_a_command_the_commands_are_listed(rollouts: Rollouts) -> None:
    ran = rollouts("--help")
    assert all(command in ran.out for command in ("validate", "apply", "schema"))
