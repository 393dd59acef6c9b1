"""Deploying, undeploying, mutating (google/cloud/aiplatform_v1/types/endpoint_service.py, machine_resources.py)."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.aiplatform_v1.types import DeploymentStage, DeployModelOperationMetadata

from tests.emulator.conftest import STORED, MakeVertex, Vertex
from vertex_emulator.config import Config, Quotas

NAME = f"{STORED}/models/relevance"


@pytest.fixture
def endpoint(vertex: Vertex) -> str:
    vertex.upload()
    return vertex.endpoint()


def machine(**fields: Any) -> dict[str, Any]:
    return {"deployed_model": {"dedicated_resources": {"min_replica_count": 1, **fields}}}


def deployed_ids(vertex: Vertex, endpoint: str) -> list[str]:
    return [deployed.id for deployed in vertex.endpoints.get_endpoint({"name": endpoint}).deployed_models]


def undeploy(vertex: Vertex, endpoint: str, deployed_id: str, split: dict[str, int] | None = None) -> Any:
    return vertex.endpoints.undeploy_model(
        {"endpoint": endpoint, "deployed_model_id": deployed_id, "traffic_split": split or {}}
    )


def mutate(vertex: Vertex, endpoint: str, deployed_id: str, *paths: str, **resources: Any) -> Any:
    return vertex.endpoints.mutate_deployed_model(
        {
            "endpoint": endpoint,
            "deployed_model": {"id": deployed_id, "dedicated_resources": resources},
            "update_mask": {"paths": [f"dedicated_resources.{path}" for path in paths]},
        }
    )


def test_a_deployed_model_is_not_visible_until_its_operation_is_done(vertex: Vertex, endpoint: str) -> None:
    started = vertex.start_deploy(endpoint, "11")
    vertex.advance(599)
    assert deployed_ids(vertex, endpoint) == []
    vertex.advance(1)
    assert deployed_ids(vertex, endpoint) == ["11"]
    assert vertex.finished(started).deployed_model.model == f"{NAME}@1"
    assert vertex.finished(started).deployed_model.model_version_id == "1"


def test_a_deployment_reports_its_stage(vertex: Vertex, endpoint: str) -> None:
    name = vertex.start_deploy(endpoint, "11").operation.name
    stages = []
    for _ in range(3):
        metadata = DeployModelOperationMetadata.deserialize(vertex.operation(name).metadata.value)
        stages.append(metadata.deployment_stage)
        vertex.advance(300)
    assert stages[0] == DeploymentStage.STARTING_DEPLOYMENT
    assert stages[2] == DeploymentStage.SUCCESSFULLY_DEPLOYED


def test_an_empty_split_leaves_traffic_alone(vertex: Vertex, serving: str) -> None:
    vertex.deploy(serving, "22")
    assert dict(vertex.endpoints.get_endpoint({"name": serving}).traffic_split) == {"11": 100}


def test_zero_in_a_split_stands_for_the_model_being_deployed_and_takes_effect_at_the_end(
    vertex: Vertex, serving: str
) -> None:
    vertex.start_deploy(serving, "22", traffic_split={"0": 10, "11": 90})
    assert dict(vertex.endpoints.get_endpoint({"name": serving}).traffic_split) == {"11": 100}
    vertex.advance(600)
    assert dict(vertex.endpoints.get_endpoint({"name": serving}).traffic_split) == {"22": 10, "11": 90}


@pytest.mark.parametrize("split", [{"0": 50}, {"0": 50, "99": 50}, {"22": 100}])
def test_a_bad_split_is_refused_before_anything_is_deployed(
    vertex: Vertex, serving: str, split: dict[str, int]
) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        vertex.start_deploy(serving, "22", traffic_split=split)
    vertex.advance(600)
    assert deployed_ids(vertex, serving) == ["11"]


@pytest.mark.parametrize("deployed_id", ["0", "12345678901", "abc", "-1"])
def test_a_chosen_id_has_one_to_ten_digits(vertex: Vertex, endpoint: str, deployed_id: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="digits"):
        vertex.start_deploy(endpoint, deployed_id)


def test_without_a_chosen_id_the_service_makes_a_long_one(vertex: Vertex, endpoint: str) -> None:
    assert len(vertex.deploy(endpoint, "").id) == 19


@pytest.mark.parametrize("in_flight", [True, False])
def test_an_id_that_is_taken_is_refused(vertex: Vertex, endpoint: str, in_flight: bool) -> None:
    vertex.start_deploy(endpoint, "11")
    vertex.advance(0 if in_flight else 600)
    with pytest.raises(exceptions.AlreadyExists, match="11"):
        vertex.start_deploy(endpoint, "11")


def test_the_code_for_a_taken_id_can_be_switched(make_vertex: MakeVertex) -> None:
    vertex = make_vertex(Config(duplicate_deployed_model=grpc.StatusCode.INVALID_ARGUMENT))
    vertex.upload()
    endpoint = vertex.endpoint()
    vertex.deploy(endpoint, "11")
    with pytest.raises(exceptions.InvalidArgument, match="already exists"):
        vertex.start_deploy(endpoint, "11")


def test_the_default_version_is_resolved_when_the_deployment_begins(vertex: Vertex, endpoint: str) -> None:
    vertex.upload(parent_model=NAME)
    started = vertex.start_deploy(endpoint, "11")
    vertex.models.merge_version_aliases({"name": f"{NAME}@2", "version_aliases": ["default"]})
    vertex.advance(600)
    assert vertex.finished(started).deployed_model.model_version_id == "1"
    assert vertex.deploy(endpoint, "22").model_version_id == "2"


def test_defaults_of_the_machine_are_filled_in(vertex: Vertex, endpoint: str) -> None:
    resources = vertex.deploy(endpoint, "11", **machine(min_replica_count=2)).dedicated_resources
    assert resources.machine_spec.machine_type == "n1-standard-2"
    assert (resources.min_replica_count, resources.max_replica_count) == (2, 2)
    found = vertex.endpoints.get_endpoint({"name": endpoint}).deployed_models[0]
    assert found.status.available_replica_count == 2


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        ({"min_replica_count": 0}, "min_replica_count"),
        ({"min_replica_count": 3, "max_replica_count": 2}, "max_replica_count"),
        ({"machine_spec": {"machine_type": "n1-standard-5"}}, "Machine type"),
        ({"machine_spec": {"machine_type": "e2-standard-4", "accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 1}}, "Accelerator"),
        ({"machine_spec": {"machine_type": "n1-standard-4", "accelerator_type": "NVIDIA_TESLA_T4"}}, "accelerator_count"),
        ({"required_replica_count": 2}, "required_replica_count"),
        ({"autoscaling_metric_specs": [{"metric_name": "cpu", "target": 60}]}, "Autoscaling metric"),
    ],
)  # fmt: skip
def test_resources_that_do_not_exist_are_refused(
    vertex: Vertex, endpoint: str, resources: dict[str, Any], reason: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=reason):
        vertex.start_deploy(endpoint, "11", **machine(**resources))


def test_a_gpu_on_a_machine_that_takes_it_and_automatic_resources_are_accepted(vertex: Vertex, endpoint: str) -> None:
    spec = {"machine_type": "n1-standard-4", "accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 1}
    assert vertex.deploy(endpoint, "11", **machine(machine_spec=spec)).id == "11"
    request = {"id": "22", "model": NAME, "automatic_resources": {"min_replica_count": 1, "max_replica_count": 3}}
    vertex.endpoints.deploy_model({"endpoint": endpoint, "deployed_model": request})
    vertex.advance(600)
    assert deployed_ids(vertex, endpoint) == ["11", "22"]


def test_resources_are_required(vertex: Vertex, endpoint: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="dedicated_resources"):
        vertex.endpoints.deploy_model({"endpoint": endpoint, "deployed_model": {"model": NAME}})


def test_a_deployment_that_runs_into_a_quota_leaves_nothing_behind(vertex: Vertex, serving: str) -> None:
    vertex.emulator.faults.fail_operation("DeployModel")
    started = vertex.start_deploy(serving, "22", traffic_split={"0": 10, "11": 90})
    vertex.advance(600)
    with pytest.raises(exceptions.ResourceExhausted, match="quotas are exceeded"):
        vertex.finished(started)
    assert deployed_ids(vertex, serving) == ["11"]
    assert dict(vertex.endpoints.get_endpoint({"name": serving}).traffic_split) == {"11": 100}
    assert vertex.deploy(serving, "22").id == "22"


def test_a_container_that_never_gets_healthy_fails_its_deployment(vertex: Vertex, endpoint: str) -> None:
    """Status and text from GoogleCloudPlatform/vertex-ai-samples issue 585."""
    vertex.emulator.faults.never_healthy()
    started = vertex.start_deploy(endpoint, "11")
    vertex.advance(600)
    with pytest.raises(exceptions.FailedPrecondition, match="never became ready"):
        vertex.finished(started)
    assert deployed_ids(vertex, endpoint) == []


def test_a_replica_quota_counts_maxima_and_deployments_under_way(make_vertex: MakeVertex) -> None:
    vertex = make_vertex(Config(quotas=Quotas(replicas=5)))
    vertex.upload()
    endpoint = vertex.endpoint()
    vertex.start_deploy(endpoint, "11", **machine(max_replica_count=3))
    with pytest.raises(exceptions.ResourceExhausted, match="3 used, 3 asked for, 5 allowed"):
        vertex.start_deploy(endpoint, "22", **machine(max_replica_count=3))
    vertex.advance(600)
    vertex.deploy(endpoint, "22", **machine(max_replica_count=2))
    with pytest.raises(exceptions.ResourceExhausted):
        mutate(vertex, endpoint, "22", "max_replica_count", max_replica_count=3)


def test_a_model_with_traffic_cannot_be_undeployed_beside_another(vertex: Vertex, serving: str) -> None:
    vertex.deploy(serving, "22")
    with pytest.raises(exceptions.FailedPrecondition, match="traffic"):
        undeploy(vertex, serving, "11")
    with pytest.raises(exceptions.FailedPrecondition, match="traffic"):
        undeploy(vertex, serving, "11", {"11": 50, "22": 50})
    assert deployed_ids(vertex, serving) == ["11", "22"]


def test_an_undeployment_may_move_the_traffic_itself_and_shows_when_it_is_done(vertex: Vertex, serving: str) -> None:
    vertex.deploy(serving, "22")
    undeploy(vertex, serving, "11", {"22": 100})
    assert dict(vertex.endpoints.get_endpoint({"name": serving}).traffic_split) == {"22": 100}
    assert deployed_ids(vertex, serving) == ["11", "22"]
    with pytest.raises(exceptions.FailedPrecondition, match="being undeployed"):
        vertex.split(serving, {"11": 100})
    with pytest.raises(exceptions.FailedPrecondition, match="already"):
        undeploy(vertex, serving, "11")
    vertex.advance(120)
    assert deployed_ids(vertex, serving) == ["22"]


@pytest.mark.parametrize("split", [{}, {"11": 0}], ids=["no split", "its own share is 0"])
def test_the_last_model_takes_the_split_with_it(vertex: Vertex, serving: str, split: dict[str, int]) -> None:
    undeploy(vertex, serving, "11", split)
    vertex.advance(120)
    found = vertex.endpoints.get_endpoint({"name": serving})
    assert (list(found.deployed_models), dict(found.traffic_split)) == ([], {})


def test_a_share_of_zero_does_not_hold_a_model(vertex: Vertex, serving: str) -> None:
    vertex.deploy(serving, "22")
    vertex.split(serving, {"11": 0, "22": 100})
    undeploy(vertex, serving, "11")
    vertex.advance(120)
    assert dict(vertex.endpoints.get_endpoint({"name": serving}).traffic_split) == {"22": 100}


def test_undeploying_what_is_not_there_is_not_found(vertex: Vertex, endpoint: str) -> None:
    with pytest.raises(exceptions.NotFound):
        undeploy(vertex, endpoint, "11")


def test_replica_limits_change_when_the_mutation_is_done(vertex: Vertex, serving: str) -> None:
    started = mutate(
        vertex, serving, "11", "min_replica_count", "max_replica_count", min_replica_count=3, max_replica_count=5
    )
    with pytest.raises(exceptions.FailedPrecondition, match="already being mutated"):
        mutate(vertex, serving, "11", "min_replica_count", min_replica_count=2)
    vertex.advance(60)
    resources = vertex.finished(started).deployed_model.dedicated_resources
    assert (resources.min_replica_count, resources.max_replica_count) == (3, 5)
    status = vertex.endpoints.get_endpoint({"name": serving}).deployed_models[0].status
    assert status.available_replica_count == 1  # the new replicas are starting
    vertex.advance(60)
    status = vertex.endpoints.get_endpoint({"name": serving}).deployed_models[0].status
    assert status.available_replica_count == 3


@pytest.mark.parametrize("paths", [[], ["machine_spec"], ["machine_spec.machine_type"], ["spot"]])
def test_a_mutation_needs_a_mask_and_cannot_change_the_machine(vertex: Vertex, serving: str, paths: list[str]) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        mutate(vertex, serving, "11", *paths, min_replica_count=2)


def test_a_mutation_to_an_impossible_range_is_refused(vertex: Vertex, serving: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="max_replica_count"):
        mutate(vertex, serving, "11", "min_replica_count", min_replica_count=3)
