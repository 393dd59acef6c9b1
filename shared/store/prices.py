"""Prices that people have put into force: one file of prices, laid over the shipped ones by every function that asks."""

from __future__ import annotations

from shared.errors import PermanentError
from shared.store.documents import Documents

_COLLECTION, _ID = "prices", "override"
LARGEST = 900_000
"""Bytes of a file: a document has a megabyte."""


class Prices:
    """The file as it was written, with its author."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def text(self) -> str:
        """Empty where there is none."""
        stored = self._documents.get(_COLLECTION, _ID)
        return str(stored.body["text"]) if stored else ""

    def put(self, text: str, author: str) -> None:
        """Replaces the one before; an empty text takes it away."""
        if len(text.encode()) > LARGEST:
            raise PermanentError(
                f"the file of prices has more than {LARGEST} bytes; leave out regions that you do not use"
            )
        stored = self._documents.get(_COLLECTION, _ID)
        body = {"text": text, "by": author}
        if stored is None:
            self._documents.create(_COLLECTION, _ID, body)
        else:
            self._documents.replace(_COLLECTION, _ID, body, stored.revision)
