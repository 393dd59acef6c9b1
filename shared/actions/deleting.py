"""Deleting the versions of a model that lie beyond its retention."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from shared import log
from shared.actions.policies import home_of
from shared.actions.record import record_entry
from shared.errors import RolloutsError
from shared.policy.schema import Policy, Retention
from shared.policy.units import format_duration
from shared.rollout.copies import copies
from shared.rollout.names import label_value
from shared.rollout.observed import Endpoint, ModelVersion
from shared.rollout.record import LedgerEntry
from shared.rollout.retention import plan_deletions
from shared.wiring import World

PENDING = timedelta(hours=1)
"""How long a deletion that was asked for is left to itself before it is asked for again."""


def delete_versions(
    world: World, policy: Policy, retention: Retention, place: tuple[str, str], endpoints: Sequence[Endpoint]
) -> list[ModelVersion]:
    """Whose deletion was started; ``endpoints`` are all of this project and region, those of others too."""
    project, region = place
    try:
        versions = world.registry.versions(project, region, policy.model)
        if len(versions) <= retention.keep:
            return []
        deployed = {d.registered for e in endpoints for d in e.deployed if d.model == policy.model}
        unsettled = [s.rollout for s in world.store.unsettled_rollouts() if s.rollout.model == policy.model]
        needed = {v for r in unsettled for v in (r.version, r.stable_version)}
        home = home_of(world, policy)
        if place != home:
            copied = copies(home, policy.model, versions)
            needed = {copied[version] for version in needed if version in copied}
        doomed = plan_deletions(retention, versions, deployed, needed, world.now())
        return [v for v in doomed if _delete(world, v, retention)]
    except RolloutsError as exc:
        log.warning(f"versions of {policy.model} are left for the next time: {exc}")
        return []


def _delete(world: World, version: ModelVersion, retention: Retention) -> bool:
    """Asked for once an hour at most. Vertex AI itself refuses a version that was deployed since it was looked at."""
    now, what = world.now(), f"{version.region}-{version.model}-v{version.version}"
    if not world.store.mark_once("delete", label_value(what), now, PENDING):
        return False
    try:
        world.registry.delete(version)
    except RolloutsError as exc:
        log.warning(f"{version.model} v{version.version} is not deleted: {exc}")
        return False
    assert version.created_at is not None  # noqa: S101 (the plan has looked)
    age = format_duration(timedelta(days=(now - version.created_at).days))
    entry = LedgerEntry(
        id=label_value(f"delete-{what}-{int(now.timestamp())}"),
        rollout="",
        model=version.model,
        at=now,
        decision="delete",
        sentence=f"Deleted v{version.version}: {age} old >= {format_duration(retention.after)}, and {retention.keep} newer ones stay",
        version=version.version,
        actor="retire_models",
    )
    record_entry(world, entry, notice=False)
    return True
