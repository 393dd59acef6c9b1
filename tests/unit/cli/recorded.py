"""A store with a morning in it: one canary, one that waits behind it, one that is paused, two that have ended."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.policy.loading import load_policy
from shared.policy.schema import Policy
from shared.rollout.evidence import Evidence
from shared.rollout.observed import ArmMinute, Histogram, TargetRef
from shared.rollout.record import CheckResult, Hold, LedgerEntry, Phase, Rollout, Verdict
from shared.store.evidence_pages import Shard
from shared.store.store import Store, StoredRollout
from shared.wiring import store_from_env
from tests.unit.policy.files import HEAD

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CLOCK = {"CLOCK_ORIGIN": f"{NOW.timestamp():.0f}", "CLOCK_RATE": "0"}
"""With this the present is NOW, and stays it."""
CHURN = TargetRef("local-project", "us-central1", "churn-serving")
RELEVANCE = TargetRef("local-project", "europe-west4", "arr-coc-serving")
STABLE, CANDIDATE = "3000000003", "4000000004"
RULES = (
    "rollout: {advance: bake, stages: [{traffic: 10}, {traffic: 50}, {traffic: 100}], "
    "checks: [{metric: error_rate, at_most: 1%}, {metric: latency_ms, p95_at_most: 200, gating: false}]}\n"
)
V2, V3, V4, V5 = (f"churn-v{n}-00000{n}" for n in (2, 3, 4, 5))
PAUSED = "arr-coc-relevance-v12-0a1b2c"


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def policy(folder: Path, text: str) -> Policy:
    file = folder / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    return load_policy(file)


def fill(path: Path) -> None:
    """Write the morning into the SQLite file at ``path``."""
    with closing(store_from_env({"STORE_PATH": str(path)})) as store:
        store.put_policy(policy(path.parent, HEAD + RULES), "ada@example.com", ago(days=30))
        other = HEAD.replace("us-central1", "europe-west4").replace("churn-serving", "arr-coc-serving")
        store.put_policy(
            policy(path.parent, other.replace("model: churn", "model: arr-coc-relevance") + RULES), "a@b", ago(days=30)
        )
        _ended(store)
        _canary(store)
        _queued(store)
        _paused(store)


def a_rollout(id: str, version: str, phase: Phase, at: datetime) -> Rollout:  # noqa: A002
    return Rollout(id, "churn", version, CHURN, 0, 1, phase, created_at=at, updated_at=at, phase_since=at)


def an_entry(rollout: Rollout, decision: str, sentence: str, at: datetime) -> LedgerEntry:
    return LedgerEntry(
        "",
        rollout.id,
        rollout.model,
        at,
        decision,
        sentence,
        target=str(rollout.target),
        version=rollout.version,
        phase=rollout.phase.value,
        stage=rollout.stage,
        actor="advance_rollout",
    )


def _begin(store: Store, rollout: Rollout, sentence: str) -> StoredRollout:
    rollout = replace(rollout, sentence=sentence)
    entry = replace(an_entry(rollout, "start", sentence, rollout.created_at), actor="start_rollout")
    assert store.create_rollout(rollout, entry)
    stored = store.get_rollout(rollout.id)
    assert stored is not None
    return stored


def _ended(store: Store) -> None:
    champion = replace(
        a_rollout(V3, "3", Phase.PROMOTED, ago(days=9)), stage=2, deployed_id=STABLE, updated_at=ago(days=8)
    )
    _begin(store, champion, "Promoted v3: the watch of 24h ended without harm")
    harmful = replace(
        a_rollout(V2, "2", Phase.CANARY, ago(days=12)), stage=0, deployed_id="2000000002", stable_id="1000000001"
    )
    stored = _begin(store, replace(harmful, stable_version="1"), "Registered v2")
    sentence = "Rolled back v2: error_rate 12.4 % > 1 % (31 of 250 requests)"
    check = CheckResult(
        "error_rate", Verdict.FAIL, "error_rate 12.4 % > 1 % (31 of 250 requests)", 0.124, 0.01, samples=250
    )
    after = stored.rollout.moved(ago(days=11), phase=Phase.ROLLED_BACK, sentence=sentence)
    entry = replace(
        an_entry(after, "roll_back", sentence, ago(days=11)),
        severity="error",
        checks=(check,),
        traffic_before={"1000000001": 90, "2000000002": 10},
        traffic_after={"1000000001": 100},
        actor="roll_back",
    )
    store.transition(stored, after, entry)


def _canary(store: Store) -> None:
    stored = _begin(store, a_rollout(V4, "4", Phase.QUEUED, ago(minutes=41)), "Registered v4")
    deploying = stored.rollout.moved(
        ago(minutes=40), phase=Phase.DEPLOYING, deployed_id=CANDIDATE, stable_id=STABLE, stable_version="3"
    )
    said = "Deploying v4 beside v3 on n1-standard-2"
    stored = store.transition(
        stored, replace(deploying, sentence=said), an_entry(deploying, "operate", said, ago(minutes=40)), slot="take"
    )
    shifted = stored.rollout.moved(ago(minutes=12), phase=Phase.CANARY, stage=0, stage_since=ago(minutes=12))
    said = "Advanced v4 to 10 % (stage 1 of 3): v4 is ready"
    entry = replace(
        an_entry(shifted, "advance", said, ago(minutes=12)),
        traffic_before={STABLE: 100},
        traffic_after={STABLE: 90, CANDIDATE: 10},
    )
    store.transition(stored, replace(shifted, sentence=said), entry)
    served = ArmMinute(120, 0, {"latency_ms": Histogram((100.0, 200.0), (80, 38, 2), 90.0, 40_000.0)})
    until = ago(minutes=5)
    gathered = Evidence(V4, ago(minutes=12), newer={CANDIDATE: served}, judged_until=until, last_data=until)
    places = store.evidence.place(Shard(), [V4], ago(minutes=5))
    (page,) = store.evidence.read(places, [places.pages[V4]])
    assert store.evidence.write(page, {V4: gathered})


def _queued(store: Store) -> None:
    _begin(store, a_rollout(V5, "5", Phase.QUEUED, ago(minutes=3)), f"Registered v5; waits for the trial {V4}")


def _paused(store: Store) -> None:
    rollout = replace(
        a_rollout(PAUSED, "12", Phase.CANARY, ago(hours=30)),
        model="arr-coc-relevance",
        target=RELEVANCE,
        stage=1,
        stage_since=ago(hours=25),
        hold=Hold("no data from the candidate since 11:00 UTC", "policy", ago(hours=1)),
        updated_at=ago(hours=1),
        deployed_id="5000000005",
        stable_id="6000000006",
        stable_version="11",
    )
    _begin(store, rollout, "Paused v12: no data from the candidate since 11:00 UTC; somebody has to look at it")
