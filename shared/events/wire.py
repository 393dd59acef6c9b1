"""How bytes from outside become values, and how they are refused.

What cannot be understood is a ``PermanentError`` of one sentence: what was expected, at which key, and what was found
there. The payload itself is never repeated: it may be long, and it may hold what does not belong into a log.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from shared.errors import PermanentError

SHOWN = 60
"""Characters of a found value that an error repeats."""
LONGEST = 2_000
"""Characters of a text: enough for a sentence or a Cloud Storage address. Google's are cut there, so that what was read can be
published again in our own form."""


class Ours(BaseModel):
    """The base of our own messages: a key that nobody reads is a mistake of the publisher, so it is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Theirs(BaseModel):
    """The base of messages that Google defines: it may add keys at any time."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def read_moment(value: object) -> datetime:
    """A time in RFC 3339 as an aware datetime in UTC; nanoseconds, as Google writes them, are cut to microseconds."""
    if not isinstance(value, str):
        raise ValueError("not a time")
    found = datetime.fromisoformat(value)
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("not a time") from error


def write_moment(value: datetime | None) -> str | None:
    """The form that ``read_moment`` reads back."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _moment(value: object) -> datetime:
    try:
        return read_moment(value)
    except ValueError:
        raise ValueError("expected a time such as 2026-01-31T12:00:00Z") from None


def _moment_or_none(value: object) -> datetime | None:
    """Monitoring writes epoch seconds, as a number or as text, and 0 for none."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}(\.\d{1,9})?", value):
        value = float(value)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC) if value > 0 else None
        return read_moment(value)
    except (ValueError, OverflowError, OSError):
        return None


def _text_or_none(value: object) -> str | None:
    if isinstance(value, str):
        text = value
    elif isinstance(value, float) and math.isfinite(value):
        text = repr(value).removesuffix(".0")
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    else:
        return None
    return text.encode("utf-8", "replace").decode().strip()[:LONGEST] or None


def _labels_or_none(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    texts = ((_text_or_none(key), _text_or_none(text)) for key, text in value.items())
    return {key: text for key, text in texts if key and text}


def _object_or_empty(value: object) -> object:
    return value if isinstance(value, dict) else {}


Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]
"""A text of ours."""
Moment = Annotated[datetime, BeforeValidator(_moment)]
"""A time of ours."""
LooseText = Annotated[str | None, BeforeValidator(_text_or_none)]
"""Google's text, which may also come as a number; anything else is as good as absent."""
LooseMoment = Annotated[datetime | None, BeforeValidator(_moment_or_none)]
"""Google's time in any of its forms; one that cannot be read is as good as absent."""
LooseLabels = Annotated[dict[str, str], BeforeValidator(_labels_or_none)]
"""Google's labels; entries that are not text are left out."""
ModelT = TypeVar("ModelT", bound=BaseModel)
LooseObject = BeforeValidator(_object_or_empty)
"""Beside a nested model of Google's: null, or anything that is no object, is an empty one."""


def decode_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``data``; ``what`` names the message in an error."""
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        # RecursionError: a few kilobytes of "[" are enough for it. The text of the error could repeat the payload.
        raise PermanentError(f"{what}: expected JSON in UTF-8; {_why_not_json(error)}") from None
    if not isinstance(value, dict):
        raise PermanentError(f"{what}: expected a JSON object; found {show(value)}")
    return value


def read_ours(model: type[ModelT], value: Mapping[str, Any], schema: str) -> ModelT:
    """A message of our own: it names its schema, and the rest is exactly ``model``."""
    if value.get("schema") != schema:
        raise PermanentError(f"{schema}: schema: expected {schema}; found {show(value.get('schema'))}")
    return read_as(model, {key: item for key, item in value.items() if key != "schema"}, schema)


def read_as(model: type[ModelT], value: object, what: str) -> ModelT:
    """``value`` as ``model``, or an error that names the first key that is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
    first = errors[0]
    key = ".".join(str(part) for part in first["loc"]) or "the message"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "missing":
        found = "is missing"
    elif first["type"] == "extra_forbidden":
        found = f"is not a known key; known are {', '.join(_keys(model))}"
    else:
        found = f"{_expected(first['msg'])}; found {show(first['input'])}"
    raise PermanentError(f"{what}: {_printable(key)}: {found}{more}")


def show(value: object) -> str:
    """What was found, short enough for a log line and never a whole object."""
    if isinstance(value, Mapping):
        return f"an object of {len(value)} keys"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None:
        return "null"
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def show_keys(value: Mapping[str, Any]) -> str:
    """The first keys of an object that is not what was expected: enough to recognise its kind."""
    keys = [_printable(str(key)) for key in list(value)[:6]]
    return (
        f"an object with the keys {', '.join(keys)}{', ...' if len(value) > 6 else ''}" if keys else "an empty object"
    )


def last_segment(name: str) -> str:
    """``projects/1/locations/r/models/m`` as ``m``."""
    return name.rstrip("/").rsplit("/", 1)[-1]


def part_of(name: str | None, collection: Literal["projects", "locations", "models", "pipelineJobs"]) -> str | None:
    """The segment after ``collection`` in a resource name."""
    found = re.search(rf"(?:^|/){collection}/([^/]+)", name or "")
    return found.group(1) if found else None


def encode(schema: str, values: Mapping[str, Any]) -> bytes:
    """One message of ours; what is None is left out."""
    given = {key: value for key, value in values.items() if value is not None}
    return json.dumps({"schema": schema, **given}, ensure_ascii=False, allow_nan=False).encode()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _why_not_json(error: Exception) -> str:
    match error:
        case json.JSONDecodeError():
            return f"it stops being JSON at character {error.pos}"
        case UnicodeDecodeError():
            return f"byte {error.start} is not UTF-8"
        case RecursionError():
            return "it is nested too deeply"
        case _:
            return "it holds a number that JSON does not have"


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _expected(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "expected")


def _printable(text: str) -> str:
    return (text if text.isascii() and text.isprintable() else ascii(text))[:SHOWN]
