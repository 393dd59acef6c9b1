"""What has to be there afterwards, and what is: each good event's effect exactly once, each poison one among the dead letters, nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bench.load.events import Sent
from shared.rollout.names import label_value
from shared.rollout.observed import ModelVersion
from shared.rollout.record import LedgerEntry, Rollout


@dataclass(frozen=True)
class Found:
    """What was read after everything had come to rest."""

    versions: Sequence[ModelVersion]
    rollouts: Sequence[Rollout]
    ledger: Sequence[LedgerEntry]
    notices: Mapping[str, int]
    """How often each arrived at the people's webhook, by the entry's id; a repetition carries the same id."""
    dead: Sequence[bytes]


@dataclass
class Comparison:
    """One expectation: how many there should be, and which are not as they should."""

    what: str
    wanted: int
    lacking: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not (self.lacking or self.twice or self.strange)


def compare(sent: Sequence[Sent], found: Found) -> list[Comparison]:
    """Every expectation with what speaks against it."""
    keys = {kind: {one.key for one in sent if one.kind == kind} for kind in ("run", "version", "alert", "incident")}
    versions = {f"{v.model}@{v.version}" for v in found.versions}
    runs = [v.labels.get("vr-run", "") for v in found.versions if "vr-run" in v.labels]
    rollouts = [f"{r.model}@{r.version}" for r in found.rollouts]
    decided = {label_value(f"alert-{key}-open-call") for key in keys["alert"] | keys["incident"]}
    rejected = [f"{e.model}@{e.version}" for e in found.ledger if e.decision == "reject"]
    told = {e.id for e in found.ledger}
    poison = {one.data for one in sent if one.kind.startswith("poison")}
    return [
        _once("one version per training run", {label_value(f"message-{key}") for key in keys["run"]}, runs),
        _once("one rollout per version", versions, rollouts),
        _once("one rejection by the gate per rollout", versions, rejected),
        _once(
            "one ledger entry per alert and incident", decided, [e.id for e in found.ledger if e.decision != "reject"]
        ),
        _once("every entry told to people", told, list(found.notices)),
        _set("every poison message among the dead letters, and nothing else", poison, found.dead),
    ]


def _once(what: str, wanted: Collection[str], found: Sequence[str]) -> Comparison:
    counted = Counter(found)
    return Comparison(
        what,
        len(wanted),
        sorted(set(wanted) - set(counted)),
        sorted(one for one, count in counted.items() if count > 1),
        sorted(set(counted) - set(wanted)),
    )


def _set(what: str, wanted: Collection[bytes], found: Sequence[bytes]) -> Comparison:
    """A letter may be there twice: its keeping may have been answered and the answer lost."""
    lacking, strange = set(wanted) - set(found), set(found) - set(wanted)
    return Comparison(what, len(wanted), sorted(map(repr, lacking)), strange=sorted(map(repr, strange)))
