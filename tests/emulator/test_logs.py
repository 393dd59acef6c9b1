"""Audit log entries have the documented halves, names and statuses (documentation page "Audit logging")."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions

from tests.emulator.conftest import STORED, MakeVertex, Vertex
from vertex_emulator.clock import now
from vertex_emulator.logs import Logs
from vertex_emulator.names import Projects


def of(vertex: Vertex, method: str) -> list[dict[str, Any]]:
    return [entry for entry in vertex.audit() if entry["protoPayload"]["methodName"].endswith(f".{method}")]


def test_an_upload_has_a_first_and_a_last_entry_and_only_the_last_knows_the_version(vertex: Vertex) -> None:
    vertex.upload(artifact_uri="gs://bucket/model")
    first, last = of(vertex, "UploadModel")
    assert (first["operation"]["first"], last["operation"]["last"]) == (True, True)
    assert first["operation"]["id"] == last["operation"]["id"]
    payload = last["protoPayload"]
    assert payload["methodName"] == "google.cloud.aiplatform.v1.ModelService.UploadModel"
    assert payload["serviceName"] == "aiplatform.googleapis.com"
    assert payload["resourceName"] == "projects/local-project/locations/us-central1/models/relevance"
    assert payload["request"]["model"]["artifactUri"] == "gs://bucket/model"
    assert payload["response"]["model"] == f"{STORED}/models/relevance"
    assert payload["response"]["modelVersionId"] == "1"
    assert payload["status"] == {}
    assert "response" not in first["protoPayload"]
    assert last["logName"] == "projects/local-project/logs/cloudaudit.googleapis.com%2Factivity"
    assert last["resource"]["type"] == "audited_resource"
    assert last["timestamp"] == "2026-03-01T12:01:00Z"


def test_a_failed_operation_ends_with_its_status(vertex: Vertex) -> None:
    vertex.emulator.faults.fail_operation("UploadModel", message="quota")
    with pytest.raises(exceptions.ResourceExhausted):
        vertex.upload()
    last = of(vertex, "UploadModel")[-1]
    assert last["operation"]["last"]
    assert last["protoPayload"]["status"] == {"code": 8, "message": "quota"}
    assert last["severity"] == "ERROR"


def test_synchronous_and_refused_changes_have_one_entry_and_reads_none(vertex: Vertex, serving: str) -> None:
    vertex.split(serving, {"11": 100})
    vertex.endpoints.get_endpoint({"name": serving})
    vertex.predict(serving)
    with pytest.raises(exceptions.InvalidArgument):
        vertex.split(serving, {"11": 1})
    changes = of(vertex, "UpdateEndpoint")
    assert [entry["protoPayload"]["status"].get("code", 0) for entry in changes] == [0, 0, 3]
    assert all("operation" not in entry for entry in changes)
    assert (
        changes[0]["protoPayload"]["resourceName"] == "projects/local-project/locations/us-central1/endpoints/serving"
    )
    assert of(vertex, "GetEndpoint") == of(vertex, "Predict") == []


def test_deployments_are_logged_in_the_order_in_which_they_happen(vertex: Vertex, serving: str) -> None:
    vertex.split(serving, {})
    vertex.endpoints.undeploy_model({"endpoint": serving, "deployed_model_id": "11"})
    vertex.advance(120)
    methods = [entry["protoPayload"]["methodName"].rpartition(".")[2] for entry in vertex.audit()]
    assert methods == [
        *("UploadModel", "UploadModel", "CreateEndpoint", "CreateEndpoint", "DeployModel", "DeployModel"),
        *("UpdateEndpoint", "UpdateEndpoint", "UndeployModel", "UndeployModel"),
    ]
    assert len({entry["insertId"] for entry in vertex.entries}) == len(methods)


def test_a_mask_that_json_cannot_express_does_not_hide_the_refusal(vertex: Vertex, serving: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="trafficSplit"):
        vertex.endpoints.update_endpoint({"endpoint": {"name": serving}, "update_mask": {"paths": ["trafficSplit"]}})
    assert "updateMask" not in of(vertex, "UpdateEndpoint")[-1]["protoPayload"]["request"]


def test_a_sink_that_fails_once_does_not_end_the_delivery(caplog: pytest.LogCaptureFixture) -> None:
    delivered: list[str] = []

    def sink(entry: dict[str, Any]) -> None:
        if not delivered:
            delivered.append("failed")
            raise RuntimeError("no such topic")
        delivered.append(entry["jsonPayload"]["state"])

    logs = Logs(sink, Projects({}), "developer@example.com", now)
    logs.start()
    for state in ("one", "two"):
        logs.pipeline_job_state(f"{STORED}/pipelineJobs/1", "train", state, {})
    logs.stop()
    assert delivered == ["failed", "two"]
    assert "The log sink failed" in caplog.text


def test_without_a_sink_nothing_is_logged(make_vertex: MakeVertex) -> None:
    logs = Logs(None, Projects({}), "developer@example.com", now)
    logs.start()
    logs.pipeline_job_state(f"{STORED}/pipelineJobs/1", "train", "one", {})
    logs.drain()
    logs.stop()
