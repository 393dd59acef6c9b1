"""The last audit of costs: its summary, and what machines stood behind deployed models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from shared.store.documents import Documents, ExistsError

_LAST = "last"


@dataclass(frozen=True)
class StoredAudit:
    """As it was written."""

    summary: dict[str, Any]
    """The report's JSON, without what is too large to keep in a document."""
    machines: dict[str, list[Any]]
    """Deployed model (endpoint and id) to what it stands on: what is gone cannot be asked any more."""


class Audits:
    """One document; the files of earlier reports are in the bucket."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def last(self) -> StoredAudit | None:
        stored = self._documents.get("audits", _LAST)
        if stored is None:
            return None
        return StoredAudit(json.loads(stored.body["summary"]), json.loads(stored.body["machines"]))

    def put(self, audit: StoredAudit) -> None:
        """The last word holds."""
        body = {"summary": _text(audit.summary), "machines": _text(audit.machines)}
        before = self._documents.get("audits", _LAST)
        if before is not None:
            self._documents.replace("audits", _LAST, body, before.revision)
            return
        try:
            self._documents.create("audits", _LAST, body)
        except ExistsError:
            self.put(audit)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
