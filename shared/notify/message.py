"""What people get: the ledger's own sentence, with the numbers behind it."""

from __future__ import annotations

from typing import Any

from shared.rollout.record import LedgerEntry, Rollout

SCHEMA = "rollout-notice/v1"


def compose(entry: LedgerEntry, rollout: Rollout | None) -> dict[str, Any]:
    """The payload of a signed webhook; ``thread`` is one per rollout."""
    return {
        "schema": SCHEMA,
        "id": entry.id,
        "thread": entry.rollout,
        "severity": entry.severity,
        "decision": entry.decision,
        "sentence": entry.sentence,
        "at": entry.at.isoformat(),
        "model": entry.model,
        "version": entry.version,
        "target": entry.target,
        "phase": entry.phase,
        "traffic": {"before": entry.traffic_before, "after": entry.traffic_after},
        "checks": [
            {
                "metric": c.metric,
                "verdict": c.verdict.value,
                "sentence": c.sentence,
                "observed": c.observed,
                "limit": c.limit,
                "samples": c.samples,
            }
            for c in entry.checks
        ],
        "seconds_to_restore": round((entry.at - entry.began_at).total_seconds()) if entry.began_at else None,
        "event": entry.event,
        "actor": entry.actor,
        "now": {"phase": rollout.phase.value, "sentence": rollout.sentence} if rollout else None,
    }
