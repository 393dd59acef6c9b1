"""The units in which a policy is written: durations, shares, factors.

Each is a type that pydantic validates from what a person writes (``15m``, ``1%``, ``1.5x``) and from what a program writes
(seconds, 0.01, 1.5), and that is written back in the person's form.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic.fields import FieldInfo

ALLOWED = "patternErrorMessage"
"""The key of a JSON Schema under which stands, in words, what a value may be; editors show it, and so do our errors."""


def described(words: str) -> FieldInfo:
    """What a value may be, in words, beside the pattern that says it to a program."""
    info: FieldInfo = Field(json_schema_extra={ALLOWED: words})
    return info


_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_SECONDS = (86_400, 3_600, 60, 1)
_LONGEST = 3_650 * 86_400


def parse_duration(value: Any) -> timedelta:
    """``1h30m``, ``45s``, ``7d`` as a timedelta; a number is seconds. Whole seconds only: they are what is written back."""
    match value:
        case timedelta():
            seconds = value.total_seconds()
        case int() | float() if not isinstance(value, bool):
            seconds = value
        case str() if value and len(value) <= 40 and (found := _DURATION.fullmatch(value)):
            seconds = sum(int(n) * s for n, s in zip(found.groups(), _SECONDS, strict=True) if n)
        case _:
            raise ValueError(f"{value!r} is not a duration; write it like 90s, 15m, 4h or 7d")
    if not 0 <= seconds <= _LONGEST or seconds != int(seconds):
        raise ValueError(f"{value} is not a duration of whole seconds from 0s to {_LONGEST // 86_400}d")
    return timedelta(seconds=seconds)


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
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?%?", value, re.ASCII):
        return float(value[:-1]) / 100 if value.endswith("%") else float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{value!r} is not a share; write it like 1% or 0.01")


def format_share(value: float) -> str:
    """A share as a person reads it: ``1%``, ``0.25%``."""
    return f"{value * 100:.4g}%"


def write_share(value: float) -> str:
    """The shortest percentage that ``parse_share`` reads back as exactly this share, for a policy that is stored."""
    for digits in range(20):
        text = f"{value * 100:.{digits}f}%"
        if parse_share(text) == value:
            return text
    return format(Decimal(value), "f")


def parse_factor(value: Any) -> float:
    """``1.5x`` or ``1.5`` as a number."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?x", value, re.ASCII):
        return float(value[:-1])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{value!r} is not a factor; write it like 1.5x")


def write_factor(value: float) -> str:
    """``1.5x``; read back as exactly this factor."""
    return f"{value!r}".removesuffix(".0") + "x"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^(?=.)(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"},
                {"type": "integer", "minimum": 0, "maximum": _LONGEST},
            ],
            "examples": ["15m", "1h30m"],
            ALLOWED: "a duration such as 90s, 15m, 1h30m or 7d",
        }
    ),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    Field(ge=0, le=1, allow_inf_nan=False),
    PlainSerializer(write_share, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d+(\.\d+)?%?$"},
                {"type": "number", "minimum": 0, "maximum": 1},
            ],
            ALLOWED: "a share from 0% to 100%, such as 1% or 0.01",
        }
    ),
]
Factor = Annotated[
    float,
    BeforeValidator(parse_factor),
    Field(ge=1, le=1_000, allow_inf_nan=False),
    PlainSerializer(write_factor, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d+(\.\d+)?x$"},
                {"type": "number", "minimum": 1, "maximum": 1000},
            ],
            ALLOWED: "a factor from 1x to 1000x, such as 1.5x",
        }
    ),
]
