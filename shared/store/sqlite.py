"""The embedded store: one SQLite file, for one machine.

Several processes and threads use it at once: write-ahead log, a connection per thread, writers queue for at most the busy
timeout. It is the default because it needs nothing; it is not for the cloud, where each instance of a function would have
a file of its own and lose it.
"""

# ruff: noqa: A002 - a document's id is called id, as in both databases

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.errors import PermanentError, TransientError
from shared.store import checks, indexes
from shared.store.documents import (
    Create,
    Delete,
    Document,
    ExistsError,
    Replace,
    RevisionError,
    Stored,
    Where,
    Write,
)
from shared.store.sqlite_file import Connections
from shared.store.sqlite_query import select

_GET_ALL = (
    "SELECT id, revision, body, expires FROM documents WHERE collection = ? AND id IN (SELECT value FROM json_each(?))"
)


class SQLiteDocuments:
    """Documents in the file at ``path``, which is made when it is not there; its directory must exist."""

    def __init__(self, path: Path | str, busy_timeout: float = 10.0) -> None:
        _refuse_cloud_run()
        self._connections = Connections(Path(path), busy_timeout)

    def get(self, collection: str, id: str) -> Stored | None:
        found = self.get_all(collection, [id])
        return found[0] if found else None

    def get_all(self, collection: str, ids: Sequence[str]) -> list[Stored]:
        for id_ in ids:
            checks.check_id(collection, id_)
        if not ids:
            return []
        with self._connection() as connection:
            rows = connection.execute(_GET_ALL, (collection, json.dumps(list(ids)))).fetchall()
        found = {row[0]: _stored(row) for row in rows}
        return [found[id_] for id_ in dict.fromkeys(ids) if id_ in found]

    def create(self, collection: str, id: str, body: Document, expires: datetime | None = None) -> str:
        return self.commit([Create(collection, id, body, expires)])[0]

    def replace(self, collection: str, id: str, body: Document, revision: str) -> str:
        return self.commit([Replace(collection, id, body, revision)])[0]

    def delete(self, collection: str, id: str, revision: str | None = None) -> None:
        self.commit([Delete(collection, id, revision)])

    def commit(self, writes: Sequence[Write]) -> list[str]:
        checks.check_writes(writes)
        if not writes:
            return []
        with self._connection(writing=True) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                revisions = [_apply(connection, write) for write in writes]
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.rollback()
        return revisions

    def query(
        self,
        collection: str,
        where: Where | None = None,
        order_by: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        after: Any = None,
    ) -> list[Stored]:
        where = where or {}
        checks.check_query(collection, where, order_by, descending, limit, after)
        indexes.check(collection, where, order_by)
        if () in where.values():
            return []
        statement, parameters = select(collection, where, order_by, descending, limit, after)
        with self._connection() as connection:
            return [_stored(row) for row in connection.execute(statement, parameters).fetchall()]

    def close(self) -> None:
        self._connections.close()

    @contextmanager
    def _connection(self, writing: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection, and the driver's errors in the project's words."""
        path = self._connections.path
        try:
            with self._connections.use(writing) as connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise TransientError(
                f"the store {path} cannot be used now: {error}; try again, or look at the file"
            ) from error
        except sqlite3.Error as error:
            raise PermanentError(f"the store {path} is not usable: {error}; move it away and start afresh") from error
        except OSError as error:
            raise TransientError(f"the store {path} cannot be reached: {error}; look at its directory") from error


def _refuse_cloud_run() -> None:
    # https://cloud.google.com/run/docs/container-contract#env-vars: set in every service, so in every function.
    if os.environ.get("K_SERVICE") and os.environ.get("STORE_ALLOW_SQLITE") != "1":
        raise PermanentError(
            "the SQLite store does not work on Cloud Run: each instance would have a file of its own and lose it. "
            "Set STORE=firestore (or STORE_ALLOW_SQLITE=1 where losing everything is fine)"
        )


def _apply(connection: sqlite3.Connection, write: Write) -> str:
    """One write inside a transaction; the new revision."""
    key = (write.collection, write.id)
    name = f"{write.collection}/{write.id}"
    row = connection.execute("SELECT revision, body FROM documents WHERE collection = ? AND id = ?", key).fetchone()
    if isinstance(write, Create):
        if row is not None:
            raise ExistsError(f"{name} exists already; read it and decide again")
        revision = uuid.uuid4().hex
        expires = None if write.expires is None else write.expires.astimezone(UTC).isoformat()
        values = (*key, revision, _text(write.body), expires)
        connection.execute(
            "INSERT INTO documents (collection, id, revision, body, expires) VALUES (?, ?, ?, ?, ?)", values
        )
        return revision
    if write.revision is not None and (row is None or row[0] != write.revision):
        state = "is gone" if row is None else "was changed by another writer"
        raise RevisionError(f"{name} {state} since it was read; read it and decide again")
    if isinstance(write, Delete):
        connection.execute("DELETE FROM documents WHERE collection = ? AND id = ?", key)
        return ""
    body = _text(write.body)
    if body == row[1]:
        return write.revision
    revision = uuid.uuid4().hex
    connection.execute(
        "UPDATE documents SET revision = ?, body = ? WHERE collection = ? AND id = ?", (revision, body, *key)
    )
    return revision


def _text(body: Document) -> str:
    return json.dumps(dict(body), ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _stored(row: tuple[str, str, str, str | None]) -> Stored:
    id_, revision, body, expires = row
    return Stored(id_, revision, json.loads(body), None if expires is None else datetime.fromisoformat(expires))
