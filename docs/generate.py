"""The parts of the documentation that the code knows better than we do: ``python -m docs.generate``.

A document marks such a part with ``<!-- generated: NAME -->`` and ``<!-- end -->``; what stands between is written anew from the policy's
schema, from ``docs/policies/every-key.yaml`` and from the recorded events that the parsers are tested with.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from docs.measured import measured
from docs.words import WORDS
from rollouts_cli.running_cost import table as running_costs
from shared.costs.fleet_file import fleet_json_schema
from shared.costs.prices import prices_json_schema
from shared.policy import schema
from shared.policy.jsonschema import policy_json_schema
from shared.policy.schema import Policy
from shared.policy.units import format_duration, write_share

ROOT = Path(__file__).parent.parent
EVENTS = ROOT / "tests" / "data" / "events"
NOTICES = ROOT / "tests" / "data" / "notices"
EVERY_KEY = ROOT / "docs" / "policies" / "every-key.yaml"
EXPERIMENT = ROOT / "docs" / "policies" / "experiment.yaml"
STICKY = ROOT / "docs" / "policies" / "sticky-experiment.yaml"
BLUE_GREEN = ROOT / "docs" / "policies" / "blue-green.yaml"
EDGE = ROOT / "docs" / "policies" / "edge.yaml"
_MARKED = re.compile(r"(<!-- generated: (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_INLINE = re.compile(r"``([^`]+)``")


def main() -> int:
    """Write every document anew; says which have changed."""
    for path in documents():
        before = path.read_text(encoding="utf-8")
        after = generated(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    for name, text in published().items():
        (ROOT / "docs" / name).write_text(text, encoding="utf-8")
    return 0


def published() -> dict[str, str]:
    """The published forms of files about costs, by file name; that of a policy is written by ``rollouts schema``."""
    made = {"fleet.schema.json": fleet_json_schema(), "prices.schema.json": prices_json_schema()}
    return {name: json.dumps(form, indent=2) + "\n" for name, form in made.items()}


def documents() -> list[Path]:
    """What may have generated parts."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "adr").glob("*.md"))]


def generated(text: str) -> str:
    """A document with its generated parts as they have to be."""
    return _MARKED.sub(lambda found: f"{found[1]}{_part(found['name'])}\n{found[3]}", text)


def _part(name: str) -> str:
    kind, _, what = name.partition(":")
    return _PARTS[kind](what)


def _keys(section: str) -> str:
    """The table of one section of a policy."""
    rows = ["| key | value | default | meaning, and why | example |", "| --- | --- | --- | --- | --- |"]
    rows += [row for path, row in _rows() if _section(path) == section]
    if len(rows) == 2:
        raise ValueError(f"a policy has no section {section!r}; there are {', '.join(sections())}")
    return "\n".join(rows)


def sections() -> list[str]:
    """The sections that together have every key, in the schema's order."""
    return list(dict.fromkeys(_section(path) for path, _ in _rows()))


def _section(path: str) -> str:
    """``rollout.checks[].floor`` stands in ``rollout.checks``; what has no section of its own in ``policy``."""
    parts = path.replace("[]", "").split(".")
    if parts[0] == "rollout" and parts[1:2] == ["checks"] and len(parts) > 2:
        return "rollout.checks"
    if parts[:2] in (["rollout", "shadow"], ["rollout", "experiment"], ["rollout", "blue_green"]):
        return ".".join(parts[:2])
    return parts[0] if parts[0] in ("targets", "register", "gate", "machine", "rollout") else "policy"


def _rows() -> Iterator[tuple[str, str]]:
    """Every key that holds a value, with its row."""
    whole = policy_json_schema()
    example = yaml.safe_load(EVERY_KEY.read_text(encoding="utf-8"))
    # No policy can have more than one of the strategies.
    both = [yaml.safe_load(one.read_text(encoding="utf-8"))["rollout"]["experiment"] for one in (STICKY, EXPERIMENT)]
    arms = both[0] | both[1]
    arms["objective"]["good_to"] = 120  # instead of good_from
    example["rollout"]["experiment"] = arms
    example["rollout"]["blue_green"] = yaml.safe_load(BLUE_GREEN.read_text(encoding="utf-8"))["rollout"]["blue_green"]
    example["targets"].append(yaml.safe_load(EDGE.read_text(encoding="utf-8"))["targets"][0])
    yield from _rows_of(Policy, whole["properties"], whole["$defs"], _Place("", example, None, ""))


@dataclass(frozen=True)
class _Place:
    """Where in a policy a mapping stands."""

    prefix: str
    example: Any
    defaults: BaseModel | None
    """What stands there when the mapping is not written at all."""
    about: str
    """What is to be said of the mapping itself, before its first key."""


def _rows_of(
    model: type[BaseModel], properties: dict[str, Any], defs: dict[str, Any], place: _Place
) -> Iterator[tuple[str, str]]:
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    about = place.about
    for key, value in properties.items():
        path, example, name = f"{place.prefix}{key}", _example(place.example, key), names[key]
        text = value.get("description") or WORDS.get(f"{model.__name__}.{key}", "")
        given = getattr(place.defaults, name) if place.defaults else model.model_fields[name].get_default()
        if inner := _inner(value):
            deeper = f"{path}[]." if value.get("type") == "array" else f"{path}."
            default = given if isinstance(given, BaseModel) else None
            yield from _rows_of(
                getattr(schema, inner), defs[inner]["properties"], defs, _Place(deeper, example, default, text)
            )
            continue
        is_required = model.model_fields[name].is_required() and place.defaults is None
        meaning = _INLINE.sub(r"`\1`", f"{about} {text}".strip())
        about = ""
        yield (
            path,
            f"| `{path}` | {_allowed(value)} | {'required' if is_required else _shown(given, value)} | {meaning} | {_yaml(example)} |",
        )


def undescribed() -> tuple[set[str], set[str]]:
    """Keys that neither the source nor ``WORDS`` explains, and entries of ``WORDS`` that nothing needs."""
    whole = policy_json_schema()
    needed = {
        f"{name}.{key}"
        for name, node in [("Policy", whole), *whole["$defs"].items()]
        for key, value in node["properties"].items()
        if not value.get("description")
    }
    mappings = {
        f"{name}.{key}"
        for name, node in [("Policy", whole), *whole["$defs"].items()]
        for key, value in node["properties"].items()
        if _inner(value)
    }
    return needed - mappings - set(WORDS), set(WORDS) - needed


def _inner(value: dict[str, Any]) -> str:
    """The class that a key holds, or holds a list of; empty for a plain value."""
    candidates = [value, value.get("items", {}), *value.get("anyOf", [])]
    return next((c["$ref"].rpartition("/")[2] for c in candidates if "$ref" in c), "")


def _allowed(value: dict[str, Any]) -> str:
    """What may stand there, in words."""
    choices = [v for v in value.get("anyOf", [value]) if v.get("type") != "null"]
    node = choices[0] if len(choices) == 1 else value
    said = node.get("patternErrorMessage")
    if said:
        return str(said)
    if "enum" in node or "const" in node:
        return ", ".join(f"`{one}`" for one in node.get("enum", [node.get("const")]))
    kind = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}
    match node["type"]:
        case "array" if "prefixItems" in node:
            return "[lowest, highest]"
        case "array":
            said = node["items"].get("patternErrorMessage")
            return f"list, each {said}" if said else f"list of {kind[node['items']['type']]}s"
        case "object":
            inner = node["additionalProperties"]
            return f"mapping, each value {inner.get('patternErrorMessage') or kind[inner['type']]}"
        case plain:
            return kind[plain] + _bounds(node)


def _bounds(node: dict[str, Any]) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", at least {low}" if low is not None else ""


def _shown(default: Any, value: dict[str, Any]) -> str:
    if default is None or default in ([], {}):
        return "none"
    if isinstance(default, timedelta):
        return f"`{format_duration(default)}`"
    if "a share" in value.get("patternErrorMessage", ""):
        return f"`{write_share(default)}`"
    return f"`{json.dumps(default).strip(chr(34))}`"


def _example(example: Any, key: str) -> Any:
    """The value of a key in the policy that has every key; of a list the first entry that has it."""
    entries = example if isinstance(example, list) else [example]
    return next(entry[key] for entry in entries if key in entry)


def _yaml(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("...").strip()
    return f"`{text}`"


def _event(name: str) -> str:
    """The payload of one recorded event."""
    recorded = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return f"```json\n{json.dumps(recorded['payload'], indent=2, ensure_ascii=False)}\n```"


def _functions(_: str) -> str:
    """The table of functions."""
    rows = ["| function | wakes on | what it does | attempts |", "| --- | --- | --- | --- |"]
    for name, row in _table().items():
        wakes = f"`{row['wakes_on']}`" if row["wakes_on"] != "https" else "HTTPS"
        wakes += f", `{row['every']}`" if "every" in row else ""
        rows.append(
            f"| `{name}` | {wakes} | {row['does']} | {row.get('attempts', 5) if row['wakes_on'] != 'https' else ''} |"
        )
    return "\n".join(rows)


def _permissions(_: str) -> str:
    """What each function may do."""
    rows = ["| function | permissions | publishes to | store | secrets |", "| --- | --- | --- | --- | --- |"]
    for name, row in _table().items():
        granted = " ".join(f"`{one}`" for one in row.get("permissions", [])) or "none"
        publishes = ", ".join(f"`{one}`" for one in row.get("publishes", []) if one != "dead-letters")
        secrets = ", ".join(f"`{one}`" for one in row.get("secrets", {}))
        rows.append(f"| `{name}` | {granted} | {publishes} | {'yes' if row.get('store', True) else 'no'} | {secrets} |")
    return "\n".join(rows)


def _table() -> dict[str, Any]:
    rows: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "functions.yaml").read_text(encoding="utf-8"))
    return rows


def _notice(name: str) -> str:
    """A message as a channel gets it."""
    return f"```json\n{(NOTICES / f'{name}.json').read_text(encoding='utf-8').rstrip()}\n```"


def _policy(name: str) -> str:
    """One policy, to be copied."""
    lines = (ROOT / name).read_text(encoding="utf-8").rstrip("\n").splitlines()
    # The address of the schema depends on where the copy will stand.
    kept = [line for line in lines if "yaml-language-server" not in line]
    return "\n".join(["```yaml", *(kept[1:] if kept[0] == "#" else kept), "```"])


def _costs(_: str) -> str:
    """What the system itself costs a month."""
    return running_costs()


_PARTS: dict[str, Callable[[str], str]] = {
    "keys": _keys,
    "event": _event,
    "functions": _functions,
    "notice": _notice,
    "permissions": _permissions,
    "policy": _policy,
    "costs": _costs,
    "measured": measured,
}


if __name__ == "__main__":
    sys.exit(main())
