"""Endpoints and their traffic split (google/cloud/aiplatform_v1/types/endpoint.py, endpoint_service.py)."""

from __future__ import annotations

import grpc
import pytest
from google.api_core import exceptions

from tests.emulator.conftest import PARENT, STORED, MakeVertex, Vertex
from vertex_emulator.config import Config


def test_an_endpoint_is_invisible_until_its_operation_is_done_and_the_answer_is_sparse(vertex: Vertex) -> None:
    started = vertex.endpoints.create_endpoint(
        {"parent": PARENT, "endpoint_id": "serving", "endpoint": {"display_name": "Serving"}}
    )
    assert not list(vertex.endpoints.list_endpoints({"parent": PARENT}))
    vertex.advance(60)
    created = vertex.finished(started)
    assert (created.name, created.etag) == (f"{STORED}/endpoints/serving", "")
    assert vertex.endpoints.get_endpoint({"name": created.name}).etag


@pytest.mark.parametrize("endpoint_id", ["Upper", "1abc", "1234567890", "ends-", "x" * 64])
def test_an_endpoint_id_outside_the_rules_is_refused(vertex: Vertex, endpoint_id: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="endpoint_id"):
        vertex.endpoint(endpoint_id)


def test_an_endpoint_id_that_is_taken_already_exists(vertex: Vertex) -> None:
    vertex.endpoint()
    with pytest.raises(exceptions.AlreadyExists):
        vertex.endpoint()


def test_a_dedicated_endpoint_has_a_name_of_its_own(vertex: Vertex) -> None:
    name = vertex.endpoint(dedicated_endpoint_enabled=True)
    dns = vertex.endpoints.get_endpoint({"name": name}).dedicated_endpoint_dns
    assert dns == "serving.us-central1-123456789012.prediction.vertexai.goog"


def test_a_dedicated_name_can_lead_to_the_emulator_itself(make_vertex: MakeVertex) -> None:
    vertex = make_vertex(Config(dedicated_dns="{address}"))
    name = vertex.endpoint(dedicated_endpoint_enabled=True)
    dns = vertex.endpoints.get_endpoint({"name": name}).dedicated_endpoint_dns
    assert dns == vertex.emulator.address


def test_updating_traffic_and_labels_is_one_synchronous_write_that_replaces_both_maps(
    vertex: Vertex, serving: str
) -> None:
    vertex.deploy(serving, "22")
    vertex.split(serving, {"11": 100}, labels={"old": "1", "kept": "1"})
    updated = vertex.split(serving, {"22": 100}, labels={"kept": "2"})
    assert dict(updated.traffic_split) == {"22": 100}
    assert dict(updated.labels) == {"kept": "2"}
    assert vertex.endpoints.get_endpoint({"name": serving}).etag == updated.etag


def test_only_fields_in_the_mask_change(vertex: Vertex, serving: str) -> None:
    updated = vertex.endpoints.update_endpoint(
        {
            "endpoint": {"name": serving, "display_name": "New", "description": "New", "traffic_split": {}},
            "update_mask": {"paths": ["description"]},
        }
    )
    assert (updated.display_name, updated.description, dict(updated.traffic_split)) == ("Serving", "New", {"11": 100})


@pytest.mark.parametrize("paths", [[], ["deployed_models"], ["etag"], ["labels.a"], ["trafficSplit"]])
def test_a_mask_is_required_and_names_what_can_change(vertex: Vertex, serving: str, paths: list[str]) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        vertex.endpoints.update_endpoint({"endpoint": {"name": serving}, "update_mask": {"paths": paths}})


@pytest.mark.parametrize("shares", [{"11": 99}, {"11": 101}, {"11": 150, "22": -50}])
def test_a_split_that_does_not_give_exactly_100_is_refused(
    vertex: Vertex, serving: str, shares: dict[str, int]
) -> None:
    vertex.deploy(serving, "22")
    with pytest.raises(exceptions.InvalidArgument):
        vertex.split(serving, shares)
    assert dict(vertex.endpoints.get_endpoint({"name": serving}).traffic_split) == {"11": 100}


@pytest.mark.parametrize("unknown", ["0", "99"])
def test_a_split_that_names_an_unknown_model_is_refused_in_the_words_of_the_service(
    vertex: Vertex, serving: str, unknown: str
) -> None:
    """Text from GoogleCloudPlatform/java-docs-samples issue 8475."""
    with pytest.raises(
        exceptions.InvalidArgument, match=rf"The following DeployedModel ID\(s\) \[{unknown}\] do not exist\."
    ):
        vertex.split(serving, {"11": 50, unknown: 50})


def test_an_empty_split_takes_all_traffic_away(vertex: Vertex, serving: str) -> None:
    assert dict(vertex.split(serving, {}).traffic_split) == {}
    with pytest.raises(exceptions.FailedPrecondition, match="doesn't have traffic_split"):
        vertex.predict(serving)


def test_a_stale_etag_is_aborted_and_none_is_a_blind_write(vertex: Vertex, serving: str) -> None:
    """ABORTED as elsewhere in Vertex AI (googleapis/python-aiplatform issue 1674); for endpoints not documented."""
    read = vertex.endpoints.get_endpoint({"name": serving}).etag
    vertex.split(serving, {"11": 100}, etag=read)
    with pytest.raises(exceptions.Aborted, match="etag"):
        vertex.split(serving, {}, etag=read)
    assert dict(vertex.endpoints.get_endpoint({"name": serving}).traffic_split) == {"11": 100}
    vertex.split(serving, {})


def test_the_code_of_an_etag_mismatch_can_be_switched(make_vertex: MakeVertex) -> None:
    vertex = make_vertex(Config(etag_mismatch=grpc.StatusCode.FAILED_PRECONDITION))
    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        vertex.split(vertex.endpoint(), {}, etag="old")


def test_the_etag_changes_with_a_deployment_but_not_with_a_reading(vertex: Vertex, serving: str) -> None:
    before = vertex.endpoints.get_endpoint({"name": serving}).etag
    assert vertex.endpoints.get_endpoint({"name": serving}).etag == before
    vertex.deploy(serving, "22")
    assert vertex.endpoints.get_endpoint({"name": serving}).etag != before


def test_an_endpoint_with_models_cannot_be_deleted(vertex: Vertex, serving: str) -> None:
    with pytest.raises(exceptions.FailedPrecondition, match="undeploy"):
        vertex.endpoints.delete_endpoint({"name": serving})
    vertex.split(serving, {})
    vertex.endpoints.undeploy_model({"endpoint": serving, "deployed_model_id": "11"})
    vertex.advance(120)
    vertex.endpoints.delete_endpoint({"name": serving})
    vertex.advance(30)
    with pytest.raises(exceptions.NotFound):
        vertex.endpoints.get_endpoint({"name": serving})


def test_endpoints_are_listed_by_label(vertex: Vertex) -> None:
    vertex.endpoint("one", labels={"vr-rollout": "r1"})
    vertex.endpoint("two", labels={"other": "x"})
    found = vertex.endpoints.list_endpoints({"parent": PARENT, "filter": "labels.vr-rollout:*"})
    assert [endpoint.name for endpoint in found] == [f"{STORED}/endpoints/one"]


def test_the_history_knows_every_split_with_the_models_behind_it(vertex: Vertex, serving: str) -> None:
    vertex.deploy(serving, "22")
    vertex.split(serving, {"11": 90, "22": 10})
    history = vertex.emulator.history.of("serving")
    assert [dict(snapshot.traffic_split) for snapshot in history] == [
        {},
        {},
        {"11": 100},
        {"11": 100},
        {"11": 90, "22": 10},
    ]
    assert [(model.id, model.version, model.replicas) for model in history[-1].deployed] == [
        ("11", "1", 1),
        ("22", "1", 1),
    ]
    assert all(snapshot.is_sound for snapshot in history)
    assert history == vertex.emulator.history.all()


def test_a_hook_hears_of_every_change(make_vertex: MakeVertex) -> None:
    heard: list[str] = []
    vertex = make_vertex(on_change=lambda snapshot: heard.append(snapshot.endpoint))
    vertex.endpoint()
    assert heard == [f"{STORED}/endpoints/serving"]


def test_clients_route_by_resource_name(vertex: Vertex, serving: str) -> None:
    vertex.split(serving, {"11": 100})
    assert vertex.emulator.calls[-1] == ("UpdateEndpoint", f"endpoint.name={serving}")
    vertex.endpoints.get_endpoint({"name": serving})
    assert vertex.emulator.calls[-1] == ("GetEndpoint", f"name={serving}")
    assert vertex.emulator.counts["UpdateEndpoint"] == 2
