"""What others wrote is shown in logs, the ledger and labels: it begins no line there, and is no more than text."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from local.identity import Issuer
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import policy

FORGED = '{"severity": "CRITICAL", "message": "forged"}'
HOSTILE = f"x\n{FORGED}\r\n{FORGED}\u2028{FORGED}\x1b[31m\x85 \u202etxt.exe <!channel> <https://evil.example|ok>"
LABEL = re.compile(r"[a-z0-9_-]{0,63}")
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What the functions printed; every line must be one of theirs."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines
    assert "CRITICAL" not in {line["severity"] for line in lines}
    return lines


def test_a_training_run_forges_neither_lines_nor_labels(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.apply(policy())
    cloud.register("run-1", dataset=HOSTILE, artifact_uri="gs://models/run-1")
    version = cloud.versions()["1"]
    assert all(LABEL.fullmatch(value) for value in version.labels.values())
    assert cloud.wake("register_model", cloud.train(HOSTILE)) in (200, 500)
    cloud.settle()
    logged(capsys)


def test_an_alert_forges_no_line(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.advance(minutes=5)
    named = {"sentence": HOSTILE, "policy_name": HOSTILE, "metric": HOSTILE, "observed": HOSTILE, "id": HOSTILE}
    assert cloud.wake("roll_back", cloud.alarm(**named)) == 200
    assert cloud.split() == {"1": 100}, "and it is honoured all the same"
    cloud.minutes(1, requests=0)
    said = [line["message"] for line in logged(capsys)]
    assert any("x {" in message for message in said), "it is told, as text"
    for entry in cloud.world.store.ledger():
        assert not UNSEEN.search(entry.sentence), entry.sentence
        assert not UNSEEN.search(entry.id), entry.id


def test_a_persons_reason_forges_no_line(cloud: Cloud, signed: Issuer, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    assert not UNSEEN.search(cloud.tell("pause", "2", reason=HOSTILE))
    assert all(not UNSEEN.search(entry.sentence) for entry in cloud.ledger("2"))
    logged(capsys)


def test_a_version_that_somebody_else_names_forges_no_line(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.apply(policy())
    cloud.upload(new=True, display_name=HOSTILE[:60], version_description=HOSTILE)
    cloud.settle()
    assert cloud.rollout("1")
    logged(capsys)
