"""Monitoring filters: the expressions that select time series, metric descriptors, policies and channels.

    metric.type = "..." AND resource.labels.endpoint_id = one_of("1", "2") AND NOT metric.labels.response_code = starts_with("2")

Terms side by side are joined by AND, as in Google's own samples of alert policies; OR binds tighter than AND (AIP-160), and
parentheses decide where that matters. Grammar: https://cloud.google.com/monitoring/api/v3/filters
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from vertex_emulator.monitoring.rpc import invalid_field
from vertex_emulator.monitoring.series import SeriesId

Resolve = Callable[[str], str]
"""Gives the value of a selector such as ``resource.labels.endpoint_id``; empty where the object has none."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<op>!=|>=|<=|=|:|>|<|\(|\)|,|-(?=[A-Za-z]))|(?P<word>[^\s"'()=!<>:,]+))"""
)
_FUNCTIONS: dict[str, Callable[[str, tuple[str, ...]], bool]] = {
    "one_of": lambda actual, values: actual in values,
    "starts_with": lambda actual, values: actual.startswith(values[0]),
    "ends_with": lambda actual, values: actual.endswith(values[0]),
    "has_substring": lambda actual, values: values[0] in actual,
    "monitoring.regex.full_match": lambda actual, values: re.fullmatch(values[0], actual) is not None,
}


@dataclass(frozen=True)
class Comparison:
    """``selector operator value``; ``function`` is empty for a plain value."""

    selector: str
    operator: str
    function: str
    values: tuple[str, ...]

    def matches(self, resolve: Resolve) -> bool:
        """Whether the object that ``resolve`` describes satisfies the comparison."""
        actual = resolve(self.selector)
        held = self._holds(actual)
        return not held if self.operator == "!=" else held

    def _holds(self, actual: str) -> bool:
        value = self.values[0]
        if self.function:
            return _FUNCTIONS[self.function](actual, self.values)
        if self.operator == ":":
            return value in actual if value != "*" else actual != ""
        if self.operator in ("=", "!="):
            return actual == value
        return _ordered(actual, self.operator, value)


@dataclass(frozen=True)
class Combination:
    """``AND``, ``OR`` or ``NOT`` of its terms."""

    word: str
    terms: tuple[Expression, ...]

    def matches(self, resolve: Resolve) -> bool:
        """Whether the object that ``resolve`` describes satisfies the combination."""
        if self.word == "NOT":
            return not self.terms[0].matches(resolve)
        return (all if self.word == "AND" else any)(term.matches(resolve) for term in self.terms)


Expression = Comparison | Combination


def _ordered(actual: str, operator: str, value: str) -> bool:
    try:
        left, right = float(actual), float(value)
    except ValueError:
        return False
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]


def parse(text: str, field: str = "filter") -> Expression:
    """Read a filter; a mistake is INVALID_ARGUMENT, naming the place."""
    parser = _Parser(text, field)
    try:
        return parser.read()
    except RecursionError:
        raise parser.error("It is nested too deeply.") from None


class _Parser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, text: str, field: str) -> None:
        self.text, self.field = text, field
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                raise self.error(f"Unexpected character at position {at + 1}.")
            kind = match.lastgroup or ""
            self.tokens.append((kind, match.group(kind)))
            at = match.end()
        self.position = 0

    def error(self, why: str) -> Exception:
        return invalid_field(self.field, self.text, why)

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "end of filter")

    def take(self, expected: str | None = None) -> tuple[str, str]:
        token = self.peek()
        if token[0] == "end" or (expected is not None and token != ("op", expected)):
            raise self.error(f"Expected {expected or 'a term'}, found {token[1]}.")
        self.position += 1
        return token

    def read(self) -> Expression:
        expression = self.conjunction()
        if self.peek()[0] != "end":
            raise self.error(f"Unexpected {self.peek()[1]}.")
        return expression

    def conjunction(self) -> Expression:
        terms = [self.disjunction()]
        while self.peek()[0] != "end" and self.peek() != ("op", ")"):
            if self.peek() == ("word", "AND"):
                self.take()
            terms.append(self.disjunction())
        return terms[0] if len(terms) == 1 else Combination("AND", tuple(terms))

    def disjunction(self) -> Expression:
        terms = [self.term()]
        while self.peek() == ("word", "OR"):
            self.take()
            terms.append(self.term())
        return terms[0] if len(terms) == 1 else Combination("OR", tuple(terms))

    def term(self) -> Expression:
        if self.peek() in (("word", "NOT"), ("op", "-")):
            self.take()
            return Combination("NOT", (self.term(),))
        if self.peek() == ("op", "("):
            self.take()
            inner = self.conjunction()
            self.take(")")
            return inner
        return self.comparison()

    def comparison(self) -> Comparison:
        kind, selector = self.take()
        if kind != "word":
            raise self.error(f"Expected a selector such as metric.type, found {selector}.")
        while self.peek()[0] == "string" and selector.endswith("."):  # resource.labels."endpoint_id"
            selector += _unquoted(self.take()[1])
        operator = self.take()[1]
        if operator not in ("=", "!=", ":", "<", "<=", ">", ">="):
            raise self.error(f"Expected a comparison after {selector}, found {operator}.")
        kind, value = self.take()
        if kind == "word" and self.peek() == ("op", "("):
            return self.function(selector, operator, value)
        if kind == "op":
            raise self.error(f"Expected a value after {selector} {operator}, found {value}.")
        return Comparison(_normal(selector), operator, "", (_unquoted(value),))

    def function(self, selector: str, operator: str, name: str) -> Comparison:
        if name not in _FUNCTIONS or operator not in ("=", "!="):
            raise self.error(f"The function {name} cannot be used with {operator} here.")
        self.take("(")
        values = [_unquoted(self.take()[1])]
        while self.peek() == ("op", ","):
            self.take()
            values.append(_unquoted(self.take()[1]))
        self.take(")")
        return Comparison(_normal(selector), operator, name, tuple(values))


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1]) if token[:1] in ("'", '"') else token


def _normal(selector: str) -> str:
    """``metric.label.x`` and ``metric.labels.x`` are the same selector."""
    return re.sub(r"^(metric|resource)\.label\.", r"\1.labels.", selector)


@dataclass(frozen=True)
class SeriesFilter:
    """A filter over time series: exactly one metric type, and what else must hold."""

    metric: str
    expression: Expression

    def matches(self, id_: SeriesId) -> bool:
        """Whether the series is selected."""
        return self.expression.matches(lambda selector: field_of(id_, selector))


def series_filter(text: str, field: str = "filter", *, resource_type: bool = False) -> SeriesFilter:
    """Read a filter that must name exactly one metric type, and for an alert policy the resource type too."""
    expression = parse(text, field) if text.strip() else Combination("AND", ())
    named = [c for c in _comparisons(expression) if c.selector == "metric.type"]
    required = [
        c for c in _required(expression) if c.selector == "metric.type" and c.operator == "=" and not c.function
    ]
    if len(named) != 1 or len(required) != 1:
        raise invalid_field(field, text, 'The filter must specify exactly one metric type: metric.type = "...".')
    for comparison in _comparisons(expression):
        if not _is_known(comparison.selector):
            raise invalid_field(field, text, f"The selector {comparison.selector} is not supported.")
    if resource_type and not any(c.selector == "resource.type" for c in _comparisons(expression)):
        why = (
            'must specify a restriction on "resource.type" in the filter; see '
            '"https://cloud.google.com/monitoring/api/resources" for a list of available resource types.'
        )
        raise invalid_field(field, text, why)
    return SeriesFilter(required[0].values[0], expression)


def field_of(id_: SeriesId, selector: str) -> str:
    """The value of a selector for one series; empty where the series has no such label."""
    if selector == "metric.type":
        return id_.metric
    if selector == "resource.type":
        return id_.resource
    owner, label = owner_and_label(selector)
    for key, value in id_.metric_labels if owner == "metric" else id_.resource_labels if owner == "resource" else ():
        if key == label:
            return value
    return ""


@lru_cache(maxsize=1024)
def owner_and_label(selector: str) -> tuple[str, str]:
    """``metric`` or ``resource``, and the label: asked again for every series of a listing."""
    owner, _, label = _normal(selector).partition(".labels.")
    return owner, label


def _is_known(selector: str) -> bool:
    return selector in ("metric.type", "resource.type") or selector.startswith(
        ("metric.labels.", "resource.labels.", "metadata.system_labels.", "metadata.user_labels.")
    )


def _comparisons(expression: Expression) -> Iterator[Comparison]:
    if isinstance(expression, Comparison):
        yield expression
    else:
        for term in expression.terms:
            yield from _comparisons(term)


def _required(expression: Expression) -> Iterator[Comparison]:
    """The comparisons that hold for everything selected: those under no OR and no NOT."""
    if isinstance(expression, Comparison):
        yield expression
    elif expression.word == "AND":
        for term in expression.terms:
            yield from _required(term)
