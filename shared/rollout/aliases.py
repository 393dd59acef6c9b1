"""Aliases as a projection of the records: what they should be, and what has to change.

MergeVersionAliases has no etag, so aliases are applied again until they stand; no traffic decision ever reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.rollout.observed import ModelVersion
from shared.rollout.record import Phase, Rollout

CANDIDATE, CHAMPION, PREVIOUS, DEFAULT = "candidate", "champion", "previous", "default"
OURS = (CANDIDATE, CHAMPION, PREVIOUS, DEFAULT)


def desired_aliases(rollouts: Iterable[Rollout], targets: int) -> dict[str, str]:
    """Alias to version, from all rollouts of one model. ``champion`` moves when the last target is promoted.

    A version is asked for the targets that it was delivered to, at most ``targets``: one that is added to the policy later does not
    take the alias from the version that was champion before.
    """
    rollouts = list(rollouts)
    reached = [r for r in rollouts if r.phase in (Phase.WATCHING, Phase.PROMOTED)]
    everywhere = {r.version for r in reached if _count(reached, r.version) >= min(targets, _count(rollouts, r.version))}
    order = sorted(everywhere, key=lambda v: max(_place_in_time(r) for r in reached if r.version == v), reverse=True)
    wanted = dict(zip((CHAMPION, PREVIOUS), order, strict=False))
    if CHAMPION in wanted:
        wanted[DEFAULT] = wanted[CHAMPION]
    on_trial = [r for r in rollouts if r.phase is Phase.QUEUED or r.phase.is_trial]
    if on_trial:
        wanted[CANDIDATE] = max(on_trial, key=lambda r: r.created_at).version
    return wanted


def _count(rollouts: Iterable[Rollout], version: str) -> int:
    return len({r.target_index for r in rollouts if r.version == version})


def _place_in_time(rollout: Rollout) -> tuple[float, int]:
    """When it was promoted; what was adopted at one moment counts by the order of the targets, in which versions come."""
    return (rollout.stage_since or rollout.phase_since).timestamp(), rollout.target_index


@dataclass(frozen=True)
class AliasChange:
    """One MergeVersionAliases call."""

    version: ModelVersion
    add: tuple[str, ...]
    remove: tuple[str, ...]


def plan_aliases(wanted: dict[str, str], versions: Sequence[ModelVersion]) -> list[AliasChange]:
    """The fewest calls that make it so.

    An alias that is added moves by itself, so it is removed only where nobody is to have it; ``default`` is never removed (a model
    always has exactly one).
    """
    changes = []
    for version in versions:
        has, should = set(version.aliases) & set(OURS), {a for a, v in wanted.items() if v == version.version}
        add = tuple(sorted(should - has))
        remove = tuple(sorted(a for a in has - should if a not in wanted and a != DEFAULT))
        if add or remove:
            changes.append(AliasChange(version, add, remove))
    return changes
