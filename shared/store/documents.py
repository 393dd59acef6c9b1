"""The document layer: what every store offers, whatever keeps the documents.

A document is a JSON-like mapping in a collection, under an id. The interface is small on purpose: it is what Firestore
does well without read-modify-write transactions (create-if-absent, compare-and-set, atomic batches) and what an embedded
database can promise as well. Two rules follow from Firestore and hold for every adapter:

- A revision names a content. A replacement that changes nothing keeps the revision (proto comment of
  ``WriteResult.update_time``); a deleted and recreated document never gets an old revision back.
- After a TransientError of a write it is unknown whether the write happened: only reads are retried here. A caller that
  tries again may meet an ExistsError or a RevisionError that it caused itself, and must look at what is there.
"""

# ruff: noqa: A002 - a document's id is called id, as in both databases

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.errors import ConflictError

Document = Mapping[str, Any]
"""str, int (64 bits), finite float, bool, None, list and dict with str keys; times are ISO strings. See checks.py."""

Value = str | int | bool
"""What a query can compare a field with."""

Where = Mapping[str, Value | tuple[Value, ...]]
"""Top-level fields and the value each must equal; a tuple means any of its values."""


class ExistsError(ConflictError):
    """A document to be created is already there."""


class RevisionError(ConflictError):
    """A document is no longer at the revision that was read, or is gone."""


@dataclass(frozen=True)
class Stored:
    """A document as it was read."""

    id: str
    revision: str
    """Opaque; only good for a replacement or deletion of this document in the store that gave it."""
    body: dict[str, Any]
    """The reader's own copy."""
    expires: datetime | None = None
    """When the document may be removed, in UTC. Removal comes late or never: whoever cares compares it with now."""


@dataclass(frozen=True)
class Create:
    """Write a document that must not exist yet."""

    collection: str
    id: str
    body: Document
    expires: datetime | None = None


@dataclass(frozen=True)
class Replace:
    """Write the whole body of a document that must still be at ``revision``; its expiry stays as it was."""

    collection: str
    id: str
    body: Document
    revision: str


@dataclass(frozen=True)
class Delete:
    """Remove a document; without a revision it may have changed, or be gone already."""

    collection: str
    id: str
    revision: str | None = None


Write = Create | Replace | Delete


class Documents(Protocol):
    """A store of documents. Safe to share between threads; several processes may use the same store at once.

    Raises TransientError when the store cannot be reached, is locked for too long or contended, and PermanentError for
    what no store would accept. No error of a driver gets through.
    """

    def get(self, collection: str, id: str) -> Stored | None:
        """The document, or None."""
        ...

    def get_all(self, collection: str, ids: Sequence[str]) -> list[Stored]:
        """The documents that exist among ``ids``, each once, in the order asked."""
        ...

    def create(self, collection: str, id: str, body: Document, expires: datetime | None = None) -> str:
        """Write a new document and return its revision; ExistsError if there is one."""
        ...

    def replace(self, collection: str, id: str, body: Document, revision: str) -> str:
        """Write the whole body over ``revision`` and return the new one; RevisionError if it changed or is gone."""
        ...

    def delete(self, collection: str, id: str, revision: str | None = None) -> None:
        """Remove a document; RevisionError if a revision was given and it changed or is gone."""
        ...

    def commit(self, writes: Sequence[Write]) -> list[str]:
        """Do all the writes or none; their revisions in order, "" for a deletion. A document may occur once."""
        ...

    def query(
        self,
        collection: str,
        where: Where | None = None,
        order_by: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        after: Any = None,
    ) -> list[Stored]:
        """The documents whose fields equal ``where``, in the order of a field (documents without it are left out).

        Equal ones follow by id in the same direction; without ``order_by`` the order is by id. ``after`` keeps what lies
        strictly beyond that value, among values of its type: a page that ends between equal values loses the rest of
        them, so page by a field that is unique. A query that needs an index that is not declared is refused (indexes.py).
        """
        ...

    def close(self) -> None:
        """Let go of connections. The store may be used again; it then connects anew."""
        ...
