"""Where a rollout stands, in few words: state, stage, share, age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.policy.schema import Policy
from shared.rollout.record import Phase, Rollout, Verdict

STATES = {
    "queued": ("◷", ""),
    "shadow": ("◌", "cyan"),
    "experiment": ("◌", "cyan"),
    "deploying": ("◌", "cyan"),
    "canary": ("◌", "cyan"),
    "watching": ("◌", "green"),
    "paused": ("‖", "yellow"),
    "stopping": ("⚠", "yellow"),
    "promoted": ("✔", "green"),
    "rolled back": ("✖", "red"),
    "failed": ("✖", "red"),
    "rejected": ("✖", "red"),
    "superseded": ("•", "dim"),
}
VERDICT_ICONS = {
    Verdict.PASS: ("✔", "green"),
    Verdict.FAIL: ("✖", "red"),
    Verdict.INCONCLUSIVE: ("◌", "cyan"),
    Verdict.NO_DATA: ("?", "yellow"),
    Verdict.PROVIDER_ERROR: ("⚠", "yellow"),
}


@dataclass(frozen=True)
class Standing:
    """What a line of a list says about a rollout."""

    state: str
    """The phase, or ``paused`` or ``stopping`` where that matters more."""
    stage: int
    """From 1; 0 before the first share."""
    stages: int | None
    """None where the policy that it keeps is not in the store."""
    share: int | None
    """Percent of the traffic as recorded; None for one that has ended, whose endpoint may have moved on since."""
    towards: int | None
    """The share of a shift that was decided and not yet confirmed."""

    @property
    def label(self) -> tuple[str, str]:
        """The state with its icon, and its style."""
        icon, style = STATES[self.state]
        return f"{icon} {self.state}", style

    @property
    def progress(self) -> str:
        """``2/3  10 %``, and ``2/3  10→50 %`` during a shift."""
        steps = f"{self.stage}/{'?' if self.stages is None else self.stages}"
        if self.share is None:
            return steps
        return f"{steps}  {self.share}{'' if self.towards is None else f'→{self.towards}'} %"


def standing(rollout: Rollout, policy: Policy | None) -> Standing:
    """Where it stands, from its record and the policy it keeps."""
    stages = policy.rollout.stages if policy else []
    share: int | None = 0
    if not rollout.phase.is_open:
        share = None
    elif rollout.phase is Phase.WATCHING:
        share = 100
    elif rollout.phase is Phase.CANARY:
        share = stages[rollout.stage].traffic if 0 <= rollout.stage < len(stages) else None
    elif rollout.phase is Phase.EXPERIMENT and rollout.stage_since and policy and policy.rollout.experiment:
        share = policy.rollout.experiment.share
    shift = rollout.shift if rollout.phase.is_open else None
    return Standing(
        state=_state(rollout),
        stage=rollout.stage + 1,
        stages=len(stages) if policy else None,
        share=share,
        towards=shift.to.get(rollout.deployed_id, 0) if shift else None,
    )


def _state(rollout: Rollout) -> str:
    if rollout.phase.is_open and rollout.stop:
        return "stopping"
    if rollout.phase.is_open and rollout.hold:
        return "paused"
    return rollout.phase.value.replace("_", " ")


def age(span: timedelta) -> str:
    """A duration at a glance: ``45s``, ``41m``, ``26h``, ``7d``."""
    seconds = max(int(span.total_seconds()), 0)
    for unit, size, below in (("s", 1, 60), ("m", 60, 3_600), ("h", 3_600, 172_800)):
        if seconds < below:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86_400}d"


def rollout_json(rollout: Rollout, policy: Policy | None, now: datetime) -> dict[str, Any]:
    """A rollout for programs; the keys stay."""
    stand = standing(rollout, policy)
    target = rollout.target
    return {
        "id": rollout.id,
        "model": rollout.model,
        "version": rollout.version,
        "target": {"project": target.project, "region": target.region, "endpoint": target.endpoint},
        "phase": rollout.phase.value,
        "state": stand.state.replace(" ", "_"),
        "open": rollout.phase.is_open,
        "stage": stand.stage,
        "stages": stand.stages,
        "share": stand.share,
        "shifting_to": stand.towards,
        "created_at": rollout.created_at.isoformat(),
        "updated_at": rollout.updated_at.isoformat(),
        "age_seconds": int((now - rollout.created_at).total_seconds()),
        "sentence": rollout.sentence,
    }
