"""What every store does with single documents and batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.errors import ConflictError
from shared.store.documents import Create, Delete, Documents, ExistsError, Replace, RevisionError
from tests.contract.store.opening import Place

BODY = {
    "text": "arr-coc-relevance",
    "umlaut": "Größe ≥ 95 % 🛑 \u0000 \u2028 日本",
    "empty": "",
    "yes": True,
    "no": False,
    "zero": 0,
    "big": 2**63 - 1,
    "small": -(2**63),
    "share": 0.1 + 0.2,
    "whole": 3.0,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "nothing": None,
    "empty list": [],
    "empty.map": {},
    "stages": [{"traffic": 10, "checks": [None, "a", 1.5, {"p95": [1, 2, 3]}]}, "end"],
    "labels": {"vr-rollout": "r1", "with space/slash.dot`tick": {"deep": {"deeper": True}}},
}


def test_a_document_comes_back_exactly_as_it_was_written(documents: Documents) -> None:
    revision = documents.create("rollouts", "r1", BODY)
    stored = documents.get("rollouts", "r1")
    assert stored is not None
    assert (stored.id, stored.revision, stored.expires) == ("r1", revision, None)
    assert stored.body == BODY
    assert {key: type(value) for key, value in stored.body.items()} == {key: type(v) for key, v in BODY.items()}


def test_what_was_written_is_there_for_another_opener(place: Place, documents: Documents) -> None:
    documents.create("rollouts", "r1", BODY)
    other = place.open()
    assert other.get("rollouts", "r1") == documents.get("rollouts", "r1")
    other.close()


def test_a_missing_document_is_none(documents: Documents) -> None:
    assert documents.get("rollouts", "r1") is None


def test_a_null_is_kept_apart_from_a_missing_field(documents: Documents) -> None:
    documents.create("rollouts", "null", {"fallback": None})
    documents.create("rollouts", "missing", {})
    bodies = {stored.id: stored.body for stored in documents.query("rollouts")}
    assert bodies == {"null": {"fallback": None}, "missing": {}}


def test_the_reader_owns_the_body(documents: Documents) -> None:
    documents.create("rollouts", "r1", {"stages": [1]})
    first = documents.get("rollouts", "r1")
    assert first is not None
    first.body["stages"].append(2)
    second = documents.get("rollouts", "r1")
    assert second is not None
    assert second.body == {"stages": [1]}


def test_ids_are_looked_up_in_the_order_asked_each_once(documents: Documents) -> None:
    for id_ in ("a", "ä", "c d:e@f"):
        documents.create("claims", id_, {"id": id_})
    found = documents.get_all("claims", ["c d:e@f", "missing", "a", "a", "ä"])
    assert [stored.body["id"] for stored in found] == ["c d:e@f", "a", "ä"]
    assert documents.get_all("claims", []) == []


def test_collections_do_not_share_ids(documents: Documents) -> None:
    documents.create("claims", "x", {"in": "claims"})
    documents.create("notices", "x", {"in": "notices"})
    documents.delete("claims", "x")
    assert documents.get("claims", "x") is None
    assert documents.get("notices", "x") is not None


def test_a_second_creation_is_refused_and_changes_nothing(documents: Documents) -> None:
    documents.create("claims", "run-1", {"by": "first"})
    with pytest.raises(ExistsError, match="claims/run-1"):
        documents.create("claims", "run-1", {"by": "second"})
    stored = documents.get("claims", "run-1")
    assert stored is not None
    assert stored.body == {"by": "first"}


def test_a_replacement_writes_the_whole_body(documents: Documents) -> None:
    first = documents.create("rollouts", "r1", {"phase": "canary", "stage": 1, "labels": {"a": 1, "b": 2}})
    second = documents.replace("rollouts", "r1", {"phase": "watching", "labels": {"b": 3}}, first)
    stored = documents.get("rollouts", "r1")
    assert stored is not None
    assert second != first
    assert (stored.body, stored.revision) == ({"phase": "watching", "labels": {"b": 3}}, second)
    documents.replace("rollouts", "r1", {"phase": "promoted"}, second)


def test_a_replacement_of_an_old_revision_is_refused(documents: Documents) -> None:
    first = documents.create("rollouts", "r1", {"phase": "canary"})
    documents.replace("rollouts", "r1", {"phase": "rolled_back"}, first)
    with pytest.raises(RevisionError, match="rollouts/r1"):
        documents.replace("rollouts", "r1", {"phase": "promoted"}, first)
    stored = documents.get("rollouts", "r1")
    assert stored is not None
    assert stored.body == {"phase": "rolled_back"}


def test_a_replacement_of_what_is_gone_is_refused(documents: Documents) -> None:
    revision = documents.create("rollouts", "r1", {"n": 1})
    documents.delete("rollouts", "r1")
    with pytest.raises(RevisionError):
        documents.replace("rollouts", "r1", {"n": 2}, revision)
    assert documents.get("rollouts", "r1") is None


def test_a_recreated_document_does_not_get_its_old_revision_back(documents: Documents) -> None:
    old = documents.create("rollouts", "r1", {"n": 1})
    documents.delete("rollouts", "r1")
    documents.create("rollouts", "r1", {"n": 1})
    with pytest.raises(RevisionError):
        documents.replace("rollouts", "r1", {"n": 2}, old)


def test_a_replacement_that_changes_nothing_keeps_the_revision(documents: Documents) -> None:
    first = documents.create("rollouts", "r1", {"a": 1, "b": {"x": 1, "y": 2}})
    assert documents.replace("rollouts", "r1", {"b": {"y": 2, "x": 1}, "a": 1}, first) == first
    assert documents.replace("rollouts", "r1", {"b": {"y": 2, "x": 1}, "a": 1.0}, first) != first


def test_a_revision_of_another_store_is_refused_as_a_conflict(documents: Documents) -> None:
    documents.create("rollouts", "r1", {"n": 1})
    with pytest.raises(RevisionError):
        documents.replace("rollouts", "r1", {"n": 2}, "no such revision")


def test_a_guarded_deletion_needs_the_revision_that_is_there(documents: Documents) -> None:
    old = documents.create("rollouts", "r1", {"n": 1})
    new = documents.replace("rollouts", "r1", {"n": 2}, old)
    with pytest.raises(RevisionError):
        documents.delete("rollouts", "r1", old)
    documents.delete("rollouts", "r1", new)
    assert documents.get("rollouts", "r1") is None
    with pytest.raises(RevisionError):
        documents.delete("rollouts", "r1", new)


def test_an_unguarded_deletion_does_not_mind_a_missing_document(documents: Documents) -> None:
    documents.delete("rollouts", "r1")
    assert documents.get("rollouts", "r1") is None


def test_a_batch_does_all_its_writes(documents: Documents) -> None:
    old = documents.create("rollouts", "r1", {"phase": "canary"})
    documents.create("claims", "c1", {})
    revisions = documents.commit(
        [
            Replace("rollouts", "r1", {"phase": "promoted"}, old),
            Create("ledger", "e1", {"decision": "promote"}),
            Delete("claims", "c1"),
        ]
    )
    rollout, entry = documents.get("rollouts", "r1"), documents.get("ledger", "e1")
    assert rollout is not None
    assert entry is not None
    assert revisions == [rollout.revision, entry.revision, ""]
    assert (rollout.body, entry.body) == ({"phase": "promoted"}, {"decision": "promote"})
    assert documents.get("claims", "c1") is None


def test_an_empty_batch_is_nothing_to_do(documents: Documents) -> None:
    assert documents.commit([]) == []


def test_a_batch_with_one_refused_write_does_nothing(documents: Documents) -> None:
    documents.create("ledger", "taken", {"n": 0})
    old = documents.create("rollouts", "r1", {"n": 1})
    new = documents.replace("rollouts", "r1", {"n": 2}, old)
    refused: list[Create | Replace | Delete] = [
        Create("ledger", "taken", {"n": 9}),
        Replace("rollouts", "r1", {"n": 9}, old),
        Replace("rollouts", "missing", {"n": 9}, old),
        Delete("rollouts", "r1", old),
    ]
    for write in refused:
        with pytest.raises(ConflictError):
            documents.commit([Create("claims", "before", {}), write, Create("claims", "after", {})])
    assert documents.query("claims") == []
    stored = documents.get("rollouts", "r1")
    assert stored is not None
    assert (stored.revision, stored.body) == (new, {"n": 2})


def test_an_expiry_is_stored_and_left_to_the_reader(documents: Documents) -> None:
    past = datetime(2001, 2, 3, 4, 5, 6, 789012, tzinfo=timezone(timedelta(hours=2)))
    documents.create("claims", "c1", {"state": "open"}, expires=past)
    stored = documents.get("claims", "c1")
    assert stored is not None
    assert stored.body == {"state": "open"}
    assert stored.expires == past
    assert type(stored.expires) is datetime
    assert stored.expires.tzinfo is UTC


def test_an_expiry_survives_replacements(documents: Documents) -> None:
    expires = datetime(2031, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    created = documents.create("claims", "c1", {"state": "open"}, expires=expires)
    replaced = documents.replace("claims", "c1", {"state": "leased"}, created)
    documents.replace("claims", "c1", {"state": "done"}, replaced)
    (stored,) = documents.query("claims", {"state": "done"})
    assert (stored.body, stored.expires) == ({"state": "done"}, expires)
    documents.delete("claims", "c1", stored.revision)


def test_a_closed_store_can_be_used_again(documents: Documents) -> None:
    documents.create("claims", "c1", {})
    documents.close()
    assert documents.get("claims", "c1") is not None
