"""The log-based metrics of infra/metrics.yaml find in real log lines what they count."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.identity import Issuer
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import judged

METRICS: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[3] / "infra" / "metrics.yaml").read_text(encoding="utf-8")
)
SEVERITIES = ("INFO", "WARNING", "ERROR")
OWN_LABELS = "logging.googleapis.com/labels"


def counted(metric: dict[str, Any], line: dict[str, Any]) -> bool:
    """Whether the filter that Terraform makes of a metric takes a line."""
    severe = SEVERITIES.index(line["severity"]) >= SEVERITIES.index(metric.get("severity", "INFO"))
    return severe and all(
        field in line and re.search(pattern, str(line[field])) for field, pattern in metric.get("fields", {}).items()
    )


def test_each_metric_counts_lines_of_a_rollout_that_is_taken_back(
    cloud: Cloud, signed: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(8, errors={"2": 0.5})
    assert cloud.split() == {"1": 100}
    assert cloud.tick("audit_costs") == 200
    assert cloud.wake("roll_back", b"no json at all") == 200
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    for name, metric in METRICS.items():
        found = [line for line in lines if counted(metric, line)]
        assert found, f"no line is counted by {name}"
        for line in found:
            for label, field in metric.get("labels", {}).items():
                assert line[OWN_LABELS][field] if label == "function" else line[field], f"{name} finds no {field}"
            if "value" in metric:
                assert float(line[metric["value"]]) >= 0, name
    heartbeats = [line for line in lines if counted(METRICS["rollouts/ticks"], line)]
    decisions = [line["decision"] for line in lines if counted(METRICS["rollouts/decisions"], line)]
    assert len(heartbeats) >= 8
    assert decisions.count("roll_back") == 1
