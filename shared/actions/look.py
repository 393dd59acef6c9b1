"""Reading what is shown of one rollout: the store alone, a handful of documents."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from shared.rollout.record import Phase, Rollout
from shared.view.ledger import version_names
from shared.view.looked import JUDGED, Looked, looked
from shared.view.places import places

if TYPE_CHECKING:
    from shared.store.store import Store

NAMED = 50
"""The newest rollouts of its model, whose versions are called by their names beside it."""


def look(store: Store, rollout: Rollout, now: datetime) -> Looked:
    """The rollout with its policy, ledger and the evidence of this moment."""
    stored = store.policy(rollout.model, rollout.policy_version)
    evidence = store.evidence.of(rollout.id) if stored and rollout.phase in JUDGED else None
    busy = store.busy(rollout.target) if rollout.phase is Phase.QUEUED else ""
    policy = stored.policy if stored else None
    newest = store.rollouts_of_model(rollout.model, NAMED)
    return looked(
        rollout,
        policy,
        evidence,
        store.ledger(rollout=rollout.id),
        version_names([*newest, rollout]),
        busy,
        now,
        places(rollout, policy, newest),
    )
