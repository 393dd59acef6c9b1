"""Endpoints: what stands behind them, and the few writes a rollout needs.

Traffic is written by UpdateEndpoint and by nothing else. DeployModel could carry a split too, but it would take effect when the
deployment completes, ten minutes later, over whatever the traffic is then.
"""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.cloud.aiplatform_v1.services.endpoint_service.client import EndpointServiceClient
from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import EndpointServiceGrpcTransport
from google.cloud.aiplatform_v1.types import accelerator_type, endpoint_service, machine_resources
from google.cloud.aiplatform_v1.types import endpoint as endpoint_types
from google.cloud.aiplatform_v1.types import io as io_types
from google.protobuf.field_mask_pb2 import FieldMask

from shared.channels import vertex_clients
from shared.errors import ConflictError, NotFoundError, RefusedError
from shared.gapic import patience
from shared.gapic.errors import translated
from shared.gapic.values import moment, raw, raw_pages
from shared.rollout.labels import ARM_OF, PAIR, STICKY
from shared.rollout.names import copied_version, pool_id
from shared.rollout.observed import DeployedModel, Endpoint, OperationState, TargetRef
from shared.vertex import full_names
from shared.vertex.operations import read_operation, started

if TYPE_CHECKING:
    from shared.policy.schema import Machine, Target

_UTILISATION = "aiplatform.googleapis.com/prediction/online/"
_PAGE = 100
_SEVERAL = frozenset((PAIR, STICKY, ARM_OF))
"""Labels of endpoints that are one with others to everybody who decides."""
_GET, _UPDATE = endpoint_service.GetEndpointRequest, endpoint_service.UpdateEndpointRequest
_ENDPOINT = endpoint_types.Endpoint.pb()
"""A rollback waits for these requests: filled in below the client's wrapper, in a quarter of the time."""


@dataclass(frozen=True)
class DeploySpec:
    """One model version to be put on machines of its own."""

    deployed_id: str
    """1 to 10 digits, chosen by us, so that a deployment whose answer was lost is recognised (DeployedModel.id)."""
    project: str
    """Where the model, or its copy, is registered."""
    region: str
    model: str
    version: str
    display_name: str
    machine: Machine
    service_account: str | None
    access_logging: bool
    """Cannot be changed without another deployment."""
    min_replicas: int
    """At the start; the policy's minimum, or what the traffic needs by then."""
    copied_as: str = ""
    """Of a copy, its number in the target's region."""
    artifact_uri: str = ""
    """Where the version's files are; only for one that is exported."""


class Endpoints:
    """Vertex AI's EndpointService, one call per method (a list: one per page)."""

    def __init__(self) -> None:
        self._client = vertex_clients(EndpointServiceClient, EndpointServiceGrpcTransport)

    def get(self, ref: TargetRef) -> Endpoint | None:
        """The endpoint as it is now; None where there is none."""
        request = _GET.wrap(_GET.pb()(name=full_names.endpoint(ref)))
        try:
            with translated(f"reading endpoint {ref}"):
                reply = self._client(ref.region).get_endpoint(request, **patience.read())
        except NotFoundError:
            return None
        return _endpoint(raw(reply), ref.project, ref.region)

    def list(self, project: str, region: str, only: Collection[str] | None = None) -> builtins.list[Endpoint]:
        """All endpoints of one region. ``only`` names those that are wanted: of the others come only those that may belong to one of them."""
        parent = full_names.location(project, region)
        request = endpoint_service.ListEndpointsRequest(parent=parent, page_size=_PAGE)
        with translated(f"listing the endpoints of {project}/{region}"):
            pager = self._client(region).list_endpoints(request, **patience.read())
            return [
                _endpoint(item, project, region)
                for item in raw_pages(pager, "endpoints")
                if only is None or full_names.last_segment(item.name) in only or not _SEVERAL.isdisjoint(item.labels)
            ]

    def create(self, ref: TargetRef, target: Target, labels: Mapping[str, str]) -> str:
        """Start making the endpoint; the operation's name. AlreadyExistsError where it is there."""
        wanted = endpoint_types.Endpoint(
            display_name=ref.endpoint, labels=dict(labels), dedicated_endpoint_enabled=target.dedicated
        )
        if target.request_logging:
            wanted.predict_request_response_logging_config = endpoint_types.PredictRequestResponseLoggingConfig(
                enabled=True,
                sampling_rate=target.request_logging.sample,
                bigquery_destination=io_types.BigQueryDestination(output_uri=target.request_logging.table),
            )
        request = endpoint_service.CreateEndpointRequest(
            parent=full_names.location(ref.project, ref.region), endpoint=wanted, endpoint_id=ref.endpoint
        )
        with translated(f"creating endpoint {ref}"):
            return started(self._client(ref.region).create_endpoint(request, **patience.write()))

    def write_traffic(self, endpoint: Endpoint, split: Mapping[str, int], labels: Mapping[str, str]) -> Endpoint:
        """Write split and labels in one call; ConflictError when the endpoint is no longer as it was read.

        ``labels`` is the whole map: a mask on a map replaces it whole.
        """
        shares = {deployed_id: share for deployed_id, share in split.items() if share}
        return self._update(endpoint, {"traffic_split": shares, "labels": dict(labels)})

    def write_labels(self, endpoint: Endpoint, labels: Mapping[str, str]) -> Endpoint:
        """Write the whole label map and nothing else; ConflictError as for traffic."""
        return self._update(endpoint, {"labels": dict(labels)})

    def _update(self, endpoint: Endpoint, fields: Mapping[str, Any]) -> Endpoint:
        ref = endpoint.ref
        if not endpoint.etag:
            # An update without an etag overwrites blindly (Endpoint.etag): whoever wrote meanwhile would be lost.
            raise ConflictError(f"endpoint {ref} was read without an etag; read it again before writing")
        message = _ENDPOINT(name=full_names.endpoint(ref), etag=endpoint.etag, **fields)
        request = _UPDATE.wrap(_UPDATE.pb()(endpoint=message, update_mask=FieldMask(paths=builtins.list(fields))))
        with translated(f"writing {' and '.join(fields)} of endpoint {ref}"):
            reply = self._client(ref.region).update_endpoint(request, **patience.guarded_write())
        return _endpoint(raw(reply), ref.project, ref.region)

    def deploy(self, ref: TargetRef, spec: DeploySpec) -> str:
        """Start putting a version on machines, without traffic; the operation's name."""
        request = endpoint_service.DeployModelRequest(
            endpoint=full_names.endpoint(ref),
            deployed_model=endpoint_types.DeployedModel(
                id=spec.deployed_id,
                model=full_names.model(spec.project, spec.region, spec.model, spec.copied_as or spec.version),
                display_name=spec.display_name,
                **_machines(spec),
                service_account=spec.service_account or "",
                enable_access_logging=spec.access_logging,
            ),
        )
        with translated(f"deploying {spec.model}@{spec.version} to endpoint {ref}"):
            return started(self._client(ref.region).deploy_model(request, **patience.write()))

    def set_replicas(self, ref: TargetRef, deployed_id: str, minimum: int, maximum: int) -> str:
        """Start changing the bounds of the autoscaler; the operation's name."""
        resources = machine_resources.DedicatedResources(min_replica_count=minimum, max_replica_count=maximum)
        request = endpoint_service.MutateDeployedModelRequest(
            endpoint=full_names.endpoint(ref),
            deployed_model=endpoint_types.DeployedModel(id=deployed_id, dedicated_resources=resources),
            update_mask=FieldMask(
                paths=["dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count"]
            ),
        )
        with translated(f"changing the replicas of {deployed_id} on endpoint {ref}"):
            return started(self._client(ref.region).mutate_deployed_model(request, **patience.write()))

    def undeploy(self, ref: TargetRef, deployed_id: str) -> str:
        """Start taking a deployed model off its machines; refused while it has traffic. The operation's name."""
        request = endpoint_service.UndeployModelRequest(
            endpoint=full_names.endpoint(ref), deployed_model_id=deployed_id
        )
        with translated(f"undeploying {deployed_id} from endpoint {ref}"):
            return started(self._client(ref.region).undeploy_model(request, **patience.write()))

    def delete(self, ref: TargetRef) -> str:
        """Start deleting an endpoint on which nothing is deployed; the operation's name."""
        request = endpoint_service.DeleteEndpointRequest(name=full_names.endpoint(ref))
        with translated(f"deleting endpoint {ref}"):
            return started(self._client(ref.region).delete_endpoint(request, **patience.write()))

    def operation(self, region: str, name: str) -> OperationState:
        """A long-running operation as it is now."""
        return read_operation(self._client, region, name)


def _machines(spec: DeploySpec) -> dict[str, Any]:
    if spec.machine.pool:
        return {"shared_resources": full_names.pool(spec.project, spec.region, pool_id(spec.machine.pool))}
    return {"dedicated_resources": resources(spec.machine, spec.min_replicas)}


def resources(machine: Machine, min_replicas: int) -> Any:
    """Machines of one's own, or of a pool."""
    spec = machine_resources.MachineSpec(machine_type=machine.type)
    if machine.accelerator:
        known = {kind.name: kind for kind in accelerator_type.AcceleratorType if kind.value}  # 0 is "unspecified"
        if machine.accelerator.type not in known:
            raise RefusedError(
                f"machine.accelerator.type: Vertex AI has no accelerator {machine.accelerator.type!r};"
                f" known are {', '.join(sorted(known))}"
            )
        spec.accelerator_type = known[machine.accelerator.type]
        spec.accelerator_count = machine.accelerator.count
    targets = {"cpu/utilization": machine.autoscale.cpu, "accelerator/duty_cycle": machine.autoscale.gpu}
    return machine_resources.DedicatedResources(
        machine_spec=spec,
        min_replica_count=min_replicas,
        max_replica_count=max(machine.replicas.max, min_replicas),
        spot=machine.spot,
        autoscaling_metric_specs=[
            machine_resources.AutoscalingMetricSpec(metric_name=_UTILISATION + metric, target=percent)
            for metric, percent in targets.items()
            if percent
        ],
    )


def _endpoint(message: Any, project: str, region: str) -> Endpoint:
    return Endpoint(
        ref=TargetRef(project, region, full_names.last_segment(message.name)),
        etag=message.etag,
        labels=dict(message.labels),
        split={deployed_id: share for deployed_id, share in message.traffic_split.items() if share},
        deployed=tuple(_deployed(item) for item in message.deployed_models),
        display_name=message.display_name,
        created_at=moment(message, "create_time"),
    )


def _deployed(message: Any) -> DeployedModel:
    model, in_name = full_names.split_model(message.model)
    kind = message.WhichOneof("prediction_resources")
    # Dedicated or automatic resources have replicas; those of a shared pool belong to the pool.
    own = getattr(message, kind) if kind in ("dedicated_resources", "automatic_resources") else None
    registered = message.model_version_id or in_name
    original = copied_version(message.display_name, model, registered)
    return DeployedModel(
        id=message.id,
        model=model,
        version=original or registered,
        copied_as=registered if original else "",
        min_replicas=own.min_replica_count if own else 0,
        max_replicas=own.max_replica_count or own.min_replica_count if own else 0,
        available_replicas=message.status.available_replica_count or None if message.HasField("status") else None,
        created_at=moment(message, "create_time"),
        pool=full_names.last_segment(message.shared_resources) if kind == "shared_resources" else "",
        **(_machine(own) if kind == "dedicated_resources" else {}),
    )


def _machine(resources: Any) -> dict[str, Any]:
    """What a replica of dedicated resources stands on."""
    spec = resources.machine_spec
    kind = accelerator_type.AcceleratorType(spec.accelerator_type)
    targets = {metric.metric_name: metric.target for metric in resources.autoscaling_metric_specs}
    return {
        "machine_type": spec.machine_type,
        "accelerator": kind.name if kind.value else "",
        "accelerator_count": spec.accelerator_count,
        "spot": resources.spot,
        "autoscale_percent": targets.get(f"{_UTILISATION}cpu/utilization"),
    }
