"""A version appeared in the Model Registry.

``register_model`` says so itself, once the version is complete. Uploads by others are seen in the audit log, where a
long-running method writes two entries and neither is documented in full: whether the answer is filled in, and whether
``resourceName`` is the model or its location, varies. So an entry names the model, and the version only where it can.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

from pydantic import AliasChoices, Field, StringConstraints

from shared.errors import PermanentError
from shared.events.log_entry import LogEntry
from shared.events.message import Ignored, Message
from shared.events.wire import (
    LooseObject,
    LooseText,
    Moment,
    Ours,
    Text,
    Theirs,
    decode_object,
    encode,
    last_segment,
    part_of,
    read_as,
    read_ours,
    show_keys,
    write_moment,
)

SCHEMA = "model-uploaded/v1"
METHOD = ".ModelService.UploadModel"
"""Of v1, of v1beta1 and of ``ui``, which is what the console calls."""


@dataclass(frozen=True)
class ModelUploaded:
    """One version, or, where the entry does not say which, the newest of its model."""

    project: str
    region: str
    model: str
    """The model's id: the last segment of its name, without a version."""
    version: str | None
    """None: to be found through ListModelVersions."""
    by: str | None
    """Who uploaded it."""
    at: datetime | None


class _Wire(Ours):
    project: Text
    region: Text
    model: Annotated[str, StringConstraints(pattern=r"^[^/@]{1,63}$")]
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")] | None = None
    by: Text | None = None
    at: Moment | None = None


class _Operation(Theirs):
    id: LooseText = None
    first: bool = False
    last: bool = False


class _Status(Theirs):
    code: int = 0
    message: LooseText = None


class _Who(Theirs):
    principal_email: LooseText = Field(default=None, alias="principalEmail")


class _Request(Theirs):
    parent: LooseText = None
    parent_model: LooseText = Field(default=None, validation_alias=AliasChoices("parentModel", "parent_model"))
    model_id: LooseText = Field(default=None, validation_alias=AliasChoices("modelId", "model_id"))


class _Response(Theirs):
    model: LooseText = None
    version: LooseText = Field(default=None, validation_alias=AliasChoices("modelVersionId", "model_version_id"))


class _AuditLog(Theirs):
    """google.cloud.audit.AuditLog."""

    method: LooseText = Field(default=None, alias="methodName")
    resource_name: LooseText = Field(default=None, alias="resourceName")
    status: Annotated[_Status, LooseObject] = _Status()
    who: Annotated[_Who, LooseObject] = Field(default=_Who(), alias="authenticationInfo")
    request: Annotated[_Request, LooseObject] = _Request()
    response: Annotated[_Response, LooseObject] = _Response()


class _AuditEntry(LogEntry):
    operation: Annotated[_Operation, LooseObject] = _Operation()
    payload: Annotated[_AuditLog, LooseObject] = Field(default=_AuditLog(), alias="protoPayload")


def parse_model_uploaded(message: Message) -> ModelUploaded | Ignored:
    """An audit log entry of UploadModel, or a message of our own form."""
    value = decode_object(message.data, "model-uploaded")
    if "schema" in value:
        return ModelUploaded(**read_ours(_Wire, value, SCHEMA).model_dump())
    if "protoPayload" in value:
        return _audit_entry(read_as(_AuditEntry, value, "audit log entry"))
    raise PermanentError(
        f'model-uploaded: expected an audit log entry (protoPayload) or "schema": "{SCHEMA}"; found {show_keys(value)}'
    )


def model_uploaded_message(event: ModelUploaded) -> bytes:
    """What ``register_model`` publishes when a version is complete."""
    return encode(SCHEMA, {**asdict(event), "at": write_moment(event.at)})


def _audit_entry(entry: _AuditEntry) -> ModelUploaded | Ignored:
    payload, operation = entry.payload, entry.operation
    if not payload.method:
        raise PermanentError(f"audit log entry: protoPayload.methodName: expected one ending in {METHOD}; found none")
    if not payload.method.endswith(METHOD):
        return Ignored(f"the method is {payload.method[:100]}, not an upload")
    if payload.status.code != 0:
        said = f": {payload.status.message[:200]}" if payload.status.message else ""
        return Ignored(f"the upload failed with code {str(payload.status.code)[:10]}{said}")
    if operation.first and not operation.last:
        return Ignored("the upload has only begun; its second entry comes when it is done")
    names = [payload.response.model, payload.resource_name, operation.id, payload.request.parent_model]
    named = next((name for name in names if part_of(name, "models")), None)
    found = part_of(named, "models") or (last_segment(payload.request.model_id) if payload.request.model_id else None)
    model, _, suffix = (found or "").partition("@")
    where = [*names, payload.request.parent]
    region = next((part for name in where if (part := part_of(name, "locations"))), None)
    project = entry.project(payload.resource_name, *where)
    missing = [key for key, part in (("project", project), ("region", region), ("model", model)) if not part]
    if not (project and region and model):
        raise PermanentError(
            f"audit log entry: no {' and no '.join(missing)} in response.model, resourceName, operation.id or request; "
            "expected projects/P/locations/R/models/M in one of them"
        )
    version = payload.response.version or suffix
    return ModelUploaded(
        project=project,
        region=region,
        model=model,
        version=version if version.isdecimal() else None,
        by=payload.who.principal_email,
        at=entry.timestamp,
    )
