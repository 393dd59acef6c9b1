"""Filling the index of versions: at registration, and anew from the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from shared.rollout.copies import is_copy
from shared.rollout.index import indexed
from shared.rollout.observed import ModelVersion
from shared.wiring import World

if TYPE_CHECKING:
    from shared.vertex.registry import Evaluation


def merged_metrics(evaluations: Iterable[Evaluation]) -> dict[str, float]:
    """All metrics of all evaluations, the newest winning."""
    merged: dict[str, float] = {}
    for evaluation in sorted(evaluations, key=lambda e: e.created_at.timestamp() if e.created_at else 0.0):
        merged |= evaluation.metrics
    return merged


def index_version(world: World, version: ModelVersion, metrics: Mapping[str, float]) -> None:
    """What is known at registration; the same version again replaces its entry."""
    world.store.put_version(indexed(version, dict(metrics)))


def index_foreign(world: World, version: ModelVersion) -> None:
    """A version that somebody else has uploaded: its evaluations are read once."""
    if not world.store.has_version(indexed(version, {}).id):
        index_version(world, version, merged_metrics(world.registry.evaluations(version)))


def reindex(
    world: World, places: Iterable[tuple[str, str]], pause: Callable[[], None], tell: Callable[[str, int], None]
) -> int:
    """Every version of every model of these projects and regions; ``pause`` before each call keeps within the quota.

    Each entry is written as it is read, so what was interrupted has lost nothing and can be begun again.
    """
    done = 0
    for project, region in places:
        pause()
        for model in world.registry.models(project, region):
            pause()
            for version in world.registry.versions(project, region, model):
                if is_copy(version):
                    continue  # it is the version that it is a copy of
                pause()
                index_version(world, version, merged_metrics(world.registry.evaluations(version)))
                done += 1
                tell(model, done)
    return done
