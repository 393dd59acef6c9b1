"""A signed webhook: the receiver can tell that the message is ours, is whole and is fresh (``shared/signature.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.notify.announcement import Announcement
from shared.notify.posting import as_json, post
from shared.signature import sign

SCHEMA = "rollout-notice/v1"


@dataclass(frozen=True, repr=False)
class Webhook:
    """Where a channel posts to; both fields are secrets (the address is itself a credential) and are never logged."""

    url: str
    secret: str

    def post(self, name: str, told: Announcement, now: datetime) -> None:
        """Send one message; the entry's id lets the receiver drop a repetition."""
        body = as_json(webhook_payload(told))
        post(name, self.url, body, sign(self.secret, told.entry.id, body, now))


def webhook_payload(told: Announcement) -> dict[str, Any]:
    """The whole of it, for programs; ``thread`` is one per rollout."""
    entry = told.entry
    return {
        "schema": SCHEMA,
        "id": entry.id,
        "thread": told.thread,
        "severity": entry.severity,
        "decision": entry.decision,
        "title": told.title,
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
        "took": [{"what": took.what, "seconds": took.seconds} for took in told.took],
        "links": [{"label": link.label, "url": link.url} for link in told.links],
        "event": entry.event,
        "actor": entry.actor,
        "now": {"phase": told.rollout.phase.value, "sentence": told.rollout.sentence} if told.rollout else None,
    }
