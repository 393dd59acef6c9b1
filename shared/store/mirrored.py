"""Requests that were sent again to a shadow: which of them the budget has room for, and what came of each.

A request's place in its minute is drawn from its id, so the budget needs no counter that all have to write: two requests that draw the
same place are one too many, and a request that is delivered twice finds its own place taken by itself. Places and results are documents
that nobody changes, and both expire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import PermanentError
from shared.store.documents import Documents, ExistsError

KEPT = timedelta(hours=6)
"""Longer than a tick ever reads back."""


@dataclass(frozen=True)
class Compared:
    """One request's result: by comparison, how many predictions were compared and how many disagree."""

    rollout: str
    counts: Mapping[str, tuple[int, int]]


class Mirrored:
    """Over the document store."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def take_place(self, place: str, request: str, now: datetime) -> bool:
        """Whether this request has that place; False when another request was first, or this one's result is there."""
        try:
            self._documents.create("mirrors", place, {"request": request}, expires=now + KEPT)
        except ExistsError:
            taken = self._documents.get("mirrors", place)
            if taken is None or taken.body["request"] != request:
                return False
            return self._documents.get("comparisons", place) is None
        return True

    def add(self, place: str, found: Compared, now: datetime) -> bool:
        """What came of it, once; in the minute in which it is written, so that no tick has read past it."""
        counts = {name: [n, x] for name, (n, x) in found.counts.items()}
        body = {"rollout": found.rollout, "minute": _minute(now), "counts": counts}
        try:
            self._documents.create("comparisons", place, body, expires=now + KEPT)
        except ExistsError:
            return False
        return True

    def of_minute(self, end: datetime) -> list[Compared]:
        """Everything of the minute that ends at ``end``, of all rollouts: one query."""
        found = self._documents.query("comparisons", {"minute": _minute(end - timedelta(minutes=1))})
        return [Compared(s.body["rollout"], {k: _pair(v) for k, v in s.body["counts"].items()}) for s in found]


def _minute(at: datetime) -> str:
    return at.replace(second=0, microsecond=0).isoformat()


def _pair(value: list[int]) -> tuple[int, int]:
    if len(value) != 2:
        raise PermanentError(f"a comparison has {len(value)} counts; two were written")
    return value[0], value[1]
