"""``make cloud-test`` is opt-in; what it would do is printed, and is in order, without a cloud."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from infra.cloud_test import EXPECTED, MODEL, VERSIONS, Lifecycle, main
from shared.policy.loading import load_policies


def test_what_it_would_do_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", "my-test-project", "--print"]) == 0
    said = [shlex.split(line) for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    order = [" ".join(command[:3]) for command in said]
    assert order.index("terraform -chdir=infra init") < order.index("terraform -chdir=infra apply")
    assert order.index("terraform -chdir=infra apply") < order.index("terraform -chdir=infra destroy")
    variables = [one for command in said for one in command if one.startswith("-var=project")]
    assert variables[0] == '-var=project={ id = "my-test-project", region = "us-central1" }'


def test_the_versions_come_to_the_ends_that_are_seen(tmp_path: Path) -> None:
    commands: list[Sequence[str]] = []

    def cloud(command: Sequence[str], _: Mapping[str, str]) -> str:
        commands.append(command)
        number = sum("topics" in one and "publish" in one for one in commands)
        ends = [{"version": n, "phase": EXPECTED[name]} for n, name in enumerate(VERSIONS, 1) if n <= number]
        return json.dumps({"rollouts": ends}) if "list" in command else ""

    life = Lifecycle("p", "us-central1", tmp_path, cloud)
    life.prepare()
    assert [policy.policy.model for policy in load_policies([tmp_path / "policies"])] == [MODEL]
    assert {name: life.deliver(name) for name in VERSIONS} == EXPECTED
    assert json.loads((tmp_path / "bad" / "model.json").read_text())["behaviour"] == {"error_rate": 0.5}
