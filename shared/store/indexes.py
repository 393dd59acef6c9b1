"""The composite indexes that queries need, as data.

Firestore keeps an index for every single field by itself and answers several equalities by merging those. An equality
together with an order needs a composite index that somebody created beforehand; without one production refuses the query
(FAILED_PRECONDITION) while the emulator answers it. So every adapter asks ``check`` first: a query that would fail in
production fails at a developer's desk. Infrastructure code creates what ``definitions`` returns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import PermanentError

DIRECTIONS = ("ASCENDING", "DESCENDING")
"""A composite index is read in one direction only, so each is created for both; equality fields do not mind theirs."""


@dataclass(frozen=True)
class Index:
    """Equality on all fields but the last, ordered by the last."""

    collection: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.collection}({', '.join(self.fields)})"


INDEXES = (
    Index("rollouts", ("open", "updated_at")),
    Index("rollouts", ("model", "updated_at")),
    Index("rollouts", ("target", "updated_at")),
    Index("ledger", ("rollout", "at")),
    Index("ledger", ("model", "at")),
    Index("notices", ("sent", "at")),
    Index("policies", ("model", "version")),
    Index("claims", ("state", "at")),
)


def needed(collection: str, where: Mapping[str, Any] | None, order_by: str | None) -> Index | None:
    """The composite index that this query needs, equality fields by name; None where single-field indexes suffice."""
    equalities = sorted(where or {})
    if order_by is None or not equalities or order_by in equalities:
        return None
    return Index(collection, (*equalities, order_by))


def check(collection: str, where: Mapping[str, Any] | None, order_by: str | None) -> None:
    """Refuse a query whose composite index is not declared, naming it."""
    index = needed(collection, where, order_by)
    if index is None:
        return
    for declared in INDEXES:
        same_equalities = sorted(declared.fields[:-1]) == list(index.fields[:-1])
        if declared.collection == collection and same_equalities and declared.fields[-1] == order_by:
            return
    message = f"the query needs the composite index {index}, which is not declared: add it to INDEXES in shared/store/indexes.py"
    raise PermanentError(f"{message} and create it before this code is deployed")


def definitions() -> Iterator[dict[str, Any]]:
    """Every index to create, in the words of Firestore's admin API and of Terraform's ``google_firestore_index``."""
    for index in INDEXES:
        for direction in DIRECTIONS:
            fields = [{"field_path": name, "order": "ASCENDING"} for name in index.fields]
            fields[-1]["order"] = direction
            yield {"collection": index.collection, "query_scope": "COLLECTION", "fields": fields}
