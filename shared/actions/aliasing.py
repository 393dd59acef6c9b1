"""Projecting the aliases, again and again until they stand."""

from __future__ import annotations

from dataclasses import replace

from shared import log
from shared.actions.policies import home_of, places_of
from shared.errors import RolloutsError
from shared.policy.schema import Policy
from shared.rollout.aliases import CHAMPION, PREVIOUS, AliasChange, desired_aliases, plan_aliases
from shared.rollout.copies import Place, at_place, copies
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


def apply_aliases(world: World, stored: StoredRollout, policy: Policy) -> StoredRollout:
    """Make the registry say what the records say, wherever there are versions of the model.

    The mark is cleared only when nothing was left to change. A region that does not answer keeps no other one from being told.
    """
    rollout: Rollout = stored.rollout
    if not rollout.aliases_due:
        return stored
    targets = len(policy.targets)
    wanted = desired_aliases(recent_rollouts(world, rollout.model, targets), targets)
    is_standing, failed = True, None
    for place in places_of(world, policy):
        try:
            is_standing &= not _project(world, rollout.model, wanted, place, home_of(world, policy))
        except RolloutsError as exc:
            failed = failed or exc
    if failed:
        raise failed
    # Not yet if something was changed: another writer may have been at it, so a later look must find it standing.
    return world.store.transition(stored, replace(rollout, aliases_due=False)) if is_standing else stored


def _project(world: World, model: str, wanted: dict[str, str], place: Place, home: Place) -> list[AliasChange]:
    """What had to be changed in one place."""
    versions = world.registry.versions(*place, model)
    here = wanted if place == home else at_place(wanted, copies(home, model, versions))
    changes = plan_aliases(here, versions)
    for change in changes:
        world.registry.merge_aliases(change.version, change.add, change.remove)
        given = ", ".join([*change.add, *(f"not {a}" for a in change.remove)])
        log.info(f"Aliases of {model} v{change.version.version} in {place[1]}: {given}")
    return changes
