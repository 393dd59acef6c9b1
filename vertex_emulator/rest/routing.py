"""From a verb and a path to the rule that they mean, and the fields that the path holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from vertex_emulator.rest.rules import Rule

_VARIABLE = re.compile(r"\{([a-z_.]+)(?:=([^}]*))?\}")
_ANY_LENGTH = 0


@dataclass(frozen=True)
class Match:
    """What a request calls."""

    rule: Rule
    fields: Mapping[str, str]
    """By field of the request, nested ones with dots."""


@dataclass(frozen=True)
class _Path:
    rule: Rule
    pattern: re.Pattern[str]
    names: tuple[str, ...]


class Routes:
    """All rules, found by verb, length of the path and custom verb before any pattern is tried."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._paths: dict[tuple[str, int, str], list[_Path]] = {}
        for rule in rules:
            path = _compile(rule)
            length = _ANY_LENGTH if "**" in rule.template else _length(_VARIABLE.sub(_wildcards, rule.template))
            self._paths.setdefault((rule.verb, length, _custom_verb(rule.template)), []).append(path)

    def find(self, verb: str, path: str) -> Match | None:
        """Return what a decoded path calls; ``None`` for a path that no method has."""
        for length in (_length(path), _ANY_LENGTH):
            for custom in dict.fromkeys((_custom_verb(path), "")):
                for candidate in self._paths.get((verb, length, custom), ()):
                    if match := candidate.pattern.fullmatch(path):
                        return Match(candidate.rule, dict(zip(candidate.names, match.groups(), strict=True)))
        return None


def decoded(path: str) -> str:
    """Return a path as rules are matched against; v1beta1 has the same URLs for what both versions have."""
    return re.sub(r"^/v1beta1/", "/v1/", unquote(path))


def _compile(rule: Rule) -> _Path:
    pattern, names, at = "", [], 0
    for variable in _VARIABLE.finditer(rule.template):
        pattern += re.escape(rule.template[at : variable.start()])
        value = re.escape(variable[2] or "*").replace(r"\*\*", ".+").replace(r"\*", "[^/:]+")
        pattern += f"({value})"
        names.append(variable[1])
        at = variable.end()
    return _Path(rule, re.compile(pattern + re.escape(rule.template[at:])), tuple(names))


def _wildcards(variable: re.Match[str]) -> str:
    return variable[2] or "*"


def _length(path: str) -> int:
    return path.count("/")


def _custom_verb(path: str) -> str:
    """Return ``predict`` of ``.../endpoints/1:predict``, "" without one."""
    return path.rpartition("/")[2].partition(":")[2]
