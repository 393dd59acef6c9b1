"""What every store refuses, and what is just within the limits."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.errors import PermanentError
from shared.store.checks import MAX_DOCUMENT_BYTES, MAX_TEXT_BYTES
from shared.store.documents import Create, Delete, Documents


def nested(depth: int) -> dict:
    return {"in": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "datetime; write it as an ISO string"),
        (b"x", "bytes"),
        ((1, 2), "tuple"),
        ({1, 2}, "set"),
        (2**63, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        (math.nan, "nan is not a JSON number"),
        (math.inf, "inf is not a JSON number"),
        ("\ud800", "not valid Unicode"),
        ({1: "x"}, "key 1 is not text"),
        ({"": "x"}, "a key is not empty"),
        ({"__name__": "x"}, "not like '__x__'"),
        ({"k" * 1501: "x"}, "1500 bytes"),
        ([1, [2]], "list directly in a list"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_value_that_a_store_would_change_or_refuse(documents: Documents, value: Any, reason: str) -> None:
    with pytest.raises(PermanentError, match=reason):
        documents.create("rollouts", "r1", {"checks": [{"limit": value}]})
    assert documents.get("rollouts", "r1") is None


def test_the_error_says_where_the_value_is(documents: Documents) -> None:
    with pytest.raises(PermanentError, match=r"^rollouts/r1\.checks\[1\]\.limit: cannot keep a bytes"):
        documents.create("rollouts", "r1", {"ok": {"x": [1]}, "checks": [{"limit": 1}, {"limit": b""}]})


def test_the_deepest_document_that_fits_and_one_level_more(documents: Documents) -> None:
    body = nested(20)
    documents.create("rollouts", "deep", body)
    stored = documents.get("rollouts", "deep")
    assert stored is not None
    assert stored.body == body
    with pytest.raises(PermanentError, match="20 deep"):
        documents.create("rollouts", "deeper", nested(21))


def test_the_largest_document_that_fits_and_one_byte_more(documents: Documents) -> None:
    # "evidence" + 1, "big" + 1, 16 for the name, 32 for the document; "a" + 1, "b" + 1, and 1 for the end of each text
    room = MAX_DOCUMENT_BYTES - 13 - 16 - 32 - 4 - 2
    half = room // 2
    documents.create("evidence", "big", {"a": "x" * half, "b": "x" * (room - half)})
    stored = documents.get("evidence", "big")
    assert stored is not None
    assert len(stored.body["a"] + stored.body["b"]) == room
    with pytest.raises(PermanentError, match="split the document"):
        documents.replace("evidence", "big", {"a": "x" * half, "b": "x" * (room - half + 1)}, stored.revision)


def test_the_longest_text_that_fits_and_one_byte_more(documents: Documents) -> None:
    documents.create("evidence", "long", {"text": "ü" * (MAX_TEXT_BYTES // 2) + "x"})
    with pytest.raises(PermanentError, match=r"evidence/longer\.text: .* 1048487 is the most"):
        documents.create("evidence", "longer", {"text": "ü" * (MAX_TEXT_BYTES // 2 + 1)})


def test_many_small_numbers_count_as_firestore_counts_them(documents: Documents) -> None:
    with pytest.raises(PermanentError, match="split the document"):
        documents.create("evidence", "numbers", {"counts": [1] * 140_000})  # 280 kB as JSON


def test_every_field_and_element_costs_an_index_entry(documents: Documents) -> None:
    with pytest.raises(PermanentError, match=r"40001 index entries.* as JSON text in one field"):
        documents.create("evidence", "e1", {"fields": {f"f{n}": n for n in range(10_000)}, "list": [1] * 19_997})
    with pytest.raises(PermanentError, match="40002 index entries"):
        documents.create("evidence", "e2", {f"f{n}": n for n in range(20_001)})
    documents.create("evidence", "e3", {"list": [{"inside": n, "not": n, "counted": n} for n in range(1_000)]})


def test_a_commit_has_a_size_of_its_own(documents: Documents) -> None:
    with pytest.raises(PermanentError, match="split it"):
        documents.commit([Create("evidence", f"e{n}", {"text": "x" * 1_000_000}) for n in range(11)])
    assert documents.get("evidence", "e0") is None


@pytest.mark.parametrize("id_", ["", ".", "..", "a/b", "__id__", "x" * 1501, "\udfff"], ids=lambda id_: repr(id_)[:12])
def test_an_id_that_cannot_be_addressed(documents: Documents, id_: str) -> None:
    with pytest.raises(PermanentError, match="id "):
        documents.create("claims", id_, {})
    with pytest.raises(PermanentError, match="id "):
        documents.get("claims", id_)


def test_a_body_cannot_have_the_stores_own_field(documents: Documents) -> None:
    with pytest.raises(PermanentError, match="pass the time as 'expires'"):
        documents.create("claims", "c1", {"expires": "2026-01-01"})
    documents.create("claims", "c2", {"lease": {"expires": "2026-01-01"}})


def test_an_expiry_needs_a_time_zone(documents: Documents) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - what is refused
    with pytest.raises(PermanentError, match="no time zone"):
        documents.create("claims", "c1", {}, expires=naive)


def test_a_batch_names_a_document_once(documents: Documents) -> None:
    with pytest.raises(PermanentError, match="claims/c1 occurs twice"):
        documents.commit([Create("claims", "c1", {}), Delete("claims", "c1")])
