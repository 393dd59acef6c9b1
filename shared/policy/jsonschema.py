"""The JSON Schema of a policy, for editors and for programs that write policies.

What stands beside a key in the source is its description there too, read from the source only when the schema is generated:
what is deployed pays nothing for it.
"""

from __future__ import annotations

import ast
import inspect
import json
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter

from shared.policy import blue_green, experiment, gate, rollout, schema, shadow, times
from shared.policy.schema import Policy

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def policy_json_schema() -> dict[str, Any]:
    """The schema; rules over several keys, such as rising stages, are beyond it and checked by ``rollouts validate``."""
    generated = Policy.model_json_schema()
    described = _descriptions()
    for name, node in [("Policy", generated), *generated["$defs"].items()]:
        for key, text in described.get(name, {}).items():
            if key in node["properties"]:
                node["properties"][key]["description"] = text
        _write_defaults(getattr(schema, name), node["properties"])
    return {"$schema": DIALECT, **generated}


def policy_json_schema_text() -> str:
    """The schema as it stands in docs/policy.schema.json."""
    return json.dumps(policy_json_schema(), indent=2, ensure_ascii=False) + "\n"


def _write_defaults(model: type[BaseModel], properties: dict[str, Any]) -> None:
    """Defaults as a person writes them (``15m``, ``1%``): an editor that fills them in must not write an invalid file."""
    for name, field in model.model_fields.items():
        node = properties.get(field.alias or name, {})
        if "default" in node:
            kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            value = field.get_default(call_default_factory=True)
            node["default"] = TypeAdapter(kind).dump_python(value, mode="json", by_alias=True)


def _descriptions() -> dict[str, dict[str, str]]:
    """The text beside each key, by class and by the key as it is written in a file."""
    nodes = (
        node
        for module in (schema, gate, rollout, shadow, experiment, blue_green, times)
        for node in ast.parse(inspect.getsource(module)).body
    )
    return {node.name: _of_class(node) for node in nodes if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    fields = getattr(schema, node.name).model_fields
    found: dict[str, str] = {}
    for field, text in zip(node.body, node.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                found[fields[name].alias or name] = " ".join(words.split())
            case _:
                pass
    return found
