"""Which key meets which arm of a sticky experiment, and what clients are told of it. Pure.

A key's place among a hundred is the hash of experiment and key; the arms' slots lie side by side from place 0 in the policy's order, and the
control has what is left. A slot never moves: when its arm is dropped its keys meet the control, and no other key meets anybody else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from shared.rollout.labels import PREFIX, STICKY, read_labels
from shared.rollout.observed import Assignment, Endpoint, Group, Slot, TargetRef

SCHEMA = "sticky-arms/v1"
PLACES = 100
POSITIONS = 2**20
"""Of one experiment's keys in the store: what is kept of them is bounded by it, whoever reports."""


def digest_of(experiment: str, key: str) -> str:
    """What is known of a key outside of the client: SHA-256 of experiment, a slash and the key, in hexadecimal digits."""
    return hashlib.sha256(f"{experiment}/{key}".encode()).hexdigest()


def place_of(digest: str) -> int:
    """0 to 99, each as often as the others: the first 64 bits as a fraction of all, in whole hundredths."""
    return int(digest[:16], 16) * PLACES >> 64


def position_of(digest: str) -> int:
    """Where it is remembered that the key had its outcome; of other bits than its place, so no arm meets more collisions."""
    return int(digest[16:32], 16) % POSITIONS


def slot_at(place: int, shares: Sequence[int]) -> int | None:
    """The number of the slot; None for the control."""
    for number, share in enumerate(shares):
        if place < share:
            return number
        place -= share
    return None


def as_group(main: Endpoint, arms: Sequence[Endpoint], assignment: Assignment | None) -> Endpoint:
    """An endpoint with its arms as one, whose split and labels are the object's where the endpoint says so."""
    group = Group(main, tuple(arms), assignment, main.labels.get(STICKY, ""))
    one = replace(main, deployed=(*main.deployed, *(d for arm in arms for d in arm.deployed)), group=group)
    said = group.in_force
    if said is None:
        return one
    others = {key: value for key, value in main.labels.items() if not key.startswith(PREFIX)}
    left = 100 - sum(said.shares.values())
    return replace(one, labels={**others, **said.labels}, split={**_scaled(main.split, left), **said.shares})


def _scaled(split: Mapping[str, int], left: int) -> dict[str, int]:
    """The main endpoint's own split, as a part of all; it is one model's but where somebody has moved it."""
    found = {one: share * left // 100 for one, share in split.items()}
    if found:
        first = max(split, key=lambda one: split[one])
        found[first] += left - sum(found.values())
    return {one: share for one, share in found.items() if share}


def begun(slots: Sequence[str], split: Mapping[str, int], arms: Sequence[Endpoint], name: str) -> tuple[Slot, ...]:
    """A slot for each arm, in the order of the deployed models; ``name`` is the label that has an arm's name."""
    made = []
    for deployed_id in slots:
        holder = next(arm for arm in arms if arm.find(deployed_id))
        made.append(Slot(holder.labels.get(name, ""), deployed_id, holder.ref.endpoint, split[deployed_id]))
    return tuple(made)


def told(main: TargetRef, experiment: str, slots: Sequence[Slot], labels: Mapping[str, str]) -> dict[str, Any]:
    """What clients read: the object's content. The slot of an arm that is out names the control's endpoint."""
    trial = read_labels(labels)
    return {
        "schema": SCHEMA,
        "model": trial.model,
        "experiment": experiment,
        "control": _full(main, main.endpoint),
        "arms": [
            {
                "name": slot.arm,
                "share": slot.share,
                "endpoint": _full(main, slot.endpoint if slot.is_in else main.endpoint),
                "deployed_model": slot.deployed_id if slot.is_in else trial.stable,
            }
            for slot in slots
        ],
        "deployed_model": trial.stable,
        "since": trial.at.isoformat() if trial.at else None,
        "ttl_seconds": int(trial.ttl.total_seconds()) if trial.ttl else 30,
    }


def _full(main: TargetRef, endpoint: str) -> str:
    return f"projects/{main.project}/locations/{main.region}/endpoints/{endpoint}"


def write_slots(slots: Sequence[Slot]) -> str:
    """As text, for the object's metadata."""
    return json.dumps([asdict(slot) for slot in slots], separators=(",", ":"))


def read_slots(text: str) -> tuple[Slot, ...]:
    """Anybody may edit an object: what is no list of slots reads as none."""
    try:
        found = [Slot(**one) for one in json.loads(text or "[]")]
        return tuple(replace(one, share=int(one.share)) for one in found)
    except (ValueError, TypeError):
        return ()
