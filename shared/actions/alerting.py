"""Asking for a rollback: our own analysis is one more source of alerts, so there is exactly one way to roll back."""

from __future__ import annotations

from collections.abc import Sequence

from shared import topics
from shared.events.alert import Alert, alert_message
from shared.rollout.record import CheckResult, Rollout, Verdict
from shared.wiring import World


def ask_rollback(
    world: World, rollout: Rollout, sentence: str, checks: Sequence[CheckResult] = (), deployed: str = ""
) -> None:
    """Publish to ``alert-fired``. Asking twice is harmless: the second finds it done.

    ``deployed`` names one arm of an experiment, where not all that is on trial is meant.
    """
    named = deployed or rollout.deployed_id
    failed = next((c for c in checks if c.verdict is Verdict.FAIL and c.gating), None)
    alert = Alert(
        source="analysis",
        id=f"{rollout.id}-stage-{rollout.stage}{f'-{deployed}' if deployed else ''}",
        state="open",
        project=rollout.target.project,
        region=rollout.target.region,
        endpoint=rollout.target.endpoint,
        deployed_model=named or None,
        rollout=rollout.id,
        started_at=world.now(),
        ended_at=None,
        sentence=sentence,
        metric=failed.metric if failed else None,
        observed=None if failed is None or failed.observed is None else f"{failed.observed:.6g}",
        limit=None if failed is None or failed.limit is None else f"{failed.limit:.6g}",
        policy_name=None,
        url=None,
        severity="error",
    )
    world.publisher.publish(topics.ALERT_FIRED, alert_message(alert))
