"""What a check of the doctor found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import RolloutsError


class Health(StrEnum):
    """Ordered from good to bad."""

    OK = "ok"
    UNKNOWN = "unknown"
    """Could not be looked at here; nothing is known, which is not good."""
    ODD = "odd"
    """Works, and somebody should look."""
    BROKEN = "broken"


ORDER = tuple(Health)


@dataclass(frozen=True)
class Finding:
    """One sentence, and what to do about it."""

    check: str
    health: Health
    sentence: str
    remedy: str = ""


Check = Callable[[], Iterable[Finding]]


def worst(findings: Iterable[Finding]) -> Health:
    """The worst of all; ok without any."""
    return max((finding.health for finding in findings), key=ORDER.index, default=Health.OK)


def examined(name: str, check: Check) -> Iterator[Finding]:
    """The findings of a check; what it could not look at is one of them, so that the others are still made."""
    try:
        yield from check()
    except RolloutsError as exc:
        yield Finding(name, Health.UNKNOWN, str(exc), "mend that, then look again")
