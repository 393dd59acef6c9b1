"""ModelService: models, versions, aliases, labels (types/model_service.py, types/model.py)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from google.cloud.aiplatform_v1.types import Model
from google.protobuf import empty_pb2

from vertex_emulator.errors import exists, invalid, missing, precondition
from vertex_emulator.filters import compile_filter, order, page
from vertex_emulator.messages import Message, copy_of, moment, raw, replace_field, timestamp
from vertex_emulator.names import check_aliases, check_labels, check_model_id, last_segment
from vertex_emulator.operations import Decided, Work
from vertex_emulator.state import RegisteredModel

if TYPE_CHECKING:
    from vertex_emulator.filters import Fields
    from vertex_emulator.operations import Operations
    from vertex_emulator.state import State

_MODEL_FIELDS = frozenset({"display_name", "description"})
_VERSION_FIELDS = frozenset({"version_description"})
_ORDER = ("display_name", "create_time", "update_time")
_VERSION_ORDER = ("create_time", "update_time")
_ARTIFACT = Model.ExportFormat.ExportableContent.ARTIFACT.value
_CUSTOM = 2  # ModelSourceInfo.ModelSourceType.CUSTOM


class Registry:
    """Serves ModelService."""

    def __init__(self, state: State, operations: Operations) -> None:
        self._state = state
        self._operations = operations
        self._being_uploaded: set[str] = set()
        self.trained: Callable[[str, Message], None] = lambda _job, _version: None
        """Hears which version a training pipeline's model became, before that version appears."""
        operations.make("UploadModel", self._uploading)
        operations.make("CopyModel", self._uploading)
        operations.make("DeleteModel", self._deleting)
        operations.make("DeleteModelVersion", self._deleting_version)

    def UploadModel(self, request: Any) -> Any:
        """Begin to upload a model, or a version of one; it is invisible until the operation is done."""
        return self.begin_upload(request, self._state.config.durations.upload)

    def begin_upload(
        self,
        request: Any,
        duration: float,
        *,
        source: str = "",
        training_pipeline: str = "",
        at: datetime | None = None,
        kept_id: str = "",
    ) -> Any:
        """Begin to upload: the copy of a ``source``, what a ``training_pipeline`` made, or what a client has.

        ``kept_id`` is an id that the service gave once, and that the new model shall have too.
        """
        parent = self._state.projects.location(request.parent)
        uploaded = request.model
        if not uploaded.display_name:
            invalid("model.display_name is required.")
        check_labels(uploaded.labels)
        check_aliases(uploaded.version_aliases)
        name = (
            self._new_version_of(request.parent_model)
            if request.parent_model
            else self._new_name(parent, request.model_id, kept_id)
        )
        method = "CopyModel" if source else "UploadModel"
        metadata = raw(f"{method}OperationMetadata")()
        decided = {"source": source, "training_pipeline": training_pipeline}
        return self._operations.begin(method, name, copy_of(request), metadata, duration, decided, at)

    def _uploading(self, name: str, request: Message, decided: Decided) -> Work:
        is_new = not request.parent_model
        if is_new:
            self._being_uploaded.add(name)

        def complete(version: Message) -> None:
            if decided["source"]:
                version.original_model_info.model = decided["source"]
                version.model_source_info.copy = True
            if decided["training_pipeline"]:
                self.trained(str(decided["training_pipeline"]), version)

        def finish(now: datetime) -> Message:
            self._being_uploaded.discard(name)
            number = self._add(name, request.model, complete, now, is_new=is_new)
            response = raw("CopyModelResponse" if decided["source"] else "UploadModelResponse")
            return response(model=name, model_version_id=str(number))

        return Work(finish, abandon=lambda: self._being_uploaded.discard(name))

    def CopyModel(self, request: Any) -> Any:
        """Begin to copy a model's default version (or the one named) to another location of the same project."""
        source, number = self.find(request.source_model)
        upload = raw("UploadModelRequest")(parent=request.parent, model=source.versions[number])
        upload.model.display_name = source.display_name
        del upload.model.version_aliases[:]
        kept = "" if request.model_id or request.parent_model else last_segment(source.name)
        upload.model_id = request.model_id
        upload.parent_model = request.parent_model
        if self._state.projects.location(request.parent).split("/")[1] != source.name.split("/")[1]:
            invalid("A model can be copied within its project only.")

        duration = self._state.config.durations.upload
        return self.begin_upload(upload, duration, source=f"{source.name}@{number}", kept_id=kept)

    def GetModel(self, request: Any) -> Any:
        """Return a model's default version, or the one after ``@`` (its id or an alias)."""
        model, number = self.find(request.name)
        return self._view(model, number)

    def ListModels(self, request: Any) -> Any:
        """List models, each as its default version."""
        prefix = f"{self._state.projects.location(request.parent)}/models/"
        matches = compile_filter(request.filter, ("model", "display_name", "labels", "base_model_name"))
        models = [model for name, model in self._state.models.items() if name.startswith(prefix)]
        if request.filter:
            models = [model for model in models if matches(_fields(model))]
        if request.order_by:
            models = order(models, request.order_by, _fields, _ORDER)
        shown, token = page(models, request.page_size, request.page_token)
        views = [self._view(model, model.default_version()) for model in shown]
        return raw("ListModelsResponse")(models=views, next_page_token=token)

    def ListModelVersions(self, request: Any) -> Any:
        """List a model's versions; only here, names carry the version's id."""
        model, _ = self.find(request.name.partition("@")[0])
        views = [self._view(model, number, with_version=True) for number in sorted(model.versions)]
        matches = compile_filter(request.filter, ("labels",))
        found = [view for view in views if matches({"labels": dict(view.labels)}.get)]
        found = order(found, request.order_by, _version_fields, _VERSION_ORDER)
        shown, token = page(found, request.page_size, request.page_token)
        return raw("ListModelVersionsResponse")(models=shown, next_page_token=token)

    def UpdateModel(self, request: Any) -> Any:
        """Update a model (bare name or ``@-``) or one version (``@2``), never both in one request."""
        base, _, suffix = request.model.name.partition("@")
        is_model = suffix in ("", "-")
        model, number = self.find(base if is_model else request.model.name)
        paths = set(request.update_mask.paths)
        if not paths:
            invalid("update_mask is required.")
        if unknown := sorted(paths - _MODEL_FIELDS - _VERSION_FIELDS - {"labels"}):
            invalid(f"Field {unknown[0]!r} of a model cannot be updated.")
        if mismatch := sorted(paths & (_VERSION_FIELDS if is_model else _MODEL_FIELDS)):
            level = "a model" if is_model else "a model version"
            precondition(f"Field {mismatch[0]!r} does not belong to {level}, which {request.model.name!r} names.")
        version = model.versions[number]
        self._state.check_etag(request.model.etag, version.etag)
        if "labels" in paths:
            check_labels(request.model.labels)
        now = self._state.clock()
        if is_model:
            self._update_model(model, request.model, paths)
            model.update_time = now
        else:
            for path in paths:
                replace_field(version, request.model, path)
            version.version_update_time.CopyFrom(timestamp(now))
        version.etag = self._state.new_etag()
        return self._view(model, number)

    def MergeVersionAliases(self, request: Any) -> Any:
        """Add aliases to a version and, with a leading hyphen, remove them; an added alias leaves its former version."""
        model, number = self.find(request.name)
        if request.name.partition("@")[2] != str(number):
            invalid(f"name {request.name!r} must contain the version's id explicitly, as in models/123@7.")
        added = {alias for alias in request.version_aliases if not alias.startswith("-")}
        removed = {alias[1:] for alias in request.version_aliases if alias.startswith("-")}
        check_aliases(added | removed)
        added, removed = added - removed, removed - added
        version = model.versions[number]
        if "default" in removed and "default" in version.version_aliases:
            precondition("A model has exactly one default version: add the alias to another version instead.")
        self._give(model, number, added)
        kept = [alias for alias in version.version_aliases if alias not in removed]
        version.version_aliases[:] = kept
        version.version_update_time.CopyFrom(timestamp(self._state.clock()))
        version.etag = self._state.new_etag()
        return self._view(model, number)

    def DeleteModel(self, request: Any) -> Any:
        """Begin to delete a model; refused while any endpoint has it deployed."""
        name, _ = self._state.projects.resource(request.name, "models")
        self.find(name)
        self._refuse_deployed(name, None)
        return self._begin_delete("DeleteModel", name, request)

    def _deleting(self, name: str, _: Message, __: Decided) -> Work:
        def finish(_: datetime) -> Message:
            self._refuse_deployed(name, None)
            self.find(name)
            del self._state.models[name]
            return empty_pb2.Empty()

        return Work(finish)

    def DeleteModelVersion(self, request: Any) -> Any:
        """Begin to delete one version; refused for the only version and for one that is deployed."""
        if "@" not in request.name:
            invalid(f"name {request.name!r} must contain a version, as in models/123@7.")
        model, number = self.find(request.name)
        self._check_deletable(model.name, number)
        return self._begin_delete("DeleteModelVersion", model.name, request, {"version": str(number)})

    def _deleting_version(self, name: str, _: Message, decided: Decided) -> Work:
        number = int(str(decided["version"]))

        def finish(_: datetime) -> Message:
            model = self._check_deletable(name, number)
            gone = model.versions.pop(number)
            model.evaluations = {key: entry for key, entry in model.evaluations.items() if entry[0] != number}
            if "default" in gone.version_aliases:
                self._give(model, max(model.versions), {"default"})
            return empty_pb2.Empty()

        return Work(finish)

    def _check_deletable(self, name: str, number: int) -> RegisteredModel:
        model, _ = self.find(f"{name}@{number}")
        self._refuse_deployed(name, number)
        if len(model.versions) == 1:
            precondition(f"{name}@{number} is the only version: delete the model instead.")
        return model

    def find(self, name: str) -> tuple[RegisteredModel, int]:
        """Return the model and version that a name means: by id, by alias, or the default version."""
        base, version = self._state.projects.resource(name, "models")
        model = self._state.models.get(base)
        if model is None:
            missing(f"The Model {name}")
        if not version:
            return model, model.default_version()
        for number, message in model.versions.items():
            if version == str(number) or version in message.version_aliases:
                return model, number
        return missing(f"The Model version {name}")

    def _new_version_of(self, parent_model: str) -> str:
        model, _ = self.find(parent_model.partition("@")[0])
        return model.name

    def _new_name(self, parent: str, chosen_id: str, kept_id: str) -> str:
        if chosen_id:
            check_model_id(chosen_id)
        name = f"{parent}/models/{chosen_id or kept_id or self._state.new_id()}"
        if name in self._state.models or name in self._being_uploaded:
            exists(f"The Model {name}")
        return name

    def _add(
        self, name: str, uploaded: Message, complete: Callable[[Message], None], now: datetime, *, is_new: bool
    ) -> int:
        if is_new:
            self._state.models[name] = RegisteredModel(name, uploaded.display_name, uploaded.description, now, now)
        model = self._state.models.get(name)
        if model is None:
            missing(f"The Model {name}")
        model.newest += 1
        version = copy_of(uploaded)
        aliases = set(version.version_aliases) | ({"default"} if is_new else set())
        version.name = name
        version.version_id = str(model.newest)
        version.etag = self._state.new_etag()
        del version.version_aliases[:]
        for field in ("version_create_time", "version_update_time"):
            getattr(version, field).CopyFrom(timestamp(now))
        kinds = Model.DeploymentResourcesType
        del version.supported_export_formats[:]
        version.supported_deployment_resources_types[:] = [kinds.DEDICATED_RESOURCES.value]
        if version.artifact_uri:
            version.supported_export_formats.add(id="custom-trained", exportable_contents=[_ARTIFACT])
        version.model_source_info.source_type = version.model_source_info.source_type or _CUSTOM
        complete(version)
        model.versions[model.newest] = version
        model.update_time = now
        self._give(model, model.newest, aliases)
        return model.newest

    @staticmethod
    def _give(model: RegisteredModel, number: int, aliases: set[str]) -> None:
        for other in model.versions.values():
            other.version_aliases[:] = [alias for alias in other.version_aliases if alias not in aliases]
        model.versions[number].version_aliases.extend(sorted(aliases))

    @staticmethod
    def _update_model(model: RegisteredModel, wanted: Message, paths: set[str]) -> None:
        if "display_name" in paths:
            model.display_name = wanted.display_name or invalid("model.display_name must not be empty.")
        if "description" in paths:
            model.description = wanted.description
        if "labels" in paths:
            model.labels = dict(wanted.labels)

    def _view(self, model: RegisteredModel, number: int, *, with_version: bool = False) -> Message:
        version = model.versions[number]
        view = copy_of(version)
        view.name = f"{model.name}@{number}" if with_version else model.name
        view.display_name = model.display_name
        view.description = model.description
        view.create_time.CopyFrom(timestamp(model.create_time))
        view.update_time.CopyFrom(timestamp(model.update_time))
        view.labels.clear()
        view.labels.update({**model.labels, **version.labels})
        for endpoint, deployed_model in self._state.deployed(model.name, number):
            view.deployed_models.add(endpoint=endpoint, deployed_model_id=deployed_model.id)
        return view

    def _refuse_deployed(self, name: str, number: int | None) -> None:
        for endpoint, deployed_model in self._state.deployed(name, number):
            precondition(f"{name} is deployed on {endpoint} as {deployed_model.id}: undeploy it first.")

    def _begin_delete(self, method: str, name: str, request: Any, decided: Decided = MappingProxyType({})) -> Any:
        duration = self._state.config.durations.delete
        return self._operations.begin(method, name, request, raw("DeleteOperationMetadata")(), duration, decided)


def _fields(model: RegisteredModel) -> Fields:
    """What a model is found by: its own values, and those of its default version."""
    version = model.versions[model.default_version()]
    values = {
        "model": last_segment(model.name),
        "display_name": model.display_name,
        "labels": {**model.labels, **version.labels},
        "base_model_name": version.base_model_source.model_garden_source.public_model_name,
        "create_time": model.create_time,
        "update_time": model.update_time,
    }
    return values.get


def _version_fields(view: Message) -> Fields:
    values = {
        "create_time": moment(view.version_create_time),
        "update_time": moment(view.version_update_time),
    }
    return values.get
