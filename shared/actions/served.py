"""What was served since the last tick, read once for all rollouts of a project."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared import log
from shared.actions.quality import beside
from shared.errors import TransientError
from shared.policy.rollout import MEASURED, RolloutSpec
from shared.policy.schema import Policy
from shared.rollout.evidence import Evidence
from shared.rollout.names import arm_target, green_target, shadow_target
from shared.rollout.observed import Minute, TargetRef
from shared.rollout.pairing import merged
from shared.rollout.record import Phase, Rollout
from shared.wiring import World

FARTHEST = timedelta(hours=1)
"""How far back a tick reads at most; after a longer pause the older minutes are not judged."""
CATCH_UP = 20_000
"""Minutes of rollouts that one tick reads after a pause; what is left is read by the next ones, oldest first."""
_MINUTE = timedelta(minutes=1)


@dataclass
class _Window:
    """What has been read of one project: ``(start, end]``."""

    metrics: frozenset[str]
    end: datetime
    longest: timedelta
    start: datetime | None = None
    minutes: dict[tuple[str, str], list[Minute]] = field(default_factory=dict)
    error: str = ""


class Served:
    """Reads as far back as somebody needs, once; a page of rollouts that needs more makes it read what is before."""

    def __init__(
        self, world: World, rollouts: Sequence[Rollout], policies: Mapping[str, Policy], now: datetime
    ) -> None:
        self._world = world
        self._now = now
        by_project: dict[str, list[Rollout]] = defaultdict(list)
        for rollout in rollouts:
            by_project[rollout.target.project].append(rollout)
        self._windows: dict[str, _Window] = {}
        self._reports: dict[datetime, dict[str, dict[tuple[str, str], Minute]]] = {}
        self._places = {
            (ref.region, ref.endpoint)
            for rollout in rollouts
            for place in (rollout.target, *beside_target(policies[rollout.id], rollout))
            for ref in (place, green_target(place))
        }
        for project, own in by_project.items():
            specs = [policies[r.id].rollout for r in own]
            metrics = frozenset(metric for spec in specs for metric in metrics_of(spec))
            end = floor(now - min(spec.metrics.lag for spec in specs))
            self._windows[project] = _Window(metrics, end, max(2, CATCH_UP // len(own)) * _MINUTE)

    def reach(self, rollouts: Iterable[tuple[Rollout, Evidence | None]]) -> None:
        """See to it that what these rollouts lack is read."""
        wanted: dict[str, datetime] = {}
        for rollout, evidence in rollouts:
            project, begin = rollout.target.project, begin_of(rollout, evidence)
            wanted[project] = min(begin, wanted.get(project, begin))
        for project, begin in wanted.items():
            self._read(project, max(begin, floor(self._now - FARTHEST)))

    def of(self, target: TargetRef, *beside: TargetRef) -> Sequence[Minute]:
        """The minutes of one endpoint, or of several that are one target, in order."""
        minutes = self._windows[target.project].minutes
        places = (target, green_target(target), *beside)
        return merged(*(minutes.get((place.region, place.endpoint), ()) for place in places))

    def until(self, project: str) -> datetime:
        """Up to when is read."""
        return self._windows[project].end

    def error(self, project: str) -> str:
        """Why it could not be read; empty if it could."""
        return self._windows[project].error

    def _read(self, project: str, start: datetime) -> None:
        window = self._windows[project]
        if window.error or start >= (window.start or window.end):
            return
        if window.start is None:
            # After a pause: the oldest minutes first, and no more of them than a tick has time for.
            window.end = min(window.end, start + window.longest)
        until = window.start or window.end
        try:
            found = self._world.metrics.minutes(project, start, until, window.metrics, self._places)
            if window.metrics - set(MEASURED):
                found = beside(found, self._reported(project, start, until))
        except TransientError as exc:
            window.error = str(exc)
            log.warning(f"metrics of {project} cannot be read in this tick: {exc}")
            return
        for key, minutes in window.minutes.items():
            found.setdefault(key, []).extend(minutes)
        window.start, window.minutes = start, dict(found)

    def _reported(self, project: str, start: datetime, until: datetime) -> list[Mapping[tuple[str, str], Minute]]:
        """What was reported in ``(start, until]``; each minute is read once, for all projects."""
        ends = [start + _MINUTE * number for number in range(1, int((until - start) / _MINUTE) + 1)]
        for end in ends:
            if end not in self._reports:
                self._reports[end] = self._world.store.quality.of_minute(end)
        return [self._reports[end][project] for end in ends if project in self._reports[end]]


def metrics_of(spec: RolloutSpec) -> Iterator[str]:
    """What has to be read to judge it."""
    yield from (check.metric for check in spec.checks)
    if spec.experiment:
        yield spec.experiment.objective.metric


def beside_target(policy: Policy, rollout: Rollout) -> list[TargetRef]:
    """The endpoints beside the target on which arms of this trial serve: its shadow, or the arms of a sticky experiment."""
    if rollout.phase is Phase.SHADOW:
        return [shadow_target(rollout.id, rollout.target)]
    spec = policy.rollout.experiment
    if spec is None or not spec.is_sticky or rollout.phase is not Phase.EXPERIMENT:
        return []
    return [arm_target(rollout.id, arm.name, rollout.target) for arm in rollout.arms]


def begin_of(rollout: Rollout, evidence: Evidence | None) -> datetime:
    """From when on there is something to read: the stage's beginning, or where the last tick ended."""
    since = floor(rollout.stage_since or rollout.created_at)
    if evidence and evidence.stage_since == rollout.stage_since and evidence.judged_until:
        return max(since, evidence.judged_until)
    return since


def floor(at: datetime) -> datetime:
    """The whole minute."""
    return at.replace(second=0, microsecond=0)
