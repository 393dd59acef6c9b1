"""Deleting pools of ours that nobody names any more and on which nothing is deployed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from shared import log
from shared.actions.policies import policy_of
from shared.actions.record import record_entry
from shared.errors import PermanentError
from shared.policy.schema import Policy
from shared.rollout.names import POOL, label_value, pool_id
from shared.rollout.record import LedgerEntry
from shared.wiring import World

KEPT = timedelta(days=3650)
"""How long a place is remembered in which a pool was made."""


def remember_pools(world: World, place: tuple[str, str]) -> None:
    """A pool is made in this project and region: from now on somebody looks whether it is still needed."""
    world.store.mark_once("pools", label_value("/".join(place)), world.now(), KEPT)


def has_pools(world: World, place: tuple[str, str]) -> bool:
    return world.store.is_marked("pools", label_value("/".join(place)), world.now())


def delete_pools(world: World, policies: Iterable[Policy], place: tuple[str, str]) -> list[str]:
    """What was deleted in one project and region."""
    project, region = place
    named = {pool_id(p.machine.pool) for p in policies if p.machine.pool}
    deleted = []
    for pool in world.pools.list(project, region):
        if not pool.startswith(POOL) or pool in named or pool in _kept(world):
            continue
        try:
            if world.pools.is_used(project, region, pool):
                continue
            world.pools.delete(project, region, pool)
        except PermanentError as exc:
            log.info(f"pool {pool} stays: {exc}")
            continue
        deleted.append(pool)
        now = world.now()
        entry = LedgerEntry(
            id=label_value(f"pool-{project}-{region}-{pool}-{int(now.timestamp())}"),
            rollout="",
            model="",
            at=now,
            decision="operate",
            sentence=f"Deleted pool {pool} in {project}/{region}: no policy names it, and nothing is deployed on it",
            actor="retire_models",
        )
        record_entry(world, entry, notice=False)
    return deleted


def _kept(world: World) -> set[str]:
    """Those of rollouts that are under way: each keeps the policy with which it started."""
    kept = set()
    for stored in world.store.unsettled_rollouts():
        machine = policy_of(world, stored.rollout).machine
        if machine.pool:
            kept.add(pool_id(machine.pool))
    return kept
