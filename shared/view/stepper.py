"""The way of a rollout as steps: what is behind it, where it stands, what is still to come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.policy.schema import Policy
from shared.policy.units import format_duration
from shared.rollout.record import LedgerEntry, Phase, Rollout

State = Literal["done", "now", "held", "ended", "ahead", "skipped"]
"""``held``: stands still; ``ended``: the rollout ended here without arriving."""
_STAGED = (Phase.SHADOW, Phase.EXPERIMENT, Phase.CANARY)
"""The phases whose time counts from the shift, not from their beginning."""
ICONS = {"done": "✔", "now": "◌", "held": "‖", "ended": "✖", "ahead": "·", "skipped": "·"}


@dataclass(frozen=True)
class Step:
    """One of the steps from registered to promoted."""

    name: str
    """``deploy``, ``shadow``, ``10 %``, ``watch``."""
    state: State
    detail: str = ""
    """How long it lasts, or how long it has lasted."""
    share: int | None = None
    """Percent of the traffic in a stage."""


def steps(rollout: Rollout, policy: Policy | None, entries: Sequence[LedgerEntry], now: datetime) -> list[Step]:
    """All of them in order; none where the policy that it keeps is not in the store."""
    if policy is None:
        return []
    names = list(_names(rollout, policy))
    at = _position(rollout, entries, names)
    first_of_its_model = bool(rollout.deployed_id) and not rollout.stable_id
    found = []
    for index, (key, name, lasts, share) in enumerate(names):
        state: State = "done" if index < at else "ahead"
        if index == at:
            state = _present(rollout)
        is_passed_over = first_of_its_model and (key == "shadow" or (share is not None and share < 100))
        if is_passed_over and state != "now":
            state = "skipped"
        found.append(Step(name, state, _detail(rollout, state, lasts, now), share))
    return found


def _names(rollout: Rollout, policy: Policy) -> Iterator[tuple[str, str, timedelta | None, int | None]]:
    """Key, name, how long it lasts at least, share."""
    spec = policy.rollout
    if spec.shadow:
        yield "shadow", "shadow", spec.shadow.bake, None
    if spec.experiment:
        yield "experiment", "experiment", spec.experiment.bake, None
    yield "deploy", "deploy", None, None
    for index, stage in enumerate(spec.stages[:-1]):
        yield f"stage{index}", f"{stage.traffic} %", stage.bake, stage.traffic
    yield "watch", "100 %", spec.standby.keep, 100


def _position(
    rollout: Rollout, entries: Sequence[LedgerEntry], names: Sequence[tuple[str, str, object, object]]
) -> int:
    """Which of the steps it is at; beyond the last one when it has arrived, before the first while it waits."""
    if rollout.phase is Phase.PROMOTED:
        return len(names)
    keys = [key for key, *_ in names]
    last = len(names) - 1
    phase = rollout.phase if rollout.phase.is_open else _last_open(entries)
    if phase is Phase.WATCHING:
        return last
    if phase is Phase.CANARY or (not rollout.phase.is_open and rollout.stage >= 0):
        return min(keys.index(f"stage{rollout.stage}") if f"stage{rollout.stage}" in keys else last, last)
    if phase is Phase.EXPERIMENT:
        return keys.index("experiment") if "experiment" in keys else 0
    if phase is Phase.DEPLOYING:
        return keys.index("deploy")
    if phase is Phase.SHADOW:
        return keys.index("shadow") if "shadow" in keys else 0
    return 0 if not rollout.phase.is_open else -1


def _last_open(entries: Sequence[LedgerEntry]) -> Phase:
    """In which phase one was that has ended."""
    found = [Phase(e.phase) for e in entries if e.phase in {p.value for p in Phase}]
    return next((phase for phase in reversed(found) if phase.is_open), Phase.QUEUED)


def _present(rollout: Rollout) -> State:
    if not rollout.phase.is_open:
        return "ended"
    return "held" if rollout.hold or rollout.stop else "now"


def _detail(rollout: Rollout, state: State, lasts: timedelta | None, now: datetime) -> str:
    if state in ("now", "held"):
        since = rollout.stage_since if rollout.phase in _STAGED else rollout.phase_since
        spent = format_duration(timedelta(minutes=max(int((now - (since or now)).total_seconds()) // 60, 0)))
        spent = "0m" if spent == "0s" else spent
        return f"{spent} of {format_duration(lasts)}" if lasts else spent
    if state in ("ahead",) and lasts:
        return format_duration(lasts)
    return ""
