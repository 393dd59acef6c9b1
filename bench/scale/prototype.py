"""One real trial at 10 % of its traffic, as Vertex AI and the store have it, and its likeness a thousand times over.

The prototype is made by the real functions on the local servers: registered, deployed, given its share, judged for some minutes. The copies
differ from it in the name of their model only, which all other names are made from.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.soak_cloud import SoakCloud
from bench.soak_trials import EQUAL, Soak, Trial
from bench.trial import BenchError
from shared.rollout.evidence import EVIDENCE
from shared.rollout.record import Phase, Rollout
from shared.store.sqlite import SQLiteDocuments
from shared.store.store import Store

NAME = "scale-{:05}"
_FIRST = NAME.format(1)
_JUDGED = 45
"""Minutes of the canary that ticks have judged when the copies are made: all that is remembered of a trial has come together, so a tick costs
what it does in a trial of days."""
_STAGES = ({"traffic": 10, "bake": "6h"}, {"traffic": 50}, {"traffic": 100})
COLLECTIONS = ("policies", "policy_heads", "rollouts", "slots")


@dataclass(frozen=True)
class Prototype:
    """A trial, as documents."""

    now: datetime
    candidate: str
    """Deployed-model ids."""
    stable: str
    state: Mapping[str, Any]
    """The local Vertex AI's."""
    documents: Sequence[tuple[str, str, Mapping[str, Any]]]
    """Collection, id, body."""
    evidence: str
    """The gathered evidence, as the store writes it."""


def make_prototype(folder: Path) -> Prototype:
    """Play one trial up to its first share, and three quarters of an hour on."""
    with SoakCloud.running(folder) as cloud:
        soak = Soak(cloud, [Trial(0, EQUAL)], 1, 1, NAME, _STAGES)
        for _ in soak.minutes():
            rollout = _candidate(cloud.world.store)
            if (
                rollout
                and rollout.stage_since
                and (cloud.now - rollout.stage_since).total_seconds() > 60 * (_JUDGED + 5)
            ):
                break
        else:
            raise BenchError("the prototype's trial ended before it had a share")
        evidence = cloud.world.store.evidence.of(rollout.id)
        if evidence is None:
            raise BenchError("the prototype's trial has no evidence")
        return Prototype(
            cloud.now,
            rollout.deployed_id,
            rollout.stable_id,
            cloud.emulator.save(),
            tuple(_documents(cloud.store / "rollouts.db")),
            EVIDENCE.dump_json(evidence).decode(),
        )


def _candidate(store: Store) -> Rollout | None:
    found = [r for r in store.rollouts_of_model(_FIRST) if r.phase is Phase.CANARY]
    return found[0] if found else None


def _documents(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The open rollout, and all that belongs to it."""
    with closing(SQLiteDocuments(path)) as documents:
        for collection in COLLECTIONS:
            for stored in documents.query(collection):
                if collection != "rollouts" or stored.body["open"]:
                    yield collection, stored.id, stored.body


def likeness(document: Any, number: int) -> Any:
    """The same document of another model; messages that were kept as bytes are changed as bytes, since all names are equally long."""
    return _renamed(document, NAME.format(number))


def _renamed(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return value.replace(_FIRST, name)
    if isinstance(value, Mapping):
        if set(value) == {"type", "data"}:
            data = base64.b64decode(value["data"]).replace(_FIRST.encode(), name.encode())
            return {"type": value["type"], "data": base64.b64encode(data).decode()}
        return {_renamed(key, name): _renamed(entry, name) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(entry, name) for entry in value]
    return value


def many(prototype: Prototype, number: int) -> dict[str, Any]:
    """The local Vertex AI's state with so many endpoints, each in a trial."""
    state = dict(prototype.state)
    for kind in ("models", "endpoints", "replicas"):
        state[kind] = [likeness(entry, n) for n in range(1, number + 1) for entry in prototype.state[kind]]
    return state
