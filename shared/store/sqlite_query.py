"""Tables, indexes and queries of the embedded store, as SQL.

Names of collections and fields stand in the text of a statement, because SQLite matches an index on an expression by its
text. They are plain names (checks.py refuses all others); every value is a bound parameter.
"""

from __future__ import annotations

from typing import Any

from shared.store.documents import Value, Where
from shared.store.indexes import INDEXES, Index

TABLE = """
CREATE TABLE IF NOT EXISTS documents (
  collection TEXT NOT NULL,
  id TEXT NOT NULL,
  revision TEXT NOT NULL,
  body TEXT NOT NULL,
  expires TEXT,
  PRIMARY KEY (collection, id)
)
"""
"""``body`` is canonical JSON (sorted keys), so equal contents are equal texts; ``expires`` an ISO time in UTC."""


def schema() -> list[str]:
    """The statements that make a new file, or complete an older one."""
    return [TABLE, *map(_index, INDEXES)]


def index_name(index: Index) -> str:
    return "_".join(("by", index.collection, *index.fields))


def select(
    collection: str, where: Where, order_by: str | None, descending: bool, limit: int | None, after: Any
) -> tuple[str, list[Any]]:
    """A query as a statement and its parameters."""
    conditions = [f"collection = '{collection}'"]
    parameters: list[Any] = []
    for field, wanted in where.items():
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        conditions.append("(" + " OR ".join(_equals(field, value) for value in values) + ")")
        parameters += [int(value) if isinstance(value, bool) else value for value in values]
    order = "DESC" if descending else "ASC"
    if order_by is not None:
        # As in Firestore, a document without the field has no place in the order; one with a null comes first.
        conditions.append(f"{_type(order_by)} IS NOT NULL")
        if after is not None:
            conditions.append(f"{_field(order_by)} {'<' if descending else '>'} ?")
            conditions.append(f"{_type(order_by)} IN {_types(after)}")
            parameters.append(after)
    parts = ["SELECT id, revision, body, expires FROM documents WHERE", " AND ".join(conditions), "ORDER BY"]
    parts.append(f"id {order}" if order_by is None else f"{_field(order_by)} {order}, id {order}")
    if limit is not None:
        parts.append("LIMIT ?")
        parameters.append(limit)
    return " ".join(parts), parameters


def _index(index: Index) -> str:
    fields = ", ".join(map(_field, index.fields))
    # Partial: a large document of another collection is not parsed for it.
    name = index_name(index)
    return f"CREATE INDEX IF NOT EXISTS {name} ON documents ({fields}, id) WHERE collection = '{index.collection}'"


def _equals(field: str, value: Value) -> str:
    # The value alone is not enough: to json_extract, true and 1 are the same.
    return f"({_field(field)} = ? AND {_type(field)} IN {_types(value)})"


def _types(value: Value | float) -> str:
    if isinstance(value, bool):
        return "('true')" if value else "('false')"
    return "('text')" if isinstance(value, str) else "('integer', 'real')"


def _field(name: str) -> str:
    return f"json_extract(body, '$.{name}')"


def _type(name: str) -> str:
    return f"json_type(body, '$.{name}')"
