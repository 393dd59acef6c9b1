"""Queries, which both stores must answer alike."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import PermanentError
from shared.store import indexes
from shared.store.documents import Create, Document, Documents


def fill(documents: Documents, collection: str, **bodies: Document) -> None:
    documents.commit([Create(collection, id_, body) for id_, body in bodies.items()])


def ids(documents: Documents, collection: str, *args: Any, **kwargs: Any) -> str:
    """The answer's ids in order, joined."""
    return " ".join(stored.id for stored in documents.query(collection, *args, **kwargs))


def test_without_conditions_all_come_by_id(documents: Documents) -> None:
    fill(documents, "claims", b={}, ä={}, a={}, B={}, z={})
    assert ids(documents, "claims") == "B a b z ä"
    assert ids(documents, "claims", limit=2) == "B a"
    assert ids(documents, "notices") == ""


def test_equality_of_text_numbers_and_truth_values(documents: Documents) -> None:
    fill(
        documents,
        "claims",
        one={"v": 1},
        float={"v": 1.0},
        true={"v": True},
        text={"v": "1"},
        null={"v": None},
        none={},
    )
    assert ids(documents, "claims", {"v": 1}) == "float one"
    assert ids(documents, "claims", {"v": True}) == "true"
    assert ids(documents, "claims", {"v": "1"}) == "text"
    assert ids(documents, "claims", {"v": False}) == ""


def test_several_equalities_must_all_hold(documents: Documents) -> None:
    fill(documents, "rollouts", a={"model": "m", "open": True}, b={"model": "m", "open": False}, c={"open": True})
    assert ids(documents, "rollouts", {"model": "m", "open": True}) == "a"


def test_a_tuple_means_any_of_its_values(documents: Documents) -> None:
    fill(documents, "claims", a={"v": "x"}, b={"v": 2}, c={"v": True}, d={"v": "y"}, e={"v": 1})
    assert ids(documents, "claims", {"v": ("y", 2, "absent")}) == "b d"
    assert ids(documents, "claims", {"v": (True,)}) == "c"
    assert ids(documents, "claims", {"v": ()}) == ""


def test_big_numbers_and_unicode_are_compared_exactly(documents: Documents) -> None:
    fill(documents, "claims", a={"v": 2**53}, b={"v": 2**53 + 1}, c={"v": "Größe 🛑"}, d={"v": "Grösse 🛑"})
    assert ids(documents, "claims", {"v": 2**53 + 1}) == "b"
    assert ids(documents, "claims", {"v": "Größe 🛑"}) == "c"
    assert ids(documents, "claims", {"v": "x' OR '1'='1"}) == ""


def test_the_order_is_by_the_field_then_by_id(documents: Documents) -> None:
    fill(
        documents,
        "ledger",
        a={"at": "2026-01-03"},
        b={"at": "2026-01-01"},
        d={"at": "2026-01-02"},
        c={"at": "2026-01-02"},
    )
    assert ids(documents, "ledger", order_by="at") == "b c d a"
    assert ids(documents, "ledger", order_by="at", descending=True) == "a d c b"
    assert ids(documents, "ledger", order_by="at", descending=True, limit=2) == "a d"


def test_documents_without_the_field_have_no_place_in_the_order(documents: Documents) -> None:
    fill(documents, "ledger", a={"at": "x"}, b={}, c={"at": None})
    assert ids(documents, "ledger", order_by="at") == "c a"
    assert ids(documents, "ledger", order_by="at", descending=True) == "a c"


def test_numbers_are_ordered_as_numbers_before_text(documents: Documents) -> None:
    fill(
        documents,
        "policies",
        a={"version": 10},
        b={"version": 9},
        c={"version": 9.5},
        d={"version": "1"},
        e={"version": -(2**62)},
    )
    assert ids(documents, "policies", order_by="version") == "e b c a d"


def test_text_is_ordered_by_its_bytes(documents: Documents) -> None:
    fill(documents, "ledger", a={"at": "z"}, b={"at": "Z"}, c={"at": "ä"}, d={"at": "\U0001f6d1"}, e={"at": "\uffee"})
    assert ids(documents, "ledger", order_by="at") == "b a c e d"


def test_after_is_strictly_beyond_among_values_of_its_type(documents: Documents) -> None:
    fill(
        documents,
        "policies",
        a={"version": 1},
        b={"version": 2},
        c={"version": 2},
        d={"version": 3},
        e={"version": "x"},
        f={},
    )
    assert ids(documents, "policies", order_by="version", after=2) == "d"
    assert ids(documents, "policies", order_by="version", after=1.5) == "b c d"
    assert ids(documents, "policies", order_by="version", after=2, descending=True) == "a"
    assert ids(documents, "policies", order_by="version", after="a") == "e"
    assert ids(documents, "policies", order_by="version", after=3) == ""


def test_pages_follow_each_other_without_gaps(documents: Documents) -> None:
    fill(
        documents,
        "ledger",
        **{f"e{n}": {"rollout": "r1" if n % 3 else "r2", "at": f"2026-01-{n:02}"} for n in range(1, 21)},
    )
    seen: list[str] = []
    last: str | None = None
    while page := documents.query("ledger", {"rollout": "r1"}, "at", limit=4, after=last):
        seen += [stored.id for stored in page]
        last = page[-1].body["at"]
    assert seen == [f"e{n}" for n in range(1, 21) if n % 3]


def test_an_equality_and_an_order_on_the_same_field(documents: Documents) -> None:
    fill(documents, "claims", a={"state": "x"}, b={"state": "y"}, c={"state": "z"})
    assert ids(documents, "claims", {"state": ("z", "x")}, "state", descending=True) == "c a"


@pytest.mark.parametrize("index", indexes.INDEXES, ids=str)
@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
def test_a_query_through_every_declared_index(documents: Documents, index: indexes.Index, descending: bool) -> None:
    *equal, order = index.fields
    wanted = dict.fromkeys(equal, True)
    fill(
        documents,
        index.collection,
        a=wanted | {order: "2"},
        b=wanted | {order: "1"},
        c=dict.fromkeys(equal, False) | {order: "1"},
        d=wanted | {order: "3"},
    )
    assert ids(documents, index.collection, wanted, order, descending) == ("d a b" if descending else "b a d")
    assert ids(documents, index.collection, wanted, order, descending, after="2") == ("b" if descending else "d")


def test_a_query_without_its_composite_index_is_refused_by_name(documents: Documents) -> None:
    with pytest.raises(PermanentError, match=r"claims\(model, state, at\)"):
        documents.query("claims", {"state": "open", "model": "m"}, "at")
    with pytest.raises(PermanentError, match=r"evidence\(tick, at\)"):
        documents.query("evidence", {"tick": (1, 2)}, "at")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"where": {"a.b": 1}}, "plain top-level field"),
        ({"order_by": "x') --"}, "plain top-level field"),
        ({"where": {"a": None}}, "cannot compare with None"),
        ({"where": {"a": 1.5}}, "cannot compare with 1.5"),
        ({"where": {"a": 2**63}}, "64 bits"),
        ({"where": {"a": "\ud800"}}, "Unicode"),
        ({"where": {"a": tuple(range(31))}}, "31 combinations"),
        ({"where": {"a": tuple(range(6)), "b": tuple(range(6))}}, "36 combinations"),
        ({"limit": 0}, "limit 0"),
        ({"after": "x"}, "need 'order_by'"),
        ({"descending": True}, "need 'order_by'"),
        ({"order_by": "at", "after": [1]}, "cannot compare"),
        ({"order_by": "at", "after": True}, "text or a number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_query_that_not_every_store_can_answer_is_refused(documents: Documents, query: dict, reason: str) -> None:
    with pytest.raises(PermanentError, match=reason):
        documents.query("claims", **query)


def test_a_collection_is_a_plain_name(documents: Documents) -> None:
    with pytest.raises(PermanentError, match="letters, digits"):
        documents.query("claims' OR 1=1 --")
