"""Entries of a ledger as they are told: a rollback, a promotion, a question, an alert of nobody, and text from outside at its worst."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from shared.notify.announcement import Announcement, compose
from shared.rollout.observed import TargetRef
from shared.rollout.record import CheckResult, LedgerEntry, Phase, Rollout, Verdict

NOW = datetime(2026, 11, 20, 10, 42, 7, tzinfo=UTC)
PAGE = "https://rollouts.example.com"
TARGET = TargetRef("demo-project", "us-central1", "arr-coc-serving")
HOSTILE = "<!channel> *see* <https://evil.example|the console> & `_rm_` <b>now</b> <users/all> ~gone~ @here"
ROLLOUT = Rollout(
    id="arr-coc-relevance-v4-a1b2c3",
    model="arr-coc-relevance",
    version="4",
    target=TARGET,
    target_index=0,
    policy_version=3,
    phase=Phase.ROLLED_BACK,
    created_at=NOW - timedelta(hours=1),
    updated_at=NOW,
    phase_since=NOW,
    stage=0,
    deployed_id="4444444444",
    stable_id="3333333333",
    stable_version="3",
    sentence="Rolled back arr-coc-relevance v4 to arr-coc-relevance v3: errors",
)
ERRORS = CheckResult(
    "error_rate", Verdict.FAIL, "error_rate 12.4% > 1% (31 of 250 requests)", 0.124, 0.01, stable=0.002, samples=250
)
LATENCY = CheckResult("latency_ms", Verdict.PASS, "latency_ms p95 41.2 <= 100", 41.2, 100.0, samples=250)


def entry(decision: str, sentence: str, **more: object) -> LedgerEntry:
    made = LedgerEntry(
        id=f"{ROLLOUT.id}-0007",
        rollout=ROLLOUT.id,
        model=ROLLOUT.model,
        at=NOW,
        decision=decision,
        sentence=sentence,
        target=str(TARGET),
        version="4",
        phase="canary",
        event="message-1842",
        actor="roll_back",
    )
    return LedgerEntry(**{**vars(made), **more})


FIRST_SHARE = entry(
    "advance", "Advanced v4 to 10 %", at=NOW - timedelta(minutes=22), traffic_after={"3333333333": 90, "4444444444": 10}
)


def told(of: LedgerEntry, rollout: Rollout | None = ROLLOUT, page: str = PAGE) -> Announcement:
    return compose(of, rollout, [FIRST_SHARE, of], page)


STORIES: Mapping[str, Announcement] = {
    "rolled_back": told(
        entry(
            "roll_back",
            "Rolled back arr-coc-relevance v4 to arr-coc-relevance v3: error_rate 12.4% > 1% (31 of 250 requests) "
            "(traffic was v3 90 %, v4 10 %, is v3 100 %)",
            severity="error",
            checks=(ERRORS, LATENCY),
            traffic_before={"3333333333": 90, "4444444444": 10},
            traffic_after={"3333333333": 100, "4444444444": 0},
            began_at=NOW - timedelta(minutes=5),
            detected_at=NOW - timedelta(seconds=4),
            restored_at=NOW,
        )
    ),
    "promoted": told(
        entry(
            "promote",
            "Promoted v4 to 100 % (v4 100 %): 20m judged without harm",
            checks=(LATENCY,),
            traffic_before={"3333333333": 50, "4444444444": 50},
            traffic_after={"4444444444": 100},
            actor="advance_rollout",
        )
    ),
    "asked": told(
        entry("ask", "Waiting for ml-leads@example.com to approve 50 %, until 14:42 UTC", severity="warning")
    ),
    "nobodys_alert": told(
        LedgerEntry(
            id="alert-incident-9-open-call",
            rollout="",
            model="",
            at=NOW,
            decision="note",
            sentence="An alert names an endpoint that is not under a policy",
            severity="error",
            target="demo-project/us-central1/other",
            actor="roll_back",
        ),
        None,
    ),
    "hostile": told(
        entry(
            "hold",
            f"Holding: {HOSTILE}",
            severity="warning",
            actor="ann*@example.com",
            checks=(CheckResult("<b>bad</b>", Verdict.NO_DATA, HOSTILE),),
        )
    ),
}
