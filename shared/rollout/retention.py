"""Which versions of a model nobody needs any more. Pure; what is deployed, aliased, under way or the last is never among them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from shared.policy.schema import Retention
from shared.rollout.names import version_number
from shared.rollout.observed import ModelVersion

AT_ONCE = 10
"""Versions that one tick deletes at most: a policy that was written wrongly is noticed before everything is gone."""


def plan_deletions(
    retention: Retention,
    versions: Sequence[ModelVersion],
    deployed: Collection[str],
    needed: Collection[str],
    now: datetime,
) -> list[ModelVersion]:
    """Oldest first. ``deployed`` are the versions that stand on any endpoint, ``needed`` those of rollouts that are not over."""
    newest_first = sorted(versions, key=lambda v: version_number(v.version), reverse=True)
    beyond = [
        v
        for v in newest_first[max(retention.keep, 1) :]
        if not v.aliases
        and v.version not in deployed
        and v.version not in needed
        and v.created_at is not None
        and now - v.created_at >= retention.after
    ]
    return list(reversed(beyond))[:AT_ONCE]
