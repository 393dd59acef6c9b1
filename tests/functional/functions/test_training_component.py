"""The pipeline component in docs/training: its own program, run as its container runs it, leads to a version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from local.stepped import PROJECT
from shared import topics
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import MODEL, policy

COMPONENT = Path(__file__).parents[3] / "docs" / "training" / "publish-training-completed.yaml"


def run_component(cloud: Cloud, **given: str) -> subprocess.CompletedProcess[str]:
    """Run the step's program with the arguments that Kubeflow would pass, in the order that the file says."""
    component: dict[str, Any] = yaml.safe_load(COMPONENT.read_text())
    container = component["implementation"]["container"]
    values = {i["name"]: i["default"] for i in component["inputs"] if "default" in i} | given
    arguments = [values[name] for argument in container["args"] for name in argument.values()]
    environment = os.environ | {"PUBSUB_EMULATOR_HOST": cloud.pubsub.address}
    command = [sys.executable, "-c", container["command"][-1], *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_step_of_a_pipeline_announces_a_run_that_becomes_one_version(cloud: Cloud) -> None:
    cloud.apply(policy())
    said = {"project": PROJECT, "model": MODEL, "run_id": "train-7", "artifact": "gs://models/train-7"}
    for _ in range(2):  # a pipeline that is repeated announces its run again
        ran = run_component(cloud, **said, metrics='{"auc": 0.91}', code_revision="3f9c2ab")
        assert ran.returncode == 0, ran.stderr
    messages = cloud.published(topics.TRAINING_COMPLETED)
    assert len(messages) == 2
    assert cloud.wake("register_model", messages[0].data) == 500  # the upload has begun, and is looked at again
    cloud.advance(seconds=61)
    assert [cloud.wake("register_model", message.data) for message in messages] == [200, 200]
    versions = cloud.versions()
    assert list(versions) == ["1"]
    assert [dict(e.metrics) for e in cloud.world.registry.evaluations(versions["1"])] == [{"auc": 0.91}]


def test_a_step_that_is_not_heard_fails(cloud: Cloud) -> None:
    ran = run_component(cloud, project="another-project", model=MODEL, run_id="train-8", artifact="gs://models/train-8")
    assert ran.returncode != 0
    assert "training-completed" in ran.stderr
