"""The filter language of subscriptions, compiled to a predicate on a message's attributes.

Grammar (https://cloud.google.com/pubsub/docs/subscription-message-filter#filtering_syntax)::

    expression = term { "AND" term } | term { "OR" term }      AND and OR are mixed only with parentheses
    term       = [ "NOT" | "-" ] factor
    factor     = "(" expression ")" | "attributes" ":" key
               | "attributes" "." key ( "=" | "!=" ) string
               | "hasPrefix" "(" "attributes" "." key "," string ")"

Google's emulator (0.8.20) stores filters without applying them, and accepts nonsense. Here a mistake is refused when the
subscription is created, as in production.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

Predicate = Callable[[Mapping[str, str]], bool]

MAX_BYTES = 256
"""The length the service allows."""

_TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<name>[A-Za-z0-9_][A-Za-z0-9_-]*)|(?P<symbol>!=|[.:=(),-]))'
)


class FilterError(ValueError):
    """The expression is not one of the filter language."""


def compile_filter(expression: str) -> Predicate:
    """The predicate of an expression; an empty one matches everything."""
    if not expression.strip():
        return lambda _attributes: True
    if (size := len(expression.encode(errors="replace"))) > MAX_BYTES:
        raise FilterError(f"A filter has at most {MAX_BYTES} bytes; this one has {size}.")
    return _Parser(expression).parse()


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = _tokens(expression)
        self._at = 0

    def parse(self) -> Predicate:
        predicate = self._expression_of()
        if self._peek():
            raise self._error("an operator or the end")
        return predicate

    def _expression_of(self) -> Predicate:
        terms = [self._term()]
        operator = ""
        while self._peek() in ("AND", "OR"):
            found = self._next()
            if operator and found != operator:
                raise FilterError(f"AND and OR are mixed only with parentheses: {self._expression!r}.")
            operator = found
            terms.append(self._term())
        if operator == "OR":
            return lambda attributes: any(term(attributes) for term in terms)
        return lambda attributes: all(term(attributes) for term in terms)

    def _term(self) -> Predicate:
        if self._peek() in ("NOT", "-"):
            self._next()
            factor = self._factor()
            return lambda attributes: not factor(attributes)
        return self._factor()

    def _factor(self) -> Predicate:
        head = self._next()
        if head == "(":
            inner = self._expression_of()
            self._expect(")")
            return inner
        if head == "hasPrefix":
            return self._has_prefix()
        if head != "attributes":
            raise self._error("'attributes', 'hasPrefix', 'NOT' or '('", back=1)
        if self._peek() == ":":
            self._next()
            key = self._key()
            return lambda attributes: key in attributes
        self._expect(".")
        return self._comparison()

    def _comparison(self) -> Predicate:
        key = self._key()
        operator = self._next()
        if operator not in ("=", "!="):
            raise self._error("'=' or '!='", back=1)
        value = self._string()
        if operator == "=":
            return lambda attributes: attributes.get(key) == value
        # Documented as "messages without the key:value attribute": a message without the key matches too.
        return lambda attributes: attributes.get(key) != value

    def _has_prefix(self) -> Predicate:
        for expected in ("(", "attributes", "."):
            self._expect(expected)
        key = self._key()
        self._expect(",")
        prefix = self._string()
        self._expect(")")
        return lambda attributes: key in attributes and attributes[key].startswith(prefix)

    def _key(self) -> str:
        token = self._next()
        if token.startswith('"'):
            return _unquote(token)
        if not token or not (token[0].isalnum() or token[0] == "_"):
            raise self._error("the key of an attribute", back=1)
        return token

    def _string(self) -> str:
        token = self._next()
        if not token.startswith('"'):
            raise self._error("a string in double quotes", back=1)
        return _unquote(token)

    def _expect(self, symbol: str) -> None:
        if self._next() != symbol:
            raise self._error(repr(symbol), back=1)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _error(self, wanted: str, back: int = 0) -> FilterError:
        self._at -= back
        found = repr(self._peek()) if self._peek() else "the end"
        return FilterError(f"Filter {self._expression!r}: expected {wanted}, found {found}.")


def _tokens(expression: str) -> list[str]:
    found: list[str] = []
    at = 0
    text = expression.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FilterError(f"Filter {expression!r}: {text[at:].strip()[:20]!r} is not part of the language.")
        found.append(match.group().strip())
        at = match.end()
    return found


def _unquote(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError as error:
        raise FilterError(f"String {token}: only the escapes of JSON are understood here.") from error
