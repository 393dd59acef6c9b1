"""Projecting the aliases, again and again until they stand."""

from __future__ import annotations

from dataclasses import replace

from shared import log
from shared.rollout.aliases import CHAMPION, PREVIOUS, desired_aliases, plan_aliases
from shared.rollout.record import Rollout
from shared.store.store import StoredRollout
from shared.wiring import World

RECENT = 100
"""How many rollouts of a model are read at first; years of releases are behind them."""


def recent_rollouts(world: World, model: str, targets: int) -> list[Rollout]:
    """The rollouts of a model that say who champion and previous are: more of them only while those are not found.

    All of them would be a query that grows with every release.
    """
    limit = RECENT
    while True:
        found = world.store.rollouts_of_model(model, limit)
        if len(found) < limit or {CHAMPION, PREVIOUS} <= desired_aliases(found, targets).keys():
            return found
        limit *= 4


def apply_aliases(world: World, stored: StoredRollout, targets: int) -> StoredRollout:
    """Make the registry say what the records say; the mark is cleared only when nothing was left to change."""
    rollout: Rollout = stored.rollout
    if not rollout.aliases_due:
        return stored
    wanted = desired_aliases(recent_rollouts(world, rollout.model, targets), targets)
    versions = world.registry.versions(rollout.target.project, rollout.target.region, rollout.model)
    changes = plan_aliases(wanted, versions)
    for change in changes:
        world.registry.merge_aliases(change.version, change.add, change.remove)
        given = ", ".join([*change.add, *(f"not {a}" for a in change.remove)])
        log.info(f"Aliases of {rollout.model} v{change.version.version}: {given}")
    # Not yet if something was changed: another writer may have been at it, so a later look must find it standing.
    return stored if changes else world.store.transition(stored, replace(rollout, aliases_due=False))
