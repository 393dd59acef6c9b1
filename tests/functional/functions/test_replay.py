"""``rollouts replay``: a rollout that is over, decided again by another policy on what was really served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from rollouts_cli.main import app
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ENDPOINT, ERRORS, MODEL, ROLLOUT, judged


@pytest.fixture
def lenient(cloud: Cloud) -> Cloud:
    """v2 has failed 3 % of its requests, under a policy that bears 10 %, and has all the traffic."""
    cloud.apply(judged(rollout={"checks": [{"metric": "error_rate", "at_most": "10%"}]}))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(18, errors={"2": 0.03}, requests=1000)
    assert cloud.rollout("2").phase is Phase.WATCHING
    return cloud


def _policy(folder: Path, rollout: Mapping[str, Any]) -> Path:
    document = {
        "model": MODEL,
        "targets": [{"region": "us-central1", "endpoint": ENDPOINT}],
        "register": {"from": {"message": True}, "container": {"image": "sim/churn:1"}},
        "machine": {"type": "n1-standard-2", "replicas": {"min": 1, "max": 4}},
        "rollout": ROLLOUT | dict(rollout),
    }
    path = folder / "other.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def _run(cloud: Cloud, rollout: str, policy: Path, *options: str) -> Result:
    """The command, at the moment where the cloud's clock stands."""
    stopped = {"CLOCK_ORIGIN": f"{cloud.now.timestamp()}", "CLOCK_RATE": "1e-9"}
    return CliRunner().invoke(app, ["replay", rollout, "--policy", str(policy), *options], env=stopped)


def _replay(cloud: Cloud, policy: Path) -> dict[str, Any]:
    ran = _run(cloud, cloud.rollout("2").id, policy, "--json")
    assert ran.exit_code == 0, ran.output
    return dict(json.loads(ran.stdout))


def test_a_stricter_policy_would_have_taken_it_back_at_ten_percent(lenient: Cloud, tmp_path: Path) -> None:
    said = _replay(lenient, _policy(tmp_path, {"checks": [ERRORS]}))
    (only,) = said["stages"]
    assert (only["share"], only["really"]["decision"], only["instead"]["decision"]) == (10, "advance", "roll_back")
    assert "error_rate 3 % > 1 %" in only["instead"]["sentence"]
    assert said["verdict"] == "It would have been rolled back at 10 %; what followed cannot be replayed."


def test_evidence_would_have_taken_it_back_too(lenient: Cloud, tmp_path: Path) -> None:
    said = _replay(
        lenient,
        _policy(
            tmp_path, {"advance": "evidence", "checks": [{"metric": "error_rate", "at_most": "20%", "margin": "2x"}]}
        ),
    )
    assert said["stages"][-1]["instead"]["decision"] == "roll_back"
    assert "evidence of harm" in said["stages"][-1]["instead"]["sentence"]


def test_the_same_policy_decides_what_it_decided(lenient: Cloud, tmp_path: Path) -> None:
    said = _replay(lenient, _policy(tmp_path, {"checks": [{"metric": "error_rate", "at_most": "10%"}]}))
    assert [stage["share"] for stage in said["stages"]] == [10, 50, 100]
    assert [stage["really"]["decision"] for stage in said["stages"]] == ["advance", "promote", ""]
    assert [stage["instead"]["decision"] for stage in said["stages"]] == ["advance", "promote", "hold"]
    for stage in said["stages"][:2]:
        # What was recorded a moment later was decided in this minute.
        assert stage["instead"]["at"][:16] == stage["ends"][:16]
    assert said["verdict"] == "It would have gone the same way."


def test_a_longer_bake_would_still_have_held_it(lenient: Cloud, tmp_path: Path) -> None:
    stages = [{"traffic": 10, "bake": "1h"}, {"traffic": 50, "bake": "5m"}, {"traffic": 100}]
    path = _policy(tmp_path, {"checks": [{"metric": "error_rate", "at_most": "10%"}], "stages": stages})
    ran = _run(lenient, lenient.rollout("2").id, path)
    assert ran.exit_code == 0, ran.output
    assert "It would still have been held at 10 %" in ran.stdout
    assert "of 1h judged at 10 %" in ran.stdout


def test_a_rollout_without_traffic_has_nothing_to_replay(cloud: Cloud, tmp_path: Path) -> None:
    cloud.apply(judged(rollout={"freezes": [{"from": "2026-01-01", "until": "2027-12-31", "why": "closed"}]}))
    cloud.register("run-1")
    cloud.settle()
    ran = _run(cloud, cloud.rollout("1").id, _policy(tmp_path, {"checks": [ERRORS]}))
    assert ran.exit_code == 1
    assert "has had no traffic yet" in ran.output
