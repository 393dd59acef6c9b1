"""Where a store under test is, in a form that can be handed to another process."""

from __future__ import annotations

from dataclasses import dataclass

from shared.store.documents import Documents
from shared.store.firestore import FirestoreDocuments
from shared.store.sqlite import SQLiteDocuments


@dataclass(frozen=True)
class Place:
    """A SQLite file, or a project in Firestore's emulator (which knows any project, each with documents of its own)."""

    kind: str
    address: str

    def open(self) -> Documents:
        return SQLiteDocuments(self.address) if self.kind == "sqlite" else FirestoreDocuments(project=self.address)
