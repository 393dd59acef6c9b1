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
MAX_COMMIT_BYTES = 10 * 1_048_576
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
    path = [where]
    try:
        size = _measure(dict(body), path, 0)
    except _Bad as bad:
        raise PermanentError(f"{''.join(path)}: {bad}") from None
    # 32 bytes for the document, 16 for its name: https://firebase.google.com/docs/firestore/storage-size
    size += 48 + len(where.encode()) + 1
    if size > MAX_DOCUMENT_BYTES:
        raise PermanentError(f"{where}: {size} bytes, {MAX_DOCUMENT_BYTES} is the most; split the document")
    return size


class _Bad(Exception):
    """What is wrong with a value; where it stands is known to whoever walks there."""


def _measure(value: Any, path: list[str], depth: int) -> int:
    """Walk a value; on an error ``path`` is left pointing at it."""
    if depth > MAX_DEPTH:
        raise _Bad(f"nested more than {MAX_DEPTH} deep; flatten the document")
    size = 0
    if isinstance(value, dict):
        for key, item in value.items():
            path.append(f".{key}")
            size += _key_bytes(key) + _measure(item, path, depth + 1)
            path.pop()
    elif isinstance(value, list):
        for position, item in enumerate(value):
            path.append(f"[{position}]")
            if isinstance(item, list):
                raise _Bad("a list directly in a list, which Firestore cannot keep; put an object between them")
            size += _measure(item, path, depth + 1)
            path.pop()
    else:
        size = _scalar(value)
    return size


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
        return _encoded(value) + 1
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
