"""Everything that is shown of one rollout, gathered in one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from shared.policy.schema import Policy
from shared.rollout.decide import Decision, decide
from shared.rollout.evidence import Evidence
from shared.rollout.record import CheckResult, LedgerEntry, Phase, Rollout
from shared.view.arms import ArmRow, arm_rows
from shared.view.ledger import entry_json
from shared.view.next_step import next_step
from shared.view.places import Place, places_json
from shared.view.standing import rollout_json

JUDGED = (Phase.SHADOW, Phase.EXPERIMENT, Phase.CANARY, Phase.WATCHING)
"""The phases in which there is something to judge."""


@dataclass(frozen=True)
class Checks:
    """The checks that are shown, and where they are from."""

    results: Sequence[CheckResult]
    at: datetime | None
    """Until when evidence was judged, or the time of the entry."""
    entry: str
    """The ledger entry that they are of; empty for evidence of this moment."""


@dataclass(frozen=True)
class Looked:
    """One rollout at one moment."""

    rollout: Rollout
    policy: Policy | None
    """The version that it keeps; None where that is not in the store."""
    checks: Checks
    entries: Sequence[LedgerEntry]
    """Its ledger, oldest first."""
    names: Mapping[str, str]
    """``v4`` by deployed-model id."""
    decision: Decision | None
    """What the evidence of this moment asks for, leaving aside that the rollout is paused; None where nothing is judged."""
    following: str
    """What comes next, in a sentence or two."""
    arms: Sequence[ArmRow] = ()
    """Of an experiment."""
    places: Sequence[Place] = ()
    """All targets of the version, where there are several."""

    @property
    def last(self) -> LedgerEntry | None:
        return self.entries[-1] if self.entries else None

    @property
    def moved(self) -> LedgerEntry | None:
        """The last entry that moved traffic."""
        return next((e for e in reversed(self.entries) if e.traffic_after is not None), None)


def looked(
    rollout: Rollout,
    policy: Policy | None,
    evidence: Evidence | None,
    entries: Sequence[LedgerEntry],
    names: Mapping[str, str],
    busy: str,
    now: datetime,
    places: Sequence[Place] = (),
) -> Looked:
    """With traffic, the checks are judged on the evidence of this moment; otherwise they are those of the last decision.

    ``busy`` is the rollout whose trial occupies the endpoint, where this one waits for it.
    """
    decision, until = None, None
    if policy and rollout.phase in JUDGED:
        # Without the hold, which would hide what the evidence asks for, and whether resuming helps.
        decision = decide(policy, replace(rollout, hold=None), evidence, now)
        until = _judged_until(rollout, evidence)
    following = next_step(rollout, policy, decision, busy, now)
    arms = arm_rows(rollout, policy, evidence)
    return Looked(rollout, policy, _checks(decision, until, entries), entries, names, decision, following, arms, places)


def _judged_until(rollout: Rollout, evidence: Evidence | None) -> datetime | None:
    """None while all that was judged is from before this stage: metrics are judged some minutes late."""
    if evidence is None or rollout.stage_since is None or evidence.stage_since != rollout.stage_since:
        return None
    until = evidence.judged_until
    return until if until and until > rollout.stage_since else None


def _checks(decision: Decision | None, until: datetime | None, entries: Sequence[LedgerEntry]) -> Checks:
    if decision is not None:
        return Checks(decision.checks, until, "")
    found = [e for e in reversed(entries) if e.checks]
    # An alert that came after all was over is noted, with its number; it decided nothing.
    judged = next((e for e in found if e.decision != "note"), found[0] if found else None)
    return Checks(judged.checks, judged.at, judged.id) if judged else Checks((), None, "")


def looked_json(seen: Looked, now: datetime) -> dict[str, Any]:
    """The same for programs; the keys stay."""
    r, checks = seen.rollout, seen.checks
    return {
        "rollout": rollout_json(r, seen.policy, now)
        | {
            "deployed_id": r.deployed_id,
            "stable_id": r.stable_id,
            "stable_version": r.stable_version,
            "policy_version": r.policy_version,
            "attempt": r.attempt,
            "phase_since": r.phase_since.isoformat(),
            "stage_since": r.stage_since.isoformat() if r.stage_since else None,
            "hold": _plain(r.hold),
            "stop": _plain(r.stop),
            "operation": _plain(r.operation),
        },
        "checks": {
            "entry": checks.entry or None,
            "at": checks.at.isoformat() if checks.at else None,
            "results": [asdict(one) for one in checks.results],
        },
        "last": entry_json(seen.last) if seen.last else None,
        "next": seen.following,
        "targets": places_json(seen.places),
    }


def _plain(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(value).items()}
