"""Projecting the aliases, again and again until they stand."""

from __future__ import annotations

from dataclasses import replace

from shared import log
from shared.rollout.aliases import desired_aliases, plan_aliases
from shared.rollout.record import Rollout
from shared.store.store import StoredRollout
from shared.wiring import World


def apply_aliases(world: World, stored: StoredRollout, targets: int) -> StoredRollout:
    """Make the registry say what the records say; the mark is cleared only when nothing was left to change."""
    rollout: Rollout = stored.rollout
    if not rollout.aliases_due:
        return stored
    wanted = desired_aliases(world.store.rollouts_of_model(rollout.model), targets)
    versions = world.registry.versions(rollout.target.project, rollout.target.region, rollout.model)
    changes = plan_aliases(wanted, versions)
    for change in changes:
        world.registry.merge_aliases(change.version, change.add, change.remove)
        given = ", ".join([*change.add, *(f"not {a}" for a in change.remove)])
        log.info(f"Aliases of {rollout.model} v{change.version.version}: {given}")
    # Not yet if something was changed: another writer may have been at it, so a later look must find it standing.
    return stored if changes else world.store.transition(stored, replace(rollout, aliases_due=False))
