"""What no store accepts, checked before any is asked, so that all refuse the same things with the same words.

The limits are Firestore's (firebase.google.com/docs/firestore/quotas and .../storage-size): a document that fits there
fits anywhere, and one that does not should fail on the machine where it was written, not in production.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.errors import PermanentError
from shared.store.documents import Create, Delete, Document, Where, Write

MAX_DOCUMENT_BYTES = 1_048_576
"""As Firestore counts: names and text in UTF-8 plus one byte, numbers eight bytes; not the length of the JSON."""
MAX_TEXT_BYTES = MAX_DOCUMENT_BYTES - 89
"""Of one field value; a document has room for its name beside it."""
MAX_COMMIT_BYTES = 10 * 1_048_576
MAX_INDEX_ENTRIES = 40_000
"""Firestore indexes every field by itself; the emulator does not count, production refuses the document."""
MAX_ID_BYTES = 1_500
MAX_DEPTH = 20
MAX_ALTERNATIVES = 30
"""Firestore rewrites a query with tuples into at most this many plain ones."""
INT64 = range(-(2**63), 2**63)
EXPIRES = "expires"
"""The field in which Firestore's time-to-live policy looks; a body cannot have one of its own at the top."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = re.compile(r"__.*__", re.DOTALL)


def check_collection(collection: str) -> None:
    """Collections are named in code, never by data: plain names, safe in any query language."""
    if not _NAME.fullmatch(collection):
        raise PermanentError(f"collection {collection!r}: use letters, digits and underscores, beginning with a letter")


def check_id(collection: str, id_: str) -> None:
    """Refuse an id that Firestore cannot address."""
    check_collection(collection)
    where = f"id {id_!r} in {collection}"
    if not id_ or id_ in {".", ".."} or "/" in id_ or _RESERVED.fullmatch(id_):
        raise PermanentError(
            f"{where}: an id is not empty, '.', '..' or like '__x__', and has no slash; choose another"
        )
    if _text_bytes(id_, where) > MAX_ID_BYTES:
        raise PermanentError(f"{where}: an id has at most {MAX_ID_BYTES} bytes; shorten it, for instance by a hash")


def check_writes(writes: Sequence[Write]) -> None:
    """Refuse a batch of which any write is bad, or that names a document twice."""
    seen: set[tuple[str, str]] = set()
    total = 0
    for write in writes:
        check_id(write.collection, write.id)
        where = f"{write.collection}/{write.id}"
        if (write.collection, write.id) in seen:
            raise PermanentError(f"{where} occurs twice in one commit; write each document once")
        seen.add((write.collection, write.id))
        if isinstance(write, Create) and write.expires is not None and write.expires.tzinfo is None:
            raise PermanentError(f"{where}: expires {write.expires} has no time zone; make it aware")
        if not isinstance(write, Delete):
            total += _check_body(where, write.body)
    if total > MAX_COMMIT_BYTES:
        raise PermanentError(f"a commit of {total} bytes; {MAX_COMMIT_BYTES} is the most, split it")


def check_query(
    collection: str, where: Where, order_by: str | None, descending: bool, limit: int | None, after: Any
) -> None:
    """Refuse a query that the two stores would answer differently, or one of them not at all."""
    check_collection(collection)
    for field in (*where, *([] if order_by is None else [order_by])):
        if not _NAME.fullmatch(field):
            raise PermanentError(f"query on {collection}: {field!r} is not a plain top-level field")
    alternatives = 1
    for field, wanted in where.items():
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        alternatives *= max(1, len(values))
        for value in values:
            _check_operand(f"query on {collection}: {field}", value, (str, int))
    if alternatives > MAX_ALTERNATIVES:
        raise PermanentError(
            f"query on {collection}: {alternatives} combinations of values, {MAX_ALTERNATIVES} is the most; ask in parts"
        )
    if limit is not None and limit < 1:
        raise PermanentError(f"query on {collection}: limit {limit}; give 1 or more, or None for all")
    if order_by is None and (descending or after is not None):
        raise PermanentError(f"query on {collection}: 'descending' and 'after' need 'order_by'")
    if after is not None:
        _check_operand(f"query on {collection}: after", after, (str, int, float))
        if isinstance(after, bool):
            raise PermanentError(f"query on {collection}: after {after}; order by text or a number")


def _check_operand(where: str, value: Any, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds):
        raise PermanentError(f"{where}: cannot compare with {value!r}; use {' or '.join(k.__name__ for k in kinds)}")
    _scalar_bytes(value, where)


def _check_body(where: str, body: Document) -> int:
    """The size of a document in bytes, if it is one that every store keeps unchanged."""
    if EXPIRES in body:
        raise PermanentError(
            f"{where}: the field {EXPIRES!r} is the store's own; pass the time as 'expires' of the write"
        )
    walk = _Walk(where)
    try:
        walk.visit(dict(body), 0)
    except _Bad as bad:
        raise PermanentError(f"{''.join(walk.path)}: {bad}") from None
    if walk.size > MAX_DOCUMENT_BYTES:
        raise PermanentError(f"{where}: {walk.size} bytes, {MAX_DOCUMENT_BYTES} is the most; split the document")
    if walk.index_entries > MAX_INDEX_ENTRIES:
        message = f"{where}: {walk.index_entries} index entries, {MAX_INDEX_ENTRIES} is the most"
        raise PermanentError(f"{message}; split the document, or keep what no query asks for as JSON text in one field")
    return walk.size


class _Bad(Exception):
    """What is wrong with a value; where it stands is known to whoever walks there."""


class _Walk:
    """Goes through a document, adding up; on an error ``path`` points at the value."""

    def __init__(self, where: str) -> None:
        self.path = [where]
        self.size = 48 + len(where.encode()) + 1
        """32 bytes for the document and 16 for its name, beside the name itself."""
        self.index_entries = -2
        """Two for each field, up and down, and one for each element of a list; the document as such is no field."""

    def visit(self, value: Any, depth: int, indexed: bool = True) -> None:
        if depth > MAX_DEPTH:
            raise _Bad(f"nested more than {MAX_DEPTH} deep; flatten the document")
        self.index_entries += 2 if indexed else 0
        if isinstance(value, dict):
            for key, item in value.items():
                self.path.append(f".{key}")
                self.size += _key_bytes(key)
                self.visit(item, depth + 1, indexed)
                self.path.pop()
        elif isinstance(value, list):
            self.index_entries += len(value) if indexed else 0
            for position, item in enumerate(value):
                self.path.append(f"[{position}]")
                if isinstance(item, list):
                    raise _Bad("a list directly in a list, which Firestore cannot keep; put an object between them")
                self.visit(item, depth + 1, indexed=False)
                self.path.pop()
        else:
            self.size += _scalar(value)


def _key_bytes(key: Any) -> int:
    if not isinstance(key, str):
        raise _Bad(f"the key {key!r} is not text")
    if not key or _RESERVED.fullmatch(key):
        raise _Bad("a key is not empty and not like '__x__'")
    size = _encoded(key)
    if size > MAX_ID_BYTES:
        raise _Bad(f"a key has at most {MAX_ID_BYTES} bytes")
    return size + 1


def _scalar(value: Any) -> int:
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, str):
        size = _encoded(value)
        if size > MAX_TEXT_BYTES:
            raise _Bad(f"a text of {size} bytes, {MAX_TEXT_BYTES} is the most; split the document")
        return size + 1
    if isinstance(value, int):
        if value not in INT64:
            raise _Bad(f"{value} does not fit in 64 bits; write it as text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _Bad(f"{value} is not a JSON number; write None or leave it out")
    else:
        advice = (
            "write it as an ISO string"
            if isinstance(value, datetime)
            else "use str, int, float, bool, None, list or dict"
        )
        raise _Bad(f"cannot keep a {type(value).__name__}; {advice}")
    return 8


def _encoded(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise _Bad(f"{text!r} is not valid Unicode (a lone surrogate)") from None


def _scalar_bytes(value: Any, where: str) -> int:
    try:
        return _scalar(value)
    except _Bad as bad:
        raise PermanentError(f"{where}: {bad}") from None


def _text_bytes(text: str, where: str) -> int:
    return _scalar_bytes(text, where) - 1
