"""What only a file can do: be removed, replaced, locked, damaged, inherited."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from shared.errors import PermanentError, TransientError
from shared.store import sqlite_query
from shared.store.indexes import INDEXES, Index
from shared.store.sqlite import SQLiteDocuments
from shared.store.sqlite_file import Connections


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def documents(path: Path) -> Iterator[SQLiteDocuments]:
    opened = SQLiteDocuments(path, busy_timeout=0.2)
    yield opened
    opened.close()


def remove(path: Path, *suffixes: str) -> None:
    for suffix in suffixes:
        Path(f"{path}{suffix}").unlink()


@pytest.mark.parametrize("suffixes", [("",), ("", "-wal", "-shm")], ids=["the file alone", "with its logs"])
def test_a_removed_file_is_followed_by_a_fresh_store(
    path: Path, documents: SQLiteDocuments, suffixes: tuple[str, ...]
) -> None:
    documents.create("claims", "old", {"n": 1})
    remove(path, *suffixes)
    assert documents.get("claims", "old") is None
    documents.create("claims", "new", {"n": 2})
    with sqlite3.connect(path) as other:
        rows = other.execute("SELECT id FROM documents").fetchall()
    other.close()
    assert rows == [("new",)]


def test_a_write_right_after_the_removal_goes_to_the_new_file(path: Path, documents: SQLiteDocuments) -> None:
    revision = documents.create("claims", "old", {})
    remove(path, "")
    documents.create("claims", "new", {})
    remove(path, "")
    with pytest.raises(TransientError, match="gone"):
        documents.replace("claims", "old", {"n": 1}, revision)
    assert documents.query("claims") == []


def test_threads_with_connections_to_a_removed_file_do_no_harm_to_the_new_one(
    path: Path, documents: SQLiteDocuments
) -> None:
    with ThreadPoolExecutor(1) as other:
        other.submit(documents.create, "claims", "old", {}).result()
        remove(path, "")
        documents.create("claims", "new", {})
        # The other thread's connection is closed only now, and must leave the new file's log alone.
        other.submit(documents.create, "claims", "newer", {}).result()
    assert [stored.id for stored in documents.query("claims")] == ["new", "newer"]


def test_a_second_store_notices_that_the_first_made_a_new_file(path: Path, documents: SQLiteDocuments) -> None:
    second = SQLiteDocuments(path)
    second.create("claims", "old", {})
    documents.create("claims", "older", {})
    remove(path, "")
    documents.create("claims", "new", {})
    assert [stored.id for stored in second.query("claims")] == ["new"]
    second.create("claims", "newer", {})
    second.close()
    assert [stored.id for stored in documents.query("claims")] == ["new", "newer"]


def test_a_file_removed_during_a_write_is_reported(path: Path) -> None:
    connections = Connections(path, busy_timeout=1)
    with pytest.raises(TransientError, match="removed during a write"), connections.use(writing=True) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO documents (collection, id, revision, body) VALUES ('claims', 'lost', 'r', '{}')"
        )
        remove(path, "")
        connection.execute("COMMIT")
    connections.close()


def test_threads_that_all_find_no_file_make_one(path: Path) -> None:
    documents = SQLiteDocuments(path)
    barrier = threading.Barrier(8)

    def create(n: int) -> None:
        barrier.wait()
        documents.create("claims", f"c{n}", {})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(create, range(8)))
    assert len(documents.query("claims")) == 8
    documents.close()


def test_a_missing_directory_is_named(path: Path, documents: SQLiteDocuments) -> None:
    documents.create("claims", "c1", {})
    documents.close()
    shutil.rmtree(path.parent)
    with pytest.raises(TransientError, match=f"directory {path.parent} does not exist; create it"):
        documents.get("claims", "c1")
    with pytest.raises(TransientError, match=f"directory {path.parent} does not exist; create it"):
        documents.create("claims", "c2", {})
    path.parent.mkdir()
    assert documents.get("claims", "c1") is None


def test_a_relative_path_means_the_directory_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    documents = SQLiteDocuments("store.db")
    monkeypatch.chdir(tmp_path / "elsewhere")
    documents.create("claims", "c1", {})
    documents.close()
    assert (tmp_path / "store.db").exists()


def test_an_empty_file_becomes_a_store(path: Path, documents: SQLiteDocuments) -> None:
    path.touch()
    documents.create("claims", "c1", {})
    assert documents.get("claims", "c1") is not None


def test_a_lock_that_is_held_too_long_is_a_matter_of_time(path: Path, documents: SQLiteDocuments) -> None:
    documents.create("claims", "c1", {})
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError, match=r"store\.db cannot be used now: database is locked"):
        documents.create("claims", "c2", {})
    assert documents.get("claims", "c1") is not None, "readers do not wait for a writer"
    holder.execute("ROLLBACK")
    holder.close()
    documents.create("claims", "c2", {})


def test_a_file_that_is_no_database_is_a_matter_for_a_person(path: Path, documents: SQLiteDocuments) -> None:
    path.write_text("not a database, but long enough to be read as one" * 100)
    with pytest.raises(PermanentError, match="file is not a database; move it away"):
        documents.get("claims", "c1")


def test_on_cloud_run_the_error_says_what_to_set(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SERVICE", "roll-back")
    with pytest.raises(PermanentError, match="STORE=firestore"):
        SQLiteDocuments(path)
    monkeypatch.setenv("STORE_ALLOW_SQLITE", "1")
    SQLiteDocuments(path).close()


def _in_child(connections: Connections, inherited: sqlite3.Connection, answers: multiprocessing.Queue) -> None:
    with connections.use() as own:
        own.execute("INSERT INTO documents (collection, id, revision, body) VALUES ('claims', 'child', 'r', '{}')")
        answers.put(own is inherited)


def test_a_forked_process_opens_the_file_for_itself(path: Path) -> None:
    connections = Connections(path, busy_timeout=1)
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    with connections.use() as inherited:
        child = fork.Process(target=_in_child, args=(connections, inherited, answers))
        child.start()
        assert answers.get(timeout=30) is False
        child.join(30)
        assert child.exitcode == 0
        assert inherited.execute("SELECT id FROM documents").fetchall() == [("child",)]
    connections.close()


def _hold(path: Path, opened: Event, removed: Event, answers: multiprocessing.Queue) -> None:
    documents = SQLiteDocuments(path)
    for n in range(20):
        documents.create("claims", f"old-{n}", {"text": "x" * 3000})
    opened.set()
    removed.wait(30)
    answers.put([stored.id for stored in documents.query("claims")])
    documents.close()


def test_the_log_of_a_removed_file_that_another_process_holds_is_not_taken_over(
    path: Path, documents: SQLiteDocuments
) -> None:
    spawn = multiprocessing.get_context("spawn")
    opened, removed, answers = spawn.Event(), spawn.Event(), spawn.Queue()
    other = spawn.Process(target=_hold, args=(path, opened, removed, answers))
    other.start()
    assert opened.wait(30)
    remove(path, "")
    for n in range(3):
        documents.create("claims", f"new-{n}", {})
    removed.set()
    assert answers.get(timeout=30) == ["new-0", "new-1", "new-2"]
    other.join(30)
    assert other.exitcode == 0


def test_connections_of_finished_threads_are_closed(documents: SQLiteDocuments) -> None:
    def files() -> int:
        return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))

    documents.get("claims", "c1")
    before = files()
    for _ in range(5):
        thread = threading.Thread(target=documents.get, args=("claims", "c1"))
        thread.start()
        thread.join()
    assert files() <= before + 3


@pytest.mark.parametrize("index", INDEXES, ids=str)
def test_every_declared_index_is_used(path: Path, documents: SQLiteDocuments, index: Index) -> None:
    documents.get("claims", "make the file")
    *equal, order = index.fields
    statement, parameters = sqlite_query.select(index.collection, dict.fromkeys(equal, "x"), order, True, 10, "y")
    connection = sqlite3.connect(path)
    plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
    connection.close()
    assert f"USING INDEX {sqlite_query.index_name(index)} " in plan
    assert "TEMP B-TREE" not in plan
