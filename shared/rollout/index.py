"""One version as the index of the store has it: what a person asks about, without a call to the registry for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.rollout.observed import ModelVersion


@dataclass(frozen=True)
class IndexedVersion:
    """Filled at registration; aliases of ours are not in it, since the records say at any moment who has them."""

    project: str
    region: str
    model: str
    version: str
    created_at: datetime | None = None
    labels: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    """Of all its evaluations, the newest winning."""
    aliases: tuple[str, ...] = ()
    artifact_uri: str = ""

    @property
    def id(self) -> str:
        return f"{self.project}~{self.region}~{self.model}@{self.version}"


def indexed(version: ModelVersion, metrics: dict[str, float]) -> IndexedVersion:
    """The entry of a version as read in the registry."""
    return IndexedVersion(
        version.project,
        version.region,
        version.model,
        version.version,
        version.created_at,
        dict(version.labels),
        metrics,
        version.aliases,
        version.artifact_uri,
    )
