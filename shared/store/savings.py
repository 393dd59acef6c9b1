"""What was saved without asking, and whether somebody has put it back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from shared.rollout.observed import TargetRef
from shared.store.documents import Documents, ExistsError, Stored


@dataclass(frozen=True)
class StoredSaving:
    """One lowered minimum, as it was done last."""

    id: str
    model: str
    version: str
    target: TargetRef
    deployed_id: str
    before: tuple[int, int]
    after: tuple[int, int]
    undone_by: str = ""


class Savings:
    """A document for each, by the finding's id."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def get(self, id: str) -> StoredSaving | None:  # noqa: A002
        stored = self._documents.get("savings", id)
        return _read(stored) if stored else None

    def undone(self) -> set[str]:
        """The ids of those that a person has put back: they are not done again."""
        return {one.id for one in map(_read, self._documents.query("savings")) if one.undone_by}

    def put(self, saving: StoredSaving) -> None:
        """What it was before the first step stays known: it is what a person wants back."""
        body = _body(saving)
        stored = self._documents.get("savings", saving.id)
        if stored is None:
            try:
                self._documents.create("savings", saving.id, body)
            except ExistsError:
                self.put(saving)
            return
        first = _read(stored)
        if not first.undone_by:
            body = _body(replace(saving, before=first.before))
        self._documents.replace("savings", saving.id, body, stored.revision)


def _body(saving: StoredSaving) -> dict[str, Any]:
    return {
        "model": saving.model,
        "version": saving.version,
        "target": str(saving.target),
        "deployed_id": saving.deployed_id,
        "replicas": json.dumps([saving.before, saving.after]),
        "undone_by": saving.undone_by,
    }


def _read(stored: Stored) -> StoredSaving:
    body = stored.body
    before, after = json.loads(body["replicas"])
    return StoredSaving(
        stored.id,
        body["model"],
        body["version"],
        TargetRef.parse(body["target"]),
        body["deployed_id"],
        (before[0], before[1]),
        (after[0], after[1]),
        body["undone_by"],
    )
