"""``gcloud ai``, as it is installed, against the emulator over REST; nothing but an environment variable tells it where."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.emulator_sdk.catalogue import SERVED_IMAGE
from vertex_emulator.stack import LocalVertex

GCLOUD = shutil.which("gcloud")
pytestmark = pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed")
PARENT = "projects/local-project/locations/us-central1"
Gcloud = Callable[..., Any]


@pytest.fixture
def gcloud(local: LocalVertex, tmp_path: Path) -> Gcloud:
    """Runs ``gcloud ai ...`` and returns its JSON."""
    environment = {
        **os.environ,
        **local.environment(),
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_CORE_PROJECT": "local-project",
        "CLOUDSDK_AUTH_ACCESS_TOKEN": "fake",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
    }

    def run(*arguments: str, region: str = "us-central1", refused: bool = False) -> Any:
        command = [str(GCLOUD), "ai", *arguments, f"--region={region}", "--format=json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if refused:
            assert done.returncode != 0
            return done.stderr
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


def test_models_and_endpoints_from_upload_to_deletion(gcloud: Gcloud, tmp_path: Path) -> None:
    image = f"--container-image-uri={SERVED_IMAGE}"
    model = f"{PARENT}/models/gcloud-model"
    gcloud(
        "models", "upload", "--display-name=gcloud", image, "--artifact-uri=gs://models/a", "--model-id=gcloud-model"
    )
    again = gcloud(
        "models", "upload", "--display-name=gcloud", image, f"--parent-model={model}", "--version-aliases=blue"
    )
    assert again["modelVersionId"] == "2"
    assert "gcloud" in {entry["displayName"] for entry in gcloud("models", "list")}
    assert gcloud("models", "describe", "gcloud-model@blue")["versionId"] == "2"
    assert {entry["versionId"] for entry in gcloud("models", "list-version", "gcloud-model")} == {"1", "2"}
    copied = gcloud(
        *("models", "copy", f"--source-model={model}", "--destination-model-id=gcloud-copy"), region="europe-west4"
    )
    assert copied["model"].endswith("/locations/europe-west4/models/gcloud-copy")

    gcloud("endpoints", "create", "--display-name=gcloud", "--endpoint-id=4711")
    gcloud(
        *("endpoints", "deploy-model", "4711", "--model=gcloud-model", "--display-name=stable"),
        *("--machine-type=n1-standard-2", "--deployed-model-id=5", "--traffic-split=0=100"),
    )
    gcloud(
        *("endpoints", "deploy-model", "4711", f"--model={model}@2", "--display-name=candidate"),
        *("--machine-type=n1-standard-2", "--deployed-model-id=6", "--traffic-split=0=20,5=80"),
    )
    found = gcloud("endpoints", "describe", "4711")
    assert found["trafficSplit"] == {"5": 80, "6": 20}
    assert [deployed["modelVersionId"] for deployed in found["deployedModels"]] == ["1", "2"]
    gcloud("endpoints", "update", "4711", "--traffic-split=5=100", "--display-name=renamed")
    assert {entry["displayName"] for entry in gcloud("endpoints", "list")} >= {"renamed"}

    request = tmp_path / "request.json"
    request.write_text('{"instances": [{"x": 1}, {"x": 2}]}')
    answer = gcloud("endpoints", "predict", "4711", f"--json-request={request}")
    assert (answer["deployedModelId"], len(answer["predictions"])) == ("5", 2)
    raw = gcloud("endpoints", "raw-predict", "4711", f"--request=@{request}")
    assert raw["predictions"] == answer["predictions"]

    assert "FAILED_PRECONDITION" in gcloud("endpoints", "delete", "4711", refused=True)
    gcloud("endpoints", "undeploy-model", "4711", "--deployed-model-id=6")
    gcloud("endpoints", "undeploy-model", "4711", "--deployed-model-id=5")
    gcloud("endpoints", "delete", "4711")
    gcloud("models", "delete", "gcloud-model")
    assert "NOT_FOUND" in gcloud("models", "describe", "gcloud-model", refused=True)


def test_jobs_and_operations(gcloud: Gcloud) -> None:
    pool = "--worker-pool-spec=machine-type=n1-standard-4,replica-count=1,container-image-uri=example.com/train:1"
    job = gcloud("custom-jobs", "create", "--display-name=gcloud", pool)
    assert gcloud("custom-jobs", "describe", job["name"].rpartition("/")[2])["displayName"] == "gcloud"
    assert job["name"] in {entry["name"] for entry in gcloud("custom-jobs", "list")}
