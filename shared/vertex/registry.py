"""The Model Registry: versions, their aliases, labels and evaluations.

A version's artifact, container and metadata cannot be changed after the upload, so what changes later lives in labels and
aliases. Aliases are a projection for people: MergeVersionAliases has no etag, and no decision about traffic reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.cloud.aiplatform_v1.services.model_service.client import ModelServiceClient
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import ModelServiceGrpcTransport
from google.cloud.aiplatform_v1.types import env_var, model_evaluation, model_service
from google.cloud.aiplatform_v1.types import model as model_types
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.struct_pb2 import Value

from shared.channels import vertex_clients
from shared.errors import NotFoundError
from shared.gapic import patience
from shared.gapic.errors import translated
from shared.gapic.values import moment, numbers, plain, raw, raw_pages
from shared.policy.schema import Container
from shared.rollout.names import COPY_OF, copy_label
from shared.rollout.observed import ModelVersion, OperationState
from shared.vertex import full_names
from shared.vertex.operations import read_operation, started

DEFAULT_ALIAS = "default"
METRICS_SCHEMA = "gs://google-cloud-aiplatform/schema/modelevaluation/classification_metrics_1.0.0.yaml"
"""Google publishes no schema for metrics of one's own; public imports of such metrics name this one."""
_PAGE = 100


@dataclass(frozen=True)
class UploadSpec:
    """One version to be registered."""

    project: str
    region: str
    model_id: str
    is_new_model: bool
    """Vertex AI has no upsert: the first version makes the model, later ones name it as their parent."""
    display_name: str
    container: Container
    artifact_uri: str
    labels: Mapping[str, str]
    version_aliases: tuple[str, ...]
    description: str
    pipeline_job: str | None
    """Full name of the PipelineJob that made it (Model.pipeline_job); other kinds of training have no such field."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a version."""

    name: str
    metrics: Mapping[str, float]
    """Nested metrics have dotted names; what is not a finite number is left out."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None


class Registry:
    """Vertex AI's ModelService, one call per method (lists: one per page)."""

    def __init__(self) -> None:
        self._client = vertex_clients(ModelServiceClient, ModelServiceGrpcTransport)

    def versions(
        self, project: str, region: str, model: str, label: tuple[str, str] | None = None
    ) -> list[ModelVersion]:
        """The versions of a model, oldest first, those with one label if it is given; none where there is no model."""
        request = model_service.ListModelVersionsRequest(
            name=full_names.model(project, region, model),
            page_size=_PAGE,
            filter=f"labels.{label[0]}={label[1]}" if label else "",
        )
        try:
            with translated(f"listing the versions of {project}/{region}/{model}"):
                pager = self._client(region).list_model_versions(request, **patience.read())
                found = [_version(item, project, region) for item in raw_pages(pager, "models")]
        except NotFoundError:
            return []
        return sorted(found, key=lambda v: int(v.version) if v.version.isdigit() else 0)

    def models(self, project: str, region: str) -> list[str]:
        """The ids of all models."""
        request = model_service.ListModelsRequest(parent=full_names.location(project, region), page_size=_PAGE)
        with translated(f"listing the models of {project}/{region}"):
            pager = self._client(region).list_models(request, **patience.read())
            return sorted({full_names.split_model(item.name)[0] for item in raw_pages(pager, "models")})

    def version(self, project: str, region: str, model: str, version_or_alias: str) -> ModelVersion | None:
        """One version; None where there is none of that number or alias."""
        name = full_names.model(project, region, model, version_or_alias)
        try:
            with translated(f"reading {project}/{region}/{model}@{version_or_alias}"):
                reply = self._client(region).get_model(model_service.GetModelRequest(name=name), **patience.read())
        except NotFoundError:
            return None
        return _version(raw(reply), project, region)

    def upload(self, spec: UploadSpec) -> str:
        """Start registering a version; the operation's name. AlreadyExistsError when a new model exists by then.

        ``default`` is never asked for: it moves at once to whoever asks, and whoever deploys by it would get the candidate.
        """
        uploaded = model_types.Model(
            display_name=spec.display_name,
            version_description=spec.description,
            version_aliases=[alias for alias in spec.version_aliases if alias != DEFAULT_ALIAS],
            labels=dict(spec.labels),
            artifact_uri=spec.artifact_uri,
            container_spec=_container(spec.container),
            pipeline_job=spec.pipeline_job or "",
        )
        request = model_service.UploadModelRequest(
            parent=full_names.location(spec.project, spec.region),
            model=uploaded,
            model_id=spec.model_id if spec.is_new_model else "",
            parent_model="" if spec.is_new_model else full_names.model(spec.project, spec.region, spec.model_id),
        )
        with translated(f"uploading a version of {spec.project}/{spec.region}/{spec.model_id}"):
            return started(self._client(spec.region).upload_model(request, **patience.write()))

    def copy(self, source: ModelVersion, project: str, region: str, container: Container, *, is_new_model: bool) -> str:
        """Start copying a version to another region or project; the operation's name. AlreadyExistsError when a new model exists by then.

        Vertex AI copies no model with a container of one's own to another project: there its artifact is uploaded once more, with a label
        that says which version it is. ``container`` is for a reply that does not say it (Model.container_spec is documented as input only).
        """
        parent, existing = full_names.location(project, region), full_names.model(project, region, source.model)
        destination = {"model_id": source.model} if is_new_model else {"parent_model": existing}
        what = f"copying {source.project}/{source.region}/{source.model}@{source.version} to {project}/{region}"
        if project == source.project:
            copying = model_service.CopyModelRequest(
                parent=parent, source_model=full_names.version(source), **destination
            )
            with translated(what):
                return started(self._client(region).copy_model(copying, **patience.write()))
        with translated(what):
            reading = model_service.GetModelRequest(name=full_names.version(source))
            there = self._client(source.region).get_model(reading, **patience.read())
        label = copy_label(source.project, source.region, source.model, source.version)
        uploaded = model_types.Model(
            display_name=there.display_name,
            version_description=there.version_description,
            labels={**there.labels, COPY_OF: label},
            artifact_uri=there.artifact_uri,
            container_spec=there.container_spec if there.container_spec.image_uri else _container(container),
        )
        uploading = model_service.UploadModelRequest(parent=parent, model=uploaded, **destination)
        with translated(what):
            return started(self._client(region).upload_model(uploading, **patience.write()))

    def operation(self, region: str, name: str) -> OperationState:
        """A long-running operation as it is now; an upload's result is ``model@version``."""
        return read_operation(self._client, region, name)

    def merge_aliases(self, v: ModelVersion, add: Sequence[str] = (), remove: Sequence[str] = ()) -> ModelVersion:
        """Give aliases to a version, which takes them from whichever has them, and take others from it."""
        changes = [*add, *(f"-{alias}" for alias in remove)]
        if not changes:
            return v
        request = model_service.MergeVersionAliasesRequest(name=full_names.version(v), version_aliases=changes)
        with translated(f"changing the aliases of {v.model}@{v.version} ({', '.join(changes)})"):
            reply = self._client(v.region).merge_version_aliases(request, **patience.write())
        return _version(raw(reply), v.project, v.region)

    def set_labels(self, v: ModelVersion, labels: Mapping[str, str]) -> ModelVersion:
        """Write the version's whole label map."""
        request = model_service.UpdateModelRequest(
            model=model_types.Model(name=full_names.version(v), labels=dict(labels)),
            update_mask=FieldMask(paths=["labels"]),
        )
        with translated(f"writing the labels of {v.model}@{v.version}"):
            reply = self._client(v.region).update_model(request, **patience.write())
        return _version(raw(reply), v.project, v.region)

    def delete(self, v: ModelVersion) -> str:
        """Start deleting one version; the operation's name. Vertex AI refuses the last version and one that is deployed."""
        request = model_service.DeleteModelVersionRequest(name=full_names.version(v))
        with translated(f"deleting {v.model}@{v.version}"):
            return started(self._client(v.region).delete_model_version(request, **patience.write()))

    def evaluations(self, v: ModelVersion) -> list[Evaluation]:
        """All evaluations of a version, oldest first."""
        request = model_service.ListModelEvaluationsRequest(parent=full_names.version(v), page_size=_PAGE)
        with translated(f"listing the evaluations of {v.model}@{v.version}"):
            pager = self._client(v.region).list_model_evaluations(request, **patience.read())
            found = [_evaluation(item, v.project) for item in raw_pages(pager, "model_evaluations")]
        return sorted(found, key=lambda e: e.created_at or datetime.min.replace(tzinfo=UTC))

    def import_evaluation(
        self, v: ModelVersion, metrics: Mapping[str, float], metadata: Mapping[str, str], display_name: str
    ) -> Evaluation:
        """Add an evaluation to a version."""
        request = model_service.ImportModelEvaluationRequest(
            parent=full_names.version(v),
            model_evaluation=model_evaluation.ModelEvaluation(
                display_name=display_name,
                metrics_schema_uri=METRICS_SCHEMA,
                metrics=_struct(metrics),
                metadata=_struct(metadata),
            ),
        )
        with translated(f"importing an evaluation of {v.model}@{v.version}"):
            reply = self._client(v.region).import_model_evaluation(request, **patience.write())
        return _evaluation(raw(reply), v.project)


def _struct(values: Mapping[str, float] | Mapping[str, str]) -> Value:
    value = Value()
    value.struct_value.update(dict(values))
    return value


def _container(container: Container) -> Any:
    return model_types.ModelContainerSpec(
        image_uri=container.image,
        command=list(container.command),
        args=list(container.args),
        env=[env_var.EnvVar(name=name, value=value) for name, value in container.env.items()],
        ports=[model_types.Port(container_port=container.port)],
        predict_route=container.predict_route,
        health_route=container.health_route,
    )


def _version(message: Any, project: str, region: str) -> ModelVersion:
    model, in_name = full_names.split_model(message.name)
    return ModelVersion(
        project=project,
        region=region,
        model=model,
        version=message.version_id or in_name,
        aliases=tuple(message.version_aliases),
        labels=dict(message.labels),
        artifact_uri=message.artifact_uri,
        created_at=moment(message, "version_create_time"),
        description=message.version_description,
        copied_from=_original(message.original_model_info.model),
    )


def _original(name: str) -> str:
    """``region/model@version`` of what it is a copy of, if it is one."""
    return f"{full_names.region_of(name)}/{full_names.last_segment(name)}" if name else ""


def _evaluation(message: Any, project: str) -> Evaluation:
    metadata = plain(message.metadata)
    return Evaluation(
        name=full_names.of_project(message.name, project),
        metrics=numbers(plain(message.metrics)),
        metadata=metadata if isinstance(metadata, dict) else {},
        created_at=moment(message, "create_time"),
    )
