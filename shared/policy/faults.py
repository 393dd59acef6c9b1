"""One error of pydantic's, in the words of somebody who reads a policy file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.policy.allowed import allowed_at, choices_at, known_keys, near
from shared.policy.findings import RULE, Finding, KeyPath

SHOWN = 60
"""Characters of a found value that a message repeats."""


@dataclass(frozen=True)
class Fault:
    """One mistake at one place of a policy."""

    path: KeyPath
    """Where to point."""
    message: str
    allowed: str
    judged: tuple[KeyPath, ...]
    """What was looked at; a fault counts only while nothing of that is already known to be wrong."""
    kind: str
    """pydantic's type of the error."""
    meant: KeyPath | None = None
    """For an unknown key: the known one that was probably meant."""


def faults_of(error: Mapping[str, Any]) -> Iterator[Fault]:
    """What one entry of ``ValidationError.errors()`` says."""
    kind, context = error["type"], error.get("ctx", {})
    # "[key]" marks the key of a mapping, rather than its value, as what is wrong.
    path: KeyPath = tuple(part for part in error["loc"] if part != "[key]")
    if kind == RULE:
        yield from (_of_rule(path, finding) for finding in context["findings"])
    elif kind == "extra_forbidden":
        yield _unknown_key(path)
    elif kind == "missing":
        yield Fault(path, "the key is missing", allowed_at(path), (path,), kind)
    elif error["loc"] != path:
        message = f"the key {show(error['input'])} is not a number"
        yield Fault(path, message, "numbers as keys", (path,), kind)
    else:
        yield _of_value(path, error)


def show(value: object) -> str:
    """A found value, short."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case str():
            return repr(value) if len(value) <= SHOWN else f"{value[:SHOWN]!r}..."
        case _:
            return str(value)[:SHOWN]


def _of_rule(path: KeyPath, finding: Finding) -> Fault:
    judged = tuple((*path, *key) for key in finding.judged)
    return Fault((*path, *finding.key), finding.message, finding.allowed, judged, RULE)


def _unknown_key(path: KeyPath) -> Fault:
    known = known_keys(path[:-1])
    meant = near(path[-1], known)
    hint = f"; did you mean {meant}?" if meant else ""
    return Fault(
        path, f"unknown key{hint}", ", ".join(known), (path,), "extra_forbidden", (*path[:-1], meant) if meant else None
    )


def _of_value(path: KeyPath, error: Mapping[str, Any]) -> Fault:
    found, context = error["input"], error.get("ctx", {})
    allowed = allowed_at(path)
    match error["type"]:
        case "value_error":
            message = str(context["error"])
        case "string_type" if isinstance(found, int | float):
            message = (
                f"found the {'truth value' if isinstance(found, bool) else 'number'} {show(found)}; put it in quotes"
            )
        case "literal_error":
            meant = near(found, choices_at(path)) if isinstance(found, str) else None
            message = f"{show(found)} is not one of the choices" + (f"; did you mean {meant}?" if meant else "")
        case "greater_than_equal" | "greater_than":
            message = f"{show(found)} is too small"
        case "less_than_equal" | "less_than":
            message = f"{show(found)} is too large"
        case "too_short":
            message = "the list is empty" if not found else "the list is too short"
        case "too_long":
            message = "the list is too long"
        case _:
            message = f"{show(found)} is not allowed here"
    return Fault(path, message, allowed, (path,), error["type"])
