"""The indexes and the expiring collections that Terraform makes are those that the code needs."""

from __future__ import annotations

import ast
from typing import Any

import yaml

from infra.package import ROOT
from shared.store.checks import EXPIRES
from shared.store.indexes import DIRECTIONS, definitions

MADE: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "firestore.yaml").read_text())
STORAGE = (ROOT / "infra" / "storage.tf").read_text()


def test_the_composite_indexes_are_those_that_the_code_declares() -> None:
    """Every query asks for its index first (shared/store/indexes.py), so what is declared is what is queried."""
    made = [
        {
            "collection": index["collection"],
            "query_scope": "COLLECTION",
            "fields": [
                {"field_path": name, "order": direction if name == index["fields"][-1] else "ASCENDING"}
                for name in index["fields"]
            ],
        }
        for index in MADE["indexes"]
        for direction in DIRECTIONS
    ]
    assert made == list(definitions()), "infra/firestore.yaml and shared/store/indexes.py differ; change both"


def test_the_collections_that_expire_are_those_that_are_written_with_an_expiry() -> None:
    written = set()
    for path in sorted((ROOT / "shared").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            expiring = isinstance(node, ast.Call) and any(keyword.arg == "expires" for keyword in node.keywords)
            match node:
                case ast.Call(args=[ast.Constant(value=str(collection)), *_]) if expiring:
                    written.add(collection)
    assert written == set(MADE["expiring"]), "infra/firestore.yaml names other collections under `expiring`"


def test_the_field_by_which_they_expire_is_the_stores() -> None:
    assert f'field      = "{EXPIRES}"' in STORAGE
