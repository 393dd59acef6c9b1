"""Between the protocol's ``google.protobuf.Value`` and JSON; written by hand because json_format takes most of a request."""

from __future__ import annotations

from typing import Any

from google.protobuf import struct_pb2


def to_json(value: struct_pb2.Value) -> Any:
    """Return a value as plain Python; whole numbers become ints, as in the JSON that Vertex AI sends to containers."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {name: to_json(entry) for name, entry in value.struct_value.fields.items()}
    if kind == "list_value":
        return [to_json(entry) for entry in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if kind in ("string_value", "bool_value"):
        return getattr(value, kind)
    return None


def fill(value: struct_pb2.Value, document: Any) -> None:
    """Write plain Python into a value."""
    if document is None:
        value.null_value = struct_pb2.NULL_VALUE
    elif isinstance(document, bool):
        value.bool_value = document
    elif isinstance(document, int | float):
        value.number_value = document
    elif isinstance(document, str):
        value.string_value = document
    elif isinstance(document, dict):
        value.struct_value.SetInParent()
        for name, entry in document.items():
            fill(value.struct_value.fields[name], entry)
    else:
        value.list_value.SetInParent()
        for entry in document:
            fill(value.list_value.values.add(), entry)
