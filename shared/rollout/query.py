"""The little language in which versions are asked for: ``auc>=0.9 and dataset=v3 and not alias=champion``.

A name is ``model``, ``version``, ``region``, ``project``, ``created``, ``artifact``, ``alias``, one of the lineage (``run``, ``dataset``, ``code``,
``job``), a metric, or a label; ``metric.NAME`` and ``label.NAME`` say which, where both have it. What a version does not have fulfils no
comparison, not even ``!=``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from shared.errors import PermanentError
from shared.rollout.index import IndexedVersion
from shared.rollout.lineage import CODE, DATASET, JOB, RUN
from shared.rollout.names import label_key, label_value

_LINEAGE = {"run": RUN, "dataset": DATASET, "code": CODE, "job": JOB}
_TOKEN = re.compile(r"\s*(?:(?P<op>>=|<=|!=|=|>|<)|(?P<bracket>[()])|\"(?P<quoted>[^\"]*)\"|(?P<word>[^\s()=<>!\"]+))")
_COMPARE: dict[str, Callable[[object, object], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,  # type: ignore[dict-item]  # both sides are numbers, or both are texts
    "<=": operator.le,  # type: ignore[dict-item]
    ">": operator.gt,  # type: ignore[dict-item]
    "<": operator.lt,  # type: ignore[dict-item]
}
Value = float | str
Where = Callable[[IndexedVersion, Sequence[str]], bool]
"""Whether a version, with the aliases that it has now, is meant."""


class QueryError(PermanentError):
    """A question that cannot be read, with the place."""


@dataclass
class _Tokens:
    text: str
    found: list[tuple[str, str]]
    at: int = 0

    def peek(self) -> tuple[str, str]:
        return self.found[self.at] if self.at < len(self.found) else ("end", "the end")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def is_word(self, word: str) -> bool:
        return self.peek()[0] == "word" and self.peek()[1].lower() == word

    def refuse(self, wanted: str) -> QueryError:
        return QueryError(f"--where {self.text!r} is not understood at {self.peek()[1]!r}: {wanted} should stand there")


def parse_where(text: str) -> Where:
    """QueryError names the place; an empty text means everything."""
    tokens, rest = _Tokens(text, []), text.rstrip()
    position = 0
    while position < len(rest):
        token = _TOKEN.match(rest, position)
        if token is None:
            raise QueryError(f"--where {text!r} is not understood at {rest[position:].strip()[:20]!r}")
        kind = token.lastgroup or ""
        tokens.found.append((kind, token[kind]))
        position = token.end()
    if not tokens.found:
        return lambda version, aliases: True
    parsed = _any_of(tokens)
    if tokens.peek()[0] != "end":
        raise tokens.refuse("and, or, or the end")
    return parsed


def _any_of(tokens: _Tokens) -> Where:
    parts = [_all_of(tokens)]
    while tokens.is_word("or"):
        tokens.take()
        parts.append(_all_of(tokens))
    return lambda version, aliases: any(part(version, aliases) for part in parts)


def _all_of(tokens: _Tokens) -> Where:
    parts = [_one(tokens)]
    while tokens.is_word("and"):
        tokens.take()
        parts.append(_one(tokens))
    return lambda version, aliases: all(part(version, aliases) for part in parts)


def _one(tokens: _Tokens) -> Where:
    if tokens.is_word("not"):
        tokens.take()
        inner = _one(tokens)
        return lambda version, aliases: not inner(version, aliases)
    if tokens.peek() == ("bracket", "("):
        tokens.take()
        inner = _any_of(tokens)
        if tokens.peek() != ("bracket", ")"):
            raise tokens.refuse("a closing bracket")
        tokens.take()
        return inner
    return _comparison(tokens)


def _comparison(tokens: _Tokens) -> Where:
    if tokens.peek()[0] != "word":
        raise tokens.refuse("a name such as auc, dataset or alias")
    name = tokens.take()[1]
    if tokens.peek()[0] != "op":
        raise tokens.refuse("one of = != >= <= > <")
    compare = _COMPARE[tokens.take()[1]]
    if tokens.peek()[0] not in ("word", "quoted"):
        raise tokens.refuse("a value")
    wanted = tokens.take()[1]
    return lambda version, aliases: any(_holds(compare, one, wanted) for one in values(version, aliases, name))


def _holds(compare: Callable[[object, object], bool], seen: Value, wanted: str) -> bool:
    if isinstance(seen, float):
        number = _number(wanted)
        return number is not None and compare(seen, number)
    if compare in (operator.eq, operator.ne):
        # A label may hold what had to be made legal; who asks knows the value that was meant.
        return compare(seen in (wanted, label_value(wanted)), True)
    numbers = _number(seen), _number(wanted)
    return compare(*numbers) if None not in numbers else compare(seen, wanted)


def values(version: IndexedVersion, aliases: Sequence[str], name: str) -> list[Value]:
    """What a name means of one version: none where it has no such thing, several for ``alias``."""
    kind, _, rest = name.partition(".")
    if kind == "metric" and rest:
        return [version.metrics[rest]] if rest in version.metrics else []
    if kind == "label" and rest:
        return [version.labels[label_key(rest)]] if label_key(rest) in version.labels else []
    if name == "alias":
        return list(aliases)
    own = {
        "model": version.model,
        "version": version.version,
        "region": version.region,
        "project": version.project,
        "artifact": version.artifact_uri,
        "created": version.created_at.isoformat() if version.created_at else "",
    }
    if name in own:
        return [own[name]] if own[name] else []
    if name in version.metrics:
        return [version.metrics[name]]
    keys = [key for key in (_LINEAGE.get(name, ""), label_key(name)) if key in version.labels]
    return [version.labels[keys[0]]] if keys else []


def sort_versions(found: Iterable[IndexedVersion], by: str) -> list[IndexedVersion]:
    """``-auc,created``: the first name decides, a minus means the largest first; what lacks a name comes last."""
    rows = sorted(found, key=lambda v: (v.model, _number(v.version) or 0.0))
    for name in reversed([part.strip() for part in by.split(",") if part.strip()]):
        key, down = name.lstrip("-"), name.startswith("-")
        having = [v for v in rows if values(v, v.aliases, key)]
        ids = {v.id for v in having}
        having.sort(key=lambda v: _order(values(v, v.aliases, key)[0]), reverse=down)
        rows = having + [v for v in rows if v.id not in ids]
    return rows


def _order(value: Value) -> tuple[int, float, str]:
    number = value if isinstance(value, float) else _number(value)
    return (0, number, "") if number is not None else (1, 0.0, str(value))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
