"""Protocol-buffer values as plain Python ones.

Replies are read from the raw protocol-buffer message below the client's wrapper: the same field names, a tenth of the time
where thousands of fields are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any


def raw(message: Any) -> Any:
    """The protocol-buffer message below a proto-plus one."""
    return type(message).pb(message)


def raw_pages(pager: Any, field: str) -> Iterator[Any]:
    """All items of all pages of a list call; ``field`` is where a page keeps them."""
    for page in pager.pages:
        yield from getattr(raw(page), field)


def moment(message: Any, field: str) -> datetime | None:
    """A timestamp field, in UTC; None where it is not set."""
    if not message.HasField(field):
        return None
    stamp = getattr(message, field)
    return datetime.fromtimestamp(stamp.seconds + stamp.nanos / 1e9, UTC)


def plain(value: Any) -> Any:
    """A google.protobuf.Value, Struct or ListValue as what JSON would make of it; numbers that JSON lacks are kept."""
    kind = value.DESCRIPTOR.name
    if kind == "Struct":
        return {key: plain(item) for key, item in value.fields.items()}
    if kind == "ListValue":
        return [plain(item) for item in value.values]
    given = value.WhichOneof("kind")
    if given is None or given == "null_value":
        return None
    if given in ("struct_value", "list_value"):
        return plain(getattr(value, given))
    return getattr(value, given)


def numbers(metrics: Any) -> dict[str, float]:
    """The finite numbers among ``metrics``, nested ones under dotted names.

    Lists (a confusion matrix, a curve) are no metric that a limit could be set on, so they are left out.
    """
    return dict(_numbers(metrics.items(), "")) if isinstance(metrics, Mapping) else {}


def _numbers(items: Iterable[tuple[str, Any]], prefix: str) -> Iterator[tuple[str, float]]:
    for key, value in items:
        if isinstance(value, Mapping):
            yield from _numbers(value.items(), f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield f"{prefix}{key}", float(value)
