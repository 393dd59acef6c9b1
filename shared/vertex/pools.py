"""Pools of machines that several deployed models share (DeploymentResourcePool)."""

from __future__ import annotations

from google.cloud.aiplatform_v1.services.deployment_resource_pool_service.client import (
    DeploymentResourcePoolServiceClient,
)
from google.cloud.aiplatform_v1.services.deployment_resource_pool_service.transports.grpc import (
    DeploymentResourcePoolServiceGrpcTransport,
)
from google.cloud.aiplatform_v1.types import deployment_resource_pool as pool_types
from google.cloud.aiplatform_v1.types import deployment_resource_pool_service as pool_service

from shared.channels import vertex_clients
from shared.errors import NotFoundError
from shared.gapic import patience
from shared.gapic.errors import translated
from shared.gapic.values import raw, raw_pages
from shared.policy.schema import Machine
from shared.rollout.observed import Pool
from shared.vertex import full_names
from shared.vertex.endpoints import resources
from shared.vertex.operations import started


class Pools:
    """Vertex AI's DeploymentResourcePoolService, one call per method."""

    def __init__(self) -> None:
        self._client = vertex_clients(DeploymentResourcePoolServiceClient, DeploymentResourcePoolServiceGrpcTransport)

    def get(self, project: str, region: str, pool: str) -> Pool | None:
        """The pool; None where there is none, or it is still being made."""
        request = pool_service.GetDeploymentResourcePoolRequest(name=full_names.pool(project, region, pool))
        try:
            with translated(f"reading pool {pool}"):
                reply = self._client(region).get_deployment_resource_pool(request, **patience.read())
        except NotFoundError:
            return None
        return Pool(pool, raw(reply).dedicated_resources.machine_spec.machine_type)

    def list(self, project: str, region: str) -> list[str]:
        """The ids of all pools of one region."""
        request = pool_service.ListDeploymentResourcePoolsRequest(parent=full_names.location(project, region))
        with translated(f"listing the pools of {project}/{region}"):
            pager = self._client(region).list_deployment_resource_pools(request, **patience.read())
            return [full_names.last_segment(item.name) for item in raw_pages(pager, "deployment_resource_pools")]

    def is_used(self, project: str, region: str, pool: str) -> bool:
        """Whether any deployed model, of whomever, is on its machines."""
        name = full_names.pool(project, region, pool)
        request = pool_service.QueryDeployedModelsRequest(deployment_resource_pool=name)
        with translated(f"asking who uses pool {pool}"):
            pager = self._client(region).query_deployed_models(request, **patience.read())
            return any(True for _ in raw_pages(pager, "deployed_model_refs"))

    def create(self, project: str, region: str, pool: str, machine: Machine) -> str:
        """Start making it, of the policy's machine; the operation's name. AlreadyExistsError where it is there."""
        request = pool_service.CreateDeploymentResourcePoolRequest(
            parent=full_names.location(project, region),
            deployment_resource_pool_id=pool,
            deployment_resource_pool=pool_types.DeploymentResourcePool(
                dedicated_resources=resources(machine, machine.replicas.min)
            ),
        )
        with translated(f"creating pool {pool}"):
            return started(self._client(region).create_deployment_resource_pool(request, **patience.write()))

    def delete(self, project: str, region: str, pool: str) -> str:
        """Start deleting a pool on which nothing is deployed; the operation's name."""
        request = pool_service.DeleteDeploymentResourcePoolRequest(name=full_names.pool(project, region, pool))
        with translated(f"deleting pool {pool}"):
            return started(self._client(region).delete_deployment_resource_pool(request, **patience.write()))
