"""Ledger entries as they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shared.rollout.record import LEDGER_ENTRY, LedgerEntry, Rollout
from shared.rollout.split import format_split


def version_names(rollouts: Iterable[Rollout]) -> dict[str, str]:
    """What to call the deployed models of a model, from all its rollouts: ``v4`` for its id."""
    names: dict[str, str] = {}
    for rollout in rollouts:
        if rollout.stable_id and rollout.stable_version:
            names.setdefault(rollout.stable_id, f"v{rollout.stable_version}")
        if rollout.deployed_id:
            names[rollout.deployed_id] = f"v{rollout.version}"
        for arm in rollout.arms:
            if arm.deployed_id:
                names[arm.deployed_id] = f"v{arm.version}"
    return names


def traffic(entry: LedgerEntry, names: Mapping[str, str]) -> str:
    """``v3 90 %, v4 10 % → v3 50 %, v4 50 %``; empty for what moved none."""
    if entry.traffic_before is None and entry.traffic_after is None:
        return ""
    before, after = (
        "?" if split is None else format_split(split, names) for split in (entry.traffic_before, entry.traffic_after)
    )
    return after if entry.traffic_before is None else f"{before} → {after}"


def entry_json(entry: LedgerEntry) -> dict[str, Any]:
    """An entry for programs: as it is stored, with times written as in every other view."""
    body: dict[str, Any] = LEDGER_ENTRY.dump_python(entry, mode="json")
    began_at = entry.began_at.isoformat() if entry.began_at else None
    return body | {"at": entry.at.isoformat(), "began_at": began_at}
