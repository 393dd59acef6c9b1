"""Two endpoints as one (blue-green): what is seen of them, and what clients are told.

Everything that decides sees one endpoint with the models of both, whose split is the live one's: the pointer in the bucket is to a pair what
the split is to an endpoint, and carries the same labels. So a switch is a promotion, and a switch back a rollback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any

from shared.rollout.labels import PAIR, PREFIX, read_labels
from shared.rollout.observed import ArmMinute, Endpoint, Minute, Pair, Pointer

SCHEMA = "live-endpoint/v1"


def as_one(blue: Endpoint, green: Endpoint | None, pointer: Pointer | None) -> Endpoint:
    """Both endpoints as one; without a pointer nobody is live."""
    pair = Pair(blue, green, pointer)
    live = pair.live
    ours = pointer.labels if pointer else {k: v for k, v in blue.labels.items() if k.startswith(PREFIX) and k != PAIR}
    others = {k: v for k, v in blue.labels.items() if not k.startswith(PREFIX)}
    return replace(
        blue,
        etag=str(pointer.generation if pointer else 0),
        labels={**others, **ours},
        split=live.split if live else {},
        deployed=(*blue.deployed, *(green.deployed if green else ())),
        pair=pair,
    )


def pointed(live: Endpoint, labels: Mapping[str, str], before: Pointer | None) -> dict[str, Any]:
    """What clients read: the object's content."""
    trial = read_labels(labels)
    held = live.find(trial.stable)
    return {
        "schema": SCHEMA,
        "model": trial.model,
        "endpoint": f"projects/{live.ref.project}/locations/{live.ref.region}/endpoints/{live.ref.endpoint}",
        "region": live.ref.region,
        "deployed_model": held.id if held else trial.stable,
        "version": held.version if held else "",
        "rollout": trial.rollout or trial.closed,
        "since": trial.at.isoformat() if trial.at else None,
        "ttl_seconds": int(trial.ttl.total_seconds()) if trial.ttl else 30,
        "before": before.live if before else "",
    }


def merged(*places: Sequence[Minute]) -> Sequence[Minute]:
    """What several endpoints served, minute by minute. A deployed model stands on one of them; what is reported of it may name another."""
    served = [minutes for minutes in places if minutes]
    if len(served) < 2:
        return served[0] if served else ()
    arms: dict[datetime, dict[str, ArmMinute]] = {}
    for minute in chain(*served):
        both = arms.setdefault(minute.at, {})
        for deployed_id, arm in minute.arms.items():
            both[deployed_id] = _joined(both[deployed_id], arm) if deployed_id in both else arm
    return [Minute(at, arms[at]) for at in sorted(arms)]


def _joined(one: ArmMinute, other: ArmMinute) -> ArmMinute:
    return ArmMinute(one.requests + other.requests, one.errors + other.errors, {**one.values, **other.values})
