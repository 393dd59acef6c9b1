"""The raw protobuf classes behind the client library's types.

The servers work on raw messages (``Type.pb()``), which costs a third of the proto-plus wrappers. Every request type of
Vertex AI is called like its method plus ``Request``, so no table of methods has to be kept.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.longrunning import operations_pb2
from google.protobuf import timestamp_pb2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Message = Any
"""A raw protobuf message; the generated classes have no static types."""


Document = dict[str, Any]
"""What JSON can hold."""


def raw(name: str) -> Any:
    """Return the raw protobuf class of ``google.cloud.aiplatform.v1.<name>``."""
    return getattr(types, name).pb()


def request_class(method: str) -> Any:
    """Return the class of the requests of one method, e.g. ``UploadModel``."""
    return raw(f"{method}Request")


def copy_of(message: Message) -> Message:
    """Return an independent copy."""
    twin = type(message)()
    twin.CopyFrom(message)
    return twin


def timestamp(moment: datetime) -> timestamp_pb2.Timestamp:
    """Return a moment as protobuf writes it."""
    since = moment - _EPOCH  # FromDatetime takes six times as long
    return timestamp_pb2.Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def moment(stamp: timestamp_pb2.Timestamp) -> datetime:
    """Return a protobuf timestamp as an aware moment in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)


def replace_field(target: Message, source: Message, field: str) -> None:
    """Put ``source``'s field in the place of ``target``'s, maps and lists whole.

    ``FieldMask.MergeMessage`` merges maps, which would leave traffic with a model that the new split no longer names.
    """
    target.ClearField(field)
    descriptor = target.DESCRIPTOR.fields_by_name[field]
    value = getattr(source, field)
    if descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry:
        getattr(target, field).update(value)
    elif descriptor.is_repeated:
        getattr(target, field).extend(value)
    elif descriptor.message_type is not None:
        if source.HasField(field):
            getattr(target, field).CopyFrom(value)
    else:
        setattr(target, field, value)


def dumped(message: Message) -> Document:
    """Return a message as JSON can hold it, without loss: its bytes, and what they are."""
    data = message.SerializeToString(deterministic=True)
    return {"type": message.DESCRIPTOR.full_name, "data": base64.b64encode(data).decode()}


def loaded(document: Document) -> Message:
    """Return the message that was dumped."""
    name = document["type"].rpartition(".")[2]
    kind = operations_pb2.Operation if document["type"] == "google.longrunning.Operation" else raw(name)
    return kind.FromString(base64.b64decode(document["data"]))
