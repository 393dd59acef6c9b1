"""A policy from plain values, or everything that is wrong with it at once.

pydantic reports every key that is wrong by itself, but hears a rule over several keys only when all keys of the object are
right, and all objects inside it. So what is wrong is taken out and the rest is asked again, until nothing new comes; a rule
that looked at something taken out is not heard. A person then corrects a file once, not once per mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError

from shared.policy.faults import Fault, faults_of, show
from shared.policy.findings import KeyPath, key_text
from shared.policy.problems import PolicyError, Problem
from shared.policy.schema import Policy

ROUNDS = 12
"""More than a policy is deep: each round takes out what the one before found."""
_STAND_INS: dict[str, Any] = {
    "model": "model",
    "targets": [{"region": "us-central1", "endpoint": "endpoint"}],
    "register": {"from": {"message": True}, "container": {"image": "image"}},
    "machine": {"type": "n1-standard-4"},
}
"""For required keys that were taken out, so that the rest can still be asked."""


def parse_policy(value: object, source: str, line_of: Callable[[KeyPath], int] = lambda path: 0) -> Policy:
    """``value`` (as read from YAML or JSON) as a policy; ``source`` and ``line_of`` say where, in a ``PolicyError``."""
    result = examine(value)
    if isinstance(result, Policy):
        return result
    raise PolicyError(tuple(Problem(source, line_of(f.path), key_text(f.path), f.message, f.allowed) for f in result))


def examine(value: object) -> Policy | tuple[Fault, ...]:
    """The policy, or all its faults, each once."""
    if not isinstance(value, dict):
        fault = Fault(
            (),
            f"a policy is a mapping; found {show(value)}",
            "model, targets, register, machine, ...",
            ((),),
            "dict_type",
        )
        return (fault,)
    rest = _copy(value)
    taken: set[KeyPath] = set()
    faults: dict[tuple[KeyPath, str], Fault] = {}
    for _ in range(ROUNDS):
        try:
            policy = Policy.model_validate(rest)
        except ValidationError as error:
            found = [fault for entry in error.errors(include_url=False) for fault in faults_of(entry)]
        else:
            return tuple(faults.values()) or policy
        suspect = taken | {fault.meant for fault in faults.values() if fault.meant}
        for fault in found:
            if not any(_touch(judged, place) for judged in fault.judged for place in suspect):
                faults[fault.path, fault.message] = fault
        _take_out(rest, found, taken)
    return tuple(faults.values())


def _touch(one: KeyPath, other: KeyPath) -> bool:
    """Whether one of the two places lies in the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _take_out(rest: dict[str | int, Any], found: Iterable[Fault], taken: set[KeyPath]) -> None:
    """Take out what each fault points at, and add it to ``taken``; of a list, which then counts as taken, one entry."""
    before = frozenset(taken)
    gone: set[KeyPath] = set()
    # Backwards, so that an entry that is taken out of a list does not renumber those that still have to be.
    for fault in sorted(found, key=lambda fault: [str(part).zfill(6) for part in fault.path], reverse=True):
        path = fault.path
        if fault.kind == "missing":
            if len(path) == 1:
                rest[path[0]] = _copy(_STAND_INS[str(path[0])])
                taken.add(path)
                continue
            path = path[:-1]
        if any(path[: len(place)] == place for place in gone):
            continue
        # A second time in the same place: what is left of it goes as a whole.
        path = _existing(rest, next((place for place in before if path[: len(place)] == place), path))
        if path:
            parent = _at(rest, path[:-1])
            del parent[_own_key(parent, path[-1]) if isinstance(parent, dict) else path[-1]]
            gone.add(path)
            taken.add(path[:-1] if isinstance(parent, list) else path)


def _at(value: Any, path: KeyPath) -> Any:
    for part in path:
        value = value[part] if isinstance(value, list) and isinstance(part, int) else value[_own_key(value, part)]
    return value


def _existing(value: Any, path: KeyPath) -> KeyPath:
    """The part of ``path`` that is there."""
    for depth, part in enumerate(path):
        if isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif isinstance(value, dict) and _own_key(value, part) in value:
            value = value[_own_key(value, part)]
        else:
            return path[:depth]
    return path


def _own_key(mapping: dict[Any, Any], part: str | int) -> Any:
    """The mapping's key that pydantic calls ``part``: a key that is no text comes back as text."""
    return next((key for key in mapping if key == part or str(key) == str(part)), part)


def _copy(value: Any) -> Any:
    """A copy that shares nothing, not even what YAML's aliases share."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
