"""When a rollout may go forward: windows, freezes and approvals. Nothing here ever stops a rollback."""

from __future__ import annotations

from datetime import date, time, timedelta
from functools import lru_cache
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from shared.policy.base import Strict
from shared.policy.findings import Finding, refuse
from shared.policy.units import ALLOWED, Duration, described

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
END_OF_DAY = "24:00"
_CLOCK = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The zone of that name; ValueError where there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as exc:
        raise ValueError(f"{name!r} is no time zone; write one of the IANA database, such as Europe/Berlin") from exc


def _known_zone(name: str) -> str:
    zone_of(name)
    return name


def _real_date(text: str) -> str:
    date.fromisoformat(text)
    return text


ClockTime = Annotated[
    str, StringConstraints(pattern=_CLOCK), described("a time of day such as 09:00, at most 24:00, as text")
]
CalendarDate = Annotated[
    str,
    StringConstraints(pattern=_DATE),
    AfterValidator(_real_date),
    WithJsonSchema({"type": "string", "pattern": _DATE, ALLOWED: "a date such as 2026-12-20"}),
]
Zone = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    AfterValidator(_known_zone),
    described("a time zone of the IANA database such as Europe/Berlin"),
]


class Window(Strict):
    """A part of the week in which a rollout may go forward."""

    days: list[Day] = Field(default=["mon", "tue", "wed", "thu", "fri"], min_length=1)
    """On which it begins. One that ends before it begins goes on into the day after."""
    begin: ClockTime = Field(default="00:00", alias="from")
    """By the clocks of the zone, whatever summer time does with them: 09:00 is always when they show it."""
    until: ClockTime = END_OF_DAY
    zone: Zone = "UTC"

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.begin in (self.until, END_OF_DAY):
            refuse(
                [
                    Finding(
                        f"the window is empty: from {self.begin} until {self.until}",
                        ("until",),
                        "another time than from",
                    )
                ]
            )
        return self


class Freeze(Strict):
    """Days on which nothing goes forward, known beforehand. For what is not known beforehand there is ``rollouts freeze``."""

    begin: CalendarDate = Field(alias="from")
    """The first day, in the zone."""
    until: CalendarDate
    """The last day; it is frozen to its end."""
    zone: Zone = "UTC"
    why: str = ""
    """Shown wherever a rollout waits for it."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.until < self.begin:
            refuse([Finding(f"the freeze ends before it begins ({self.begin})", ("until",), f"{self.begin} or later")])
        return self


class Approval(Strict):
    """A person must agree before a stage is entered."""

    by: list[str] = Field(default=[])
    """Who may: e-mail addresses as in a verified ID token. Empty: the operators."""
    within: Duration = timedelta(hours=24)
    """How long it is waited for, from when the stage is due."""
    then: Literal["pause", "roll_back", "advance"] = "pause"
    """What the silence of that time means."""


def clock_time(text: str) -> time | None:
    """None for the end of the day, which no clock shows."""
    return None if text == END_OF_DAY else time.fromisoformat(text)
