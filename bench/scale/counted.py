"""A document store that counts what is asked of it, and takes as long as one over a network."""

# ruff: noqa: A002 - a document's id is called id, as in the interface

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.store.documents import Document, Documents, Stored, Where, Write


class CountedDocuments:
    """Over any store. ``counts``: calls, documents read, documents written, and commits."""

    def __init__(self, documents: Documents, delay: float = 0.0) -> None:
        self.counts: Counter[str] = Counter()
        self._documents = documents
        self._delay = delay

    def get(self, collection: str, id: str) -> Stored | None:
        found = self._documents.get(collection, id)
        self._count(f"get {collection}", read=1)
        return found

    def get_all(self, collection: str, ids: Sequence[str]) -> list[Stored]:
        found = self._documents.get_all(collection, ids)
        self._count(f"get_all {collection}", read=len(ids))
        return found

    def create(self, collection: str, id: str, body: Document, expires: datetime | None = None) -> str:
        self._count(f"create {collection}", written=1)
        return self._documents.create(collection, id, body, expires)

    def replace(self, collection: str, id: str, body: Document, revision: str) -> str:
        self._count(f"replace {collection}", written=1)
        return self._documents.replace(collection, id, body, revision)

    def delete(self, collection: str, id: str, revision: str | None = None) -> None:
        self._count(f"delete {collection}", written=1)
        self._documents.delete(collection, id, revision)

    def commit(self, writes: Sequence[Write]) -> list[str]:
        self._count("commit", written=len(writes))
        return self._documents.commit(writes)

    def query(
        self,
        collection: str,
        where: Where | None = None,
        order_by: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        after: Any = None,
    ) -> list[Stored]:
        found = self._documents.query(collection, where, order_by, descending, limit, after)
        self._count(f"query {collection}", read=len(found))
        return found

    def close(self) -> None:
        self._documents.close()

    def _count(self, call: str, read: int = 0, written: int = 0) -> None:
        self.counts["calls"] += 1
        self.counts[call] += 1
        self.counts["documents read"] += read
        self.counts["documents written"] += written
        if self._delay:
            time.sleep(self._delay)
