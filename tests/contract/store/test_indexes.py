"""Which queries need a composite index."""

from __future__ import annotations

import pytest

from shared.errors import PermanentError
from shared.store.indexes import INDEXES, Index, check, definitions, needed


@pytest.mark.parametrize(
    ("where", "order_by"),
    [
        (None, None),
        ({}, "at"),
        ({"a": 1}, None),
        ({"a": 1, "b": 2}, None),
        ({"at": ("x", "y")}, "at"),
        ({"a": 1, "at": "x"}, "at"),
    ],
)
def test_single_field_indexes_suffice(where: dict | None, order_by: str | None) -> None:
    assert needed("anything", where, order_by) is None
    check("anything", where, order_by)


def test_an_equality_with_an_order_needs_a_composite_index() -> None:
    assert needed("ledger", {"rollout": "r"}, "at") == Index("ledger", ("rollout", "at"))
    assert str(needed("x", {"b": 1, "a": (1, 2)}, "at")) == "x(a, b, at)"


@pytest.mark.parametrize(
    ("collection", "where", "order_by"),
    [
        ("notices", {"rollout": "r"}, "at"),
        ("ledger", {"at": "x"}, "rollout"),
        ("ledger", {"rollout": 1, "model": 1}, "at"),
    ],
)
def test_an_index_of_another_collection_order_or_extent_does_not_do(
    collection: str, where: dict, order_by: str
) -> None:
    with pytest.raises(PermanentError, match=rf"composite index {collection}\(.*, {order_by}\), which is not declared"):
        check(collection, where, order_by)


def test_every_index_is_defined_once_for_each_direction() -> None:
    found = [
        (entry["collection"], *((f["field_path"], f["order"]) for f in entry["fields"])) for entry in definitions()
    ]
    assert len(set(found)) == len(found) == 2 * len(INDEXES)
    assert ("ledger", ("rollout", "ASCENDING"), ("at", "DESCENDING")) in found
    assert ("ledger", ("rollout", "ASCENDING"), ("at", "ASCENDING")) in found
