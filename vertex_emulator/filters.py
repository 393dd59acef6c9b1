"""The list filter of Vertex AI (AIP-160 as far as its services document it), ordering and page tokens.

``labels.k=v``, ``labels.k:*``, ``labels:k``, ``display_name="x"``, ``display_name:"x*"``, ``state=JOB_STATE_SUCCEEDED``,
``create_time>"2026-01-01T00:00:00Z"``, with ``AND``, ``OR``, ``NOT`` and parentheses; snake and camel case
(types/model_service.py: ListModelsRequest.filter; types/job_service.py: ListCustomJobsRequest.filter).
"""

from __future__ import annotations

import base64
import fnmatch
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from vertex_emulator.errors import invalid

Item = TypeVar("Item")
Value = str | bool | datetime | Mapping[str, str]
Fields = Callable[[str], Value | None]
"""Gives the value of a field by its snake-case name; ``None`` for a field that has no value."""
Predicate = Callable[[Fields], bool]

_TOKEN = re.compile(
    r'\s*(?:(?P<paren>[()])|(?P<op><=|>=|!=|=|<|>|:)|"(?P<text>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()=<>!:"]+))'
)
_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
DEFAULT_PAGE = 100
LARGEST_PAGE = 1000


def compile_filter(text: str, fields: Iterable[str]) -> Predicate:
    """Return a predicate; ``fields`` are the fields that this list method documents."""
    tokens = _tokens(text)
    if not tokens:
        return lambda _: True
    parser = _Parser(tokens, text, frozenset(fields))
    try:
        predicate = parser.either()
    except RecursionError:
        invalid(f"Invalid filter: it is nested too deeply ({len(text)} characters).")
    parser.expect_end()
    return predicate


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            invalid(f"Invalid filter {text!r}: cannot read it at character {at}.")
        kind = str(match.lastgroup)
        tokens.append((kind, re.sub(r"\\(.)", r"\1", match[kind])))
        at = match.end()
    return tokens


class _Parser:
    """Recursive descent over either = both (OR both)*, both = term (AND? term)*."""

    def __init__(self, tokens: Sequence[tuple[str, str]], text: str, fields: frozenset[str]) -> None:
        self._tokens = tokens
        self._text = text
        self._fields = fields
        self._at = 0

    def either(self) -> Predicate:
        parts = [self._both()]
        while self._take("word", "OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda item: any(part(item) for part in parts)

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            self._fail()

    def _both(self) -> Predicate:
        parts = [self._term()]
        while self._at < len(self._tokens) and self._peek() not in (("word", "OR"), ("paren", ")")):
            self._take("word", "AND")
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else lambda item: all(part(item) for part in parts)

    def _term(self) -> Predicate:
        if self._take("word", "NOT"):
            inner = self._term()
            return lambda item: not inner(item)
        if self._take("paren", "("):
            inner = self.either()
            if not self._take("paren", ")"):
                self._fail()
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        field = _snake(self._next("word"))
        sign = self._next("op")
        value = self._next("text", "word")
        name, _, key = field.partition(".")
        if name not in self._fields:
            invalid(f"Invalid filter {self._text!r}: field {name!r} cannot be filtered on here.")
        if name == "labels":
            return self._label(key, sign, value)
        if sign == ":":
            return lambda item: fnmatch.fnmatchcase(_text(item(field)), value)
        return _compare(field, sign, value, self._text)

    def _label(self, key: str, sign: str, value: str) -> Predicate:
        if sign == ":":
            wanted = key or value
            exact = None if not key or value == "*" else value
            return lambda item: wanted in _labels(item) and exact in (None, _labels(item)[wanted])
        if not key or sign not in ("=", "!="):
            self._fail()
        return lambda item: (_labels(item).get(key) == value) == (sign == "=")

    def _peek(self) -> tuple[str, str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, kind: str, value: str) -> bool:
        if self._peek() != (kind, value):
            return False
        self._at += 1
        return True

    def _next(self, *kinds: str) -> str:
        token = self._peek()
        if token is None or token[0] not in kinds:
            self._fail()
        self._at += 1
        return token[1]

    def _fail(self) -> NoReturn:
        invalid(f"Invalid filter {self._text!r}.")


def _labels(item: Fields) -> Mapping[str, str]:
    labels = item("labels")
    return labels if isinstance(labels, Mapping) else {}


def _text(value: Value | None) -> str:
    return value if isinstance(value, str) else ""


def _snake(field: str) -> str:
    head, dot, key = field.partition(".")
    return re.sub(r"(?<!^)([A-Z])", r"_\1", head).lower() + dot + key


def _compare(field: str, sign: str, value: str, text: str) -> Predicate:
    compare = _ORDER[sign]
    if field.endswith("_time"):
        try:
            limit = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            invalid(f"Invalid filter {text!r}: {value!r} is not an RFC 3339 time.")
        limit = limit if limit.tzinfo else limit.replace(tzinfo=UTC)

        def by_time(item: Fields) -> bool:
            actual = item(field)
            return isinstance(actual, datetime) and bool(compare(actual, limit))

        return by_time
    if sign not in ("=", "!="):
        invalid(f"Invalid filter {text!r}: field {field!r} supports = and != only.")

    def by_value(item: Fields) -> bool:
        actual = item(field)
        return bool(compare(str(actual).lower() if isinstance(actual, bool) else actual, value))

    return by_value


def order(items: Sequence[Item], order_by: str, fields: Callable[[Item], Fields], allowed: Iterable[str]) -> list[Item]:
    """Return the items ordered by e.g. ``create_time desc, display_name``."""
    ordered = list(items)
    for part in reversed([part.split() for part in order_by.split(",") if part.strip()]):
        name = _snake(part[0])
        if name not in set(allowed) or len(part) > 2 or (len(part) == 2 and part[1].lower() not in ("asc", "desc")):
            invalid(f"Invalid order_by {order_by!r}: a comma-separated list of {', '.join(allowed)}, each with desc.")
        ordered.sort(key=lambda item: str(fields(item)(name)), reverse=part[-1].lower() == "desc")
    return ordered


def page(items: Sequence[Item], page_size: int, page_token: str) -> tuple[Sequence[Item], str]:
    """Return one page and the token of the next, "" after the last."""
    try:
        start = int(base64.urlsafe_b64decode(page_token.encode()).decode()) if page_token else 0
    except ValueError:
        invalid(f"Invalid page_token {page_token!r}.")
    if page_size < 0:
        invalid(f"page_size must not be negative; it is {page_size}.")
    end = start + min(page_size or DEFAULT_PAGE, LARGEST_PAGE)
    token = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else ""
    return items[start:end], token
