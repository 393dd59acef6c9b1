"""The log sinks let through what the functions read, by the regular expressions that Terraform gives them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.package import ROOT
from local.sinks import topic_of

TOPICS = (ROOT / "infra" / "topics.tf").read_text()
EVENTS = ROOT / "tests" / "data" / "events"


def expression(sink: str, field: str) -> re.Pattern[str]:
    """The regular expression with which a sink looks at a field."""
    (line,) = re.findall(rf"^\s*{sink}\s*= \"(.*)\"$", TOPICS, re.MULTILINE)
    (found,) = re.findall(rf'{re.escape(field)}=~\\"(.*?)\\"', line)
    return re.compile(str(found).replace("\\\\", "\\"))


def entries() -> list[tuple[str, dict[str, Any]]]:
    """Every recorded log entry."""
    read = [(path.stem, json.loads(path.read_text()).get("payload")) for path in sorted(EVENTS.rglob("*.json"))]
    return [(name, entry) for name, entry in read if isinstance(entry, dict) and "logName" in entry]


@pytest.mark.parametrize(
    "prefix", ["google.cloud.aiplatform.v1", "google.cloud.aiplatform.v1beta1", "google.cloud.aiplatform.ui"]
)
def test_uploads_come_by_any_version_of_the_method(prefix: str) -> None:
    uploads = expression("model-uploaded", "protoPayload.methodName")
    assert uploads.search(f"{prefix}.ModelService.UploadModel")
    assert not uploads.search(f"{prefix}.ModelService.UploadModelVersion")
    assert not uploads.search(f"{prefix}.ModelService.DeleteModel")


@pytest.mark.parametrize(("name", "entry"), entries(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_recorded_entry_goes_in_the_cloud_where_it_goes_on_one_machine(name: str, entry: dict[str, Any]) -> None:
    method = str(entry.get("protoPayload", {}).get("methodName", ""))
    state = str(entry.get("jsonPayload", {}).get("state", ""))
    is_upload = bool(expression("model-uploaded", "protoPayload.methodName").search(method))
    is_run = "pipeline_job_events" in entry["logName"] and bool(
        expression("training-completed", "jsonPayload.state").search(state)
    )
    here = topic_of(entry)
    assert is_upload == (here == "model-uploaded")
    # The sink in the cloud leaves out what the function would ignore: runs that have not succeeded.
    assert is_run <= (here == "training-completed")
    if here == "training-completed" and not is_run:
        assert "SUCCEEDED" not in state


def test_the_token_of_the_webhook_is_never_logged() -> None:
    (excluded,) = re.findall(r'httpRequest\.requestUrl=~\\"(.*?)\\"', TOPICS)
    assert re.search(excluded, "https://receive-alert-abc-uc.a.run.app/?auth_token=secret")
    assert not re.search(excluded, "https://receive-alert-abc-uc.a.run.app/")
    assert Path(ROOT / "functions" / "receive_alert").is_dir()
