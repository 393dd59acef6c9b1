"""The units in which a policy is written: durations, shares, factors.

Each is a type that pydantic validates from what a person writes (``15m``, ``1%``, ``1.5x``) and from what a program writes
(seconds, 0.01, 1.5), and that is written back in the person's form.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SECONDS = (86_400, 3_600, 60, 1)


def parse_duration(value: Any) -> timedelta:
    """``1h30m``, ``45s``, ``7d`` as a timedelta; a number is seconds."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if not match:
        raise ValueError(f"{value!r} is not a duration; write it like 90s, 15m, 4h or 7d")
    return timedelta(seconds=sum(int(n) * s for n, s in zip(match.groups(), _SECONDS, strict=True) if n))


def format_duration(value: timedelta) -> str:
    """The shortest form that ``parse_duration`` reads back: ``1h30m``."""
    rest = round(value.total_seconds())
    parts = []
    for unit, size in zip("dhms", _SECONDS, strict=True):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_share(value: Any) -> float:
    """``1%`` or ``0.01`` as a number from 0 to 1."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?%", value):
        return float(value[:-1]) / 100
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{value!r} is not a share; write it like 1% or 0.01")


def format_share(value: float) -> str:
    """A share as a person reads it: ``1%``, ``0.25%``."""
    return f"{value * 100:.4g}%"


def parse_factor(value: Any) -> float:
    """``1.5x`` or ``1.5`` as a number."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?x", value):
        return float(value[:-1])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{value!r} is not a factor; write it like 1.5x")


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?$", "examples": ["15m", "1h30m"]}),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    Field(ge=0, le=1),
    PlainSerializer(format_share, return_type=str),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?%$"}, {"type": "number", "minimum": 0, "maximum": 1}]}
    ),
]
Factor = Annotated[
    float,
    BeforeValidator(parse_factor),
    Field(ge=1),
    PlainSerializer(lambda v: f"{v:g}x", return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?x$"}, {"type": "number", "minimum": 1}]}),
]
