"""What is allowed at a place in a policy, in words; read off the JSON Schema, so that it cannot disagree with it."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from shared.policy.findings import KeyPath
from shared.policy.schema import Policy
from shared.policy.units import ALLOWED

Node = Mapping[str, Any]


@cache
def _root() -> Node:
    return Policy.model_json_schema()


def known_keys(path: KeyPath) -> list[str]:
    """The keys that the object at ``path`` may have; none where any are allowed."""
    return list(_node(path).get("properties", {}))


def near(found: object, known: list[str]) -> str | None:
    """The one of ``known`` that was probably meant."""
    matches = get_close_matches(str(found).lower(), known, n=1, cutoff=0.6)
    return matches[0] if matches else None


def allowed_at(path: KeyPath) -> str:
    """What the value at ``path`` may be: an enumeration, a range, a form, or known keys."""
    return _words(_node(path))


def choices_at(path: KeyPath) -> list[str]:
    """The values of an enumeration; none where the value is something else."""
    node = _node(path)
    return [str(choice) for choice in node.get("enum", [node["const"]] if "const" in node else [])]


def _node(path: KeyPath) -> Node:
    node = _resolved(_root())
    for part in path:
        if (isinstance(part, int) and "properties" not in node and "items" in node) or "prefixItems" in node:
            prefix = node.get("prefixItems", [])
            inner = prefix[part] if isinstance(part, int) and part < len(prefix) else node.get("items", {})
        else:
            inner = node.get("properties", {}).get(part) or node.get("additionalProperties")
        node = _resolved(inner if isinstance(inner, dict) else {})
    return node


def _resolved(node: Node) -> Node:
    """``node`` with its reference followed, and an optional value as the value itself."""
    while True:
        if "$ref" in node:
            rest = {key: value for key, value in node.items() if key != "$ref"}
            node = {**_root()["$defs"][node["$ref"].removeprefix("#/$defs/")], **rest}
        elif ALLOWED not in node and len(others := [n for n in node.get("anyOf", []) if n != {"type": "null"}]) == 1:
            node = others[0]
        else:
            return node


def _words(node: Node) -> str:
    if ALLOWED in node:
        return str(node[ALLOWED])
    if "enum" in node:
        return ", ".join(map(str, node["enum"]))
    if "const" in node:
        return str(node["const"])
    match node.get("type"):
        case "integer":
            return "a whole number" + _range(node)
        case "number":
            return "a number" + _range(node)
        case "boolean":
            return "true or false"
        case "array":
            return _list(node)
        case "object" if "properties" in node:
            return f"a mapping with the keys {', '.join(node['properties'])}"
        case "object":
            return "a mapping"
        case "string":
            return _text(node)
        case _:
            return ""


def _range(node: Node) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" of at least {low:g}"
    return f" of at most {high:g}" if high is not None else ""


def _list(node: Node) -> str:
    if "prefixItems" in node:
        return f"a list of {len(node['prefixItems'])}: [{', '.join(_words(_resolved(n)) for n in node['prefixItems'])}]"
    inner = _words(_resolved(node.get("items", {})))
    few = f" of at least {node['minItems']}" if node.get("minItems") else ""
    return f"a list{few}; each entry {inner}" if inner else f"a list{few}"


def _text(node: Node) -> str:
    if "maxLength" in node:
        return f"text of {node.get('minLength', 0)} to {node['maxLength']} characters"
    return f"text that matches {node['pattern']}" if "pattern" in node else "text"
