"""Between HTTP and messages: path, query and body become a request; an answer becomes JSON (google/api/http.proto)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from vertex_emulator.calls import Answered
from vertex_emulator.messages import Message
from vertex_emulator.rest.errors import bad_payload
from vertex_emulator.rest.routing import Match

_SYSTEM = frozenset(
    {"alt", "fields", "prettyPrint", "key", "access_token", "oauth_token", "quotaUser", "callback", "uploadType"}
    | {"upload_protocol", "$.xgafv", "$alt", "$fields", "$prettyPrint", "$userProject"}
)
"""Query parameters that every Google API has; none of them changes what is done here."""
HTTP_BODY = "google.api.HttpBody"
_MASK = "google.protobuf.FieldMask"


@dataclass(frozen=True)
class Body:
    """The body of an HTTP request."""

    data: bytes
    content_type: str


@dataclass(frozen=True)
class Style:
    """How the caller wants JSON."""

    enums_as_numbers: bool
    """``$alt=json;enum-encoding=int``: what Google's generated REST clients ask for."""
    ignores_unknown: bool
    """v1beta1 has fields that v1 has not, and the emulator knows v1's messages only."""

    @classmethod
    def of(cls, path: str, query: Iterable[tuple[str, str]]) -> Style:
        """Read it from the URL."""
        generated = any(name in ("$alt", "alt") and "enum-encoding=int" in value for name, value in query)
        return cls(generated, path.startswith("/v1beta1/"))


def read_request(
    kind: Any, match: Match, query: Iterable[tuple[str, str]], body: Body, *, style: Style, is_raw_body: bool
) -> Message:
    """Return the request message; ``is_raw_body`` passes the body on as it is, in the field ``http_body``."""
    request = kind()
    document = {} if is_raw_body else _document(kind.DESCRIPTOR, match.rule.body, body)
    if match.rule.body != "*":
        for name, value in query:
            if name not in _SYSTEM:
                _bind(document, kind.DESCRIPTOR, name, value)
    _normalise_masks(document, kind.DESCRIPTOR)
    try:
        json_format.ParseDict(document, request, ignore_unknown_fields=style.ignores_unknown)
    except json_format.ParseError as error:
        raise bad_payload(str(error)) from error
    if is_raw_body:
        _fill_raw(request.http_body, body, style)
    for path, value in match.fields.items():
        *parents, field = path.split(".")
        target = request
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, field, value)
    return request


def write_answer(answered: Answered, *, style: Style, is_stream: bool) -> tuple[bytes, str]:
    """Return an answer's body and content type."""
    messages = answered.messages()
    if messages and answered.kind.DESCRIPTOR.full_name == HTTP_BODY and not style.enums_as_numbers:
        return b"".join(message.data for message in messages), messages[0].content_type
    documents = [
        json_format.MessageToDict(message, use_integers_for_enums=style.enums_as_numbers) for message in messages
    ]
    text = json.dumps(documents if is_stream else documents[0], indent=None if style.enums_as_numbers else 2)
    return (text if is_stream else text + "\n").encode(), "application/json; charset=UTF-8"


def _document(descriptor: Any, field: str, body: Body) -> dict[str, Any]:
    if not field:
        return {}
    try:
        document = json.loads(body.data) if body.data.strip() else {}
    except ValueError as error:
        raise bad_payload(f"It cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise bad_payload("Root element must be a message.")
    return document if field == "*" else {field: document}


def _fill_raw(http_body: Message, body: Body, style: Style) -> None:
    """Take any body as it is; generated clients wrap it into the request's own JSON, which is unwrapped again."""
    http_body.data, http_body.content_type = body.data, body.content_type
    if not style.enums_as_numbers:
        return
    try:
        wrapped = json.loads(body.data)["httpBody"]
        http_body.data = base64.b64decode(wrapped.get("data", ""))
        http_body.content_type = wrapped.get("contentType", "")
    except (ValueError, KeyError, TypeError):
        return


def _bind(document: dict[str, Any], descriptor: Any, name: str, value: str) -> None:
    """Put one query parameter, e.g. ``interval.endTime``, where the JSON form of the request has it."""
    target = document
    parts = name.split(".")
    for position, part in enumerate(parts):
        field = _field(descriptor, part)
        if field is None:
            raise bad_payload(
                f"Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found in request "
                "message."
            )
        is_last = position == len(parts) - 1
        if is_last:
            converted = _scalar(field, value)
            if field.is_repeated:
                target.setdefault(field.name, []).append(converted)
            else:
                target[field.name] = converted
        else:
            target = target.setdefault(field.name, {})
            descriptor = field.message_type
            if descriptor is None:
                raise bad_payload(f'Unknown name "{name}": {part} has no fields.')


def _field(descriptor: Any, name: str) -> Any:
    for field in descriptor.fields:
        if name in (field.name, field.json_name):
            return field
    return None


def _scalar(field: Any, value: str) -> Any:
    """Return a query parameter as JSON has it; numbers, times and enums may be text there too."""
    if field.type == field.TYPE_BOOL:
        return value.lower() == "true"
    if field.type == field.TYPE_ENUM and value.lstrip("-").isdigit():
        return int(value)
    return value


def _normalise_masks(document: dict[str, Any], descriptor: Any) -> None:
    """Bring field masks into camel case, the only case that JSON readers take; Google's take snake case as well."""
    for field in descriptor.fields:
        if field.message_type is None or field.message_type.full_name != _MASK:
            continue
        for name in (field.name, field.json_name):
            if isinstance(document.get(name), str):
                document[name] = _camel(document[name])


def _camel(mask: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), mask)


def routing_of(fields: Mapping[str, str]) -> str:
    """Return what a gRPC client would send as its routing header."""
    return "&".join(f"{name}={value}" for name, value in fields.items())
