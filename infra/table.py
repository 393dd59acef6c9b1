"""The table of functions, ``infra/functions.yaml``, as Terraform reads it too: its rows with what each leaves out filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from shared.permissions import LIVE, LIVE_WRITE, PUBLISH, REPORTS, SECRETS, STORE

TABLE = Path(__file__).parent / "functions.yaml"
HTTPS = "https"
SCHEDULE = "schedule"
KEYS = frozenset(
    """does wakes_on every callers attempts backoff permissions store reports live exports gates publishes secrets environment
    memory timeout instances warm""".split()  # noqa: SIM905 - a list of nineteen words is not clearer
)


_OBJECTS = {"read": LIVE, "write": LIVE_WRITE}


class TableError(Exception):
    """A row that cannot be read, with what to change."""


@dataclass(frozen=True)
class Row:
    """One function as it is deployed."""

    name: str
    does: str
    wakes_on: str
    every: str = ""
    callers: str = "nobody"
    attempts: int = 5
    backoff: str = "600s"
    permissions: tuple[str, ...] = ()
    """Of its custom role, in every project with targets."""
    store: bool = True
    reports: bool = False
    live: str = ""
    """``read`` or ``write``."""
    exports: str = ""
    """Likewise, of the buckets of edge devices."""
    gates: str = ""
    """Likewise, of the buckets of fixed sets."""
    publishes: tuple[str, ...] = ("dead-letters",)
    secrets: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    memory: str = "512Mi"
    timeout: int = 540
    instances: int = 10
    warm: int = 0

    @property
    def service(self) -> str:
        """The name of its Cloud Run service and of its subscription."""
        return self.name.replace("_", "-")

    @property
    def granted(self) -> frozenset[str]:
        """Every permission that Terraform grants it, by its role or by a binding on one resource."""
        return frozenset(
            (
                *self.permissions,
                *(STORE if self.store else ()),
                *(REPORTS if self.reports else ()),
                *(one for access in (self.live, self.exports, self.gates) for one in _OBJECTS.get(access, ())),
                *((PUBLISH,) if self.publishes else ()),
                *((SECRETS,) if self.secrets else ()),
            )
        )


def load_table(path: Path = TABLE) -> dict[str, Row]:
    """The rows by name; TableError for a key that is not known or missing."""
    rows: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: _row(path, name, row) for name, row in rows.items()}


def topics(rows: dict[str, Row]) -> set[str]:
    """The topics that Terraform makes: those that wake a function, and those that one publishes to."""
    woken = {row.wakes_on for row in rows.values() if row.wakes_on != HTTPS}
    return woken | {topic for row in rows.values() for topic in row.publishes} | {"dead-letters"}


def _row(path: Path, name: str, row: dict[str, Any]) -> Row:
    if unknown := sorted(set(row) - KEYS):
        raise TableError(f"{path}: {name}: {unknown[0]!r} is not known; known are {', '.join(sorted(KEYS))}")
    if missing := [key for key in ("does", "wakes_on") if not row.get(key)]:
        raise TableError(f"{path}: {name}: {missing[0]} is missing")
    lists: dict[str, Any] = {key: tuple(row[key]) for key in ("permissions", "publishes") if key in row}
    return Row(name=name, **{**row, **lists})
