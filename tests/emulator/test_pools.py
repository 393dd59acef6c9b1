"""Co-hosting in a DeploymentResourcePool (types/deployment_resource_pool_service.py)."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.aiplatform_v1.services.deployment_resource_pool_service.client import (
    DeploymentResourcePoolServiceClient,
)
from google.cloud.aiplatform_v1.services.deployment_resource_pool_service.transports.grpc import (
    DeploymentResourcePoolServiceGrpcTransport,
)

from tests.emulator.conftest import PARENT, STORED, Vertex
from vertex_emulator.serving.profile import Profile

POOL = f"{STORED}/deploymentResourcePools/shared"


@pytest.fixture
def pools(vertex: Vertex) -> Any:
    return DeploymentResourcePoolServiceClient(
        transport=DeploymentResourcePoolServiceGrpcTransport(channel=vertex.channel)
    )


def create(vertex: Vertex, pools: Any, **resources: Any) -> None:
    dedicated = {"machine_spec": {"machine_type": "n1-standard-4"}, "min_replica_count": 1, **resources}
    started = pools.create_deployment_resource_pool(
        {
            "parent": PARENT,
            "deployment_resource_pool_id": "shared",
            "deployment_resource_pool": {"dedicated_resources": dedicated},
        }
    )
    assert not list(pools.list_deployment_resource_pools({"parent": PARENT}))
    vertex.advance(60)
    assert vertex.finished(started).name == POOL


def deploy(vertex: Vertex, endpoint: str, deployed_id: str) -> None:
    deployed = {"id": deployed_id, "model": f"{STORED}/models/relevance", "shared_resources": POOL}
    vertex.endpoints.deploy_model({"endpoint": endpoint, "deployed_model": deployed})
    vertex.advance(600)
    vertex.split(endpoint, {deployed_id: 100})


def test_models_of_two_endpoints_share_the_replicas_and_the_load_of_a_pool(vertex: Vertex, pools: Any) -> None:
    create(vertex, pools, max_replica_count=5)
    vertex.upload()
    one, two = vertex.endpoint("one"), vertex.endpoint("two")
    deploy(vertex, one, "11")
    deploy(vertex, two, "22")
    found = pools.query_deployed_models({"deployment_resource_pool": POOL})
    assert [ref.deployed_model_id for ref in found.deployed_model_refs] == ["11", "22"]
    vertex.emulator.profiles.override("relevance", Profile(latency_ms=0, capacity_rps=1_000))
    vertex.advance(15)
    for _ in range(10):
        vertex.predict(one)
        vertex.predict(two)
    vertex.emulator.profiles.override("relevance", Profile(latency_ms=0, capacity_rps=1))
    vertex.advance(15)
    vertex.advance(60)
    for endpoint in (one, two):  # 20 requests in 15 s at one per second and replica, over both endpoints
        status = vertex.endpoints.get_endpoint({"name": endpoint}).deployed_models[0].status
        assert status.available_replica_count == 3


def test_a_pool_in_use_cannot_be_deleted(vertex: Vertex, pools: Any) -> None:
    create(vertex, pools)
    vertex.upload()
    endpoint = vertex.endpoint()
    deploy(vertex, endpoint, "11")
    with pytest.raises(exceptions.FailedPrecondition, match="11"):
        pools.delete_deployment_resource_pool({"name": POOL})
    vertex.split(endpoint, {})
    vertex.endpoints.undeploy_model({"endpoint": endpoint, "deployed_model_id": "11"})
    vertex.advance(120)
    pools.delete_deployment_resource_pool({"name": POOL})
    vertex.advance(30)
    with pytest.raises(exceptions.NotFound):
        pools.get_deployment_resource_pool({"name": POOL})


def test_a_pools_limits_change_and_its_machine_does_not(vertex: Vertex, pools: Any) -> None:
    create(vertex, pools)

    def update(path: str, **resources: Any) -> Any:
        pool = {"name": POOL, "dedicated_resources": resources}
        return pools.update_deployment_resource_pool(
            {"deployment_resource_pool": pool, "update_mask": {"paths": [path]}}
        )

    started = update("dedicated_resources.max_replica_count", max_replica_count=4)
    vertex.advance(60)
    assert vertex.finished(started).dedicated_resources.max_replica_count == 4
    with pytest.raises(exceptions.InvalidArgument, match="machine_spec"):
        update("dedicated_resources.machine_spec", machine_spec={"machine_type": "n1-standard-8"})


@pytest.mark.parametrize("pool_id", ["", "Upper", "1"])
def test_a_pool_needs_an_id_and_resources(vertex: Vertex, pools: Any, pool_id: str) -> None:
    resources = {"dedicated_resources": {"min_replica_count": 1}}
    with pytest.raises(exceptions.InvalidArgument):
        pools.create_deployment_resource_pool(
            {"parent": PARENT, "deployment_resource_pool_id": pool_id, "deployment_resource_pool": resources}
        )
    with pytest.raises(exceptions.InvalidArgument, match="dedicated_resources"):
        pools.create_deployment_resource_pool({"parent": PARENT, "deployment_resource_pool_id": "shared"})


def test_deploying_on_a_pool_that_is_not_there_is_not_found(vertex: Vertex) -> None:
    vertex.upload()
    endpoint = vertex.endpoint()
    with pytest.raises(exceptions.NotFound, match="DeploymentResourcePool"):
        deploy(vertex, endpoint, "11")
