"""``rollouts explain``: why, what next and when, in sentences that can be traced to the ledger."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.actions.look import look
from shared.policy.schema import Policy
from shared.rollout.record import CheckResult, Consent, Hold, LedgerEntry, Phase, Rollout, Verdict
from shared.rollout.stops import Stopped
from shared.view.explain import due_at, explain
from shared.view.looked import Looked, looked
from shared.wiring import store_from_env
from tests.unit.cli.conftest import Rollouts
from tests.unit.cli.recorded import CANDIDATE, NOW, PAUSED, RULES, STABLE, V2, V4, V5, a_rollout, ago, policy
from tests.unit.policy.files import HEAD

CANARY_AT_80 = """\
Where it is
  - churn v4 has 10 % of the traffic of us-central1/churn-serving, beside v3:
    stage 1 of 3 since 11:48 UTC (12m).
How it came there
  - 2026-11-23 11:19:00 UTC: Registered v4.
  - 2026-11-23 11:48:00 UTC: Advanced v4 to 10 % (stage 1 of 3): v4 is ready.
What the numbers say
  - error_rate 0 % <= 1 % (0 of 120 requests): passes (judged until 11:55 UTC).
  - latency_ms p95 189.5 <= 200 (2 of 120 above 200): passes (judged until 11:55
    UTC). It decides nothing.
What happens next
  - 7m of 15m judged at 10 %; then stage 2 of 3: 50 % of the traffic for 15m.
  - Not before 12:07 UTC, in 7m, when the stage has been judged without harm
    (metrics are judged 4m late).
What else may happen
  - A check that fails, or an alert on this version, gives its traffic to v3 at
    once; no pause, window or freeze stops that.
  - If the stage has not ended by 2026-11-24 11:48 UTC, it is paused.
  - Without data for 30m, it is paused; with metrics that cannot be read for
    30m, it is paused.
What you can do
  - `rollouts pause churn-v4-000004` lets it stay where it is; `rollouts abort
    churn-v4-000004` ends it; `rollouts promote churn-v4-000004` takes it to the
    next stage without waiting.
"""
ENDED_AT_140 = """\
Where it is
  - churn v2 has ended: it is rolled back on us-central1/churn-serving since 2026-11-12 12:00 UTC, 24h after it began.
How it came there
  - 2026-11-11 12:00:00 UTC: Registered v2.
  - 2026-11-12 12:00:00 UTC: Rolled back v2: error_rate 12.4 % > 1 % (31 of 250 requests). Traffic: v1 90 %, v2 10 % → v1 100 %.
What the numbers say
  - error_rate 12.4 % > 1 % (31 of 250 requests): fails, which takes the version back.
What happens next
  - Nothing; it has ended.
What you can do
  - `rollouts history churn-v2-000002` has every decision; `rollouts models --model churn` what there is now.
  - `rollouts retry churn-v2-000002 --again --reason WHY` gives this version a second trial, should it have been taken back wrongly.
"""


def test_a_canary_is_explained_with_the_time_of_its_next_stage(morning: Rollouts) -> None:
    ran = morning("explain", V4, COLUMNS="80")
    assert (ran.code, ran.out, ran.err) == (0, CANARY_AT_80, "")


def test_one_that_has_ended_tells_its_story(morning: Rollouts) -> None:
    assert morning("explain", V2, COLUMNS="140").out == ENDED_AT_140


def test_in_a_pipe_every_sentence_is_one_line(morning: Rollouts) -> None:
    lines = morning("explain", PAUSED).out.splitlines()
    (where,) = [line for line in lines if line.startswith("  - arr-coc-relevance v12 has 50 %")]
    assert where.endswith("paused since 11:00 UTC by policy: no data from the candidate since 11:00 UTC.")
    assert all(line.startswith("  - ") or line in TITLED for line in lines)


TITLED = (
    "Where it is",
    "How it came there",
    "What the numbers say",
    "What happens next",
    "What else may happen",
    "What you can do",
)


def test_programs_get_the_ledger_entry_of_each_sentence(morning: Rollouts) -> None:
    told = json.loads(morning("explain", V4, "--json").out)
    assert list(told) == ["rollout", "sentences", "due_at", "next"]
    assert told["due_at"] == "2026-11-23T12:07:00+00:00"
    how = [s for s in told["sentences"] if s["about"] == "how"]
    assert [s["entry"] for s in how] == [f"{V4}-0001", f"{V4}-0003"]
    assert how[1]["at"] == "2026-11-23T11:48:00+00:00"


def test_every_entry_that_is_named_is_in_the_ledger(morning: Rollouts, tmp_path: Path) -> None:
    with closing(store_from_env({"STORE_PATH": str(tmp_path / "store.db")})) as store:
        for id_ in (V2, V4, V5, PAUSED):
            stored = store.get_rollout(id_)
            assert stored
            for sentence in explain(look(store, stored.rollout, NOW), [], NOW):
                entry = store.get_entry(sentence.entry) if sentence.entry else None
                assert not sentence.entry or entry, sentence
                if sentence.about == "how" and entry:
                    assert entry.sentence.rstrip(".") in sentence.text


def test_an_alert_that_came_after_all_was_over_is_not_taken_for_the_reason(rules: Policy) -> None:
    ended = replace(canary(), phase=Phase.ROLLED_BACK)
    judged, alerted = (
        CheckResult(name, Verdict.FAIL, f"{name} is too high", observed=0.5, limit=0.01)
        for name in ("error_rate", "alert")
    )
    decided = LedgerEntry("e-1", V4, "churn", ago(minutes=5), "roll_back", "Rolled back v4", checks=(judged,))
    noted = LedgerEntry("e-2", V4, "churn", ago(minutes=4), "note", "v4 has no traffic", checks=(alerted,))
    assert seen(ended, rules, decided, noted).checks.results == (judged,)
    assert seen(ended, rules, noted).checks.results == (alerted,)


@pytest.fixture
def rules(tmp_path: Path) -> Policy:
    return policy(tmp_path, HEAD + RULES)


def canary() -> Rollout:
    at = ago(minutes=12)
    began = replace(a_rollout(V4, "4", Phase.CANARY, at), stage=0, stage_since=at)
    return replace(began, deployed_id=CANDIDATE, stable_id=STABLE, stable_version="3")


def seen(rollout: Rollout, rules: Policy, *entries: LedgerEntry) -> Looked:
    return looked(rollout, rules, None, entries, {STABLE: "v3", CANDIDATE: "v4"}, "", NOW)


def texts(found: Looked, about: str, *stops: Stopped) -> list[str]:
    return [s.text for s in explain(found, stops, NOW) if s.about == about]


def test_a_freeze_is_named_beside_what_would_come(rules: Policy) -> None:
    stop = Stopped("churn", "ada@example.com", "incident 4711", ago(hours=1), NOW + timedelta(hours=3))
    assert texts(seen(canary(), rules), "next", stop)[-1] == (
        "But nothing may go forward now: churn is frozen by ada@example.com until 2026-11-23 15:00 UTC: incident 4711."
    )


def test_a_rollback_says_how_long_users_saw_it(rules: Policy) -> None:
    entry = LedgerEntry(
        f"{V4}-0002",
        V4,
        "churn",
        NOW,
        "roll_back",
        "Rolled back churn v4 to churn v3: 5xx",
        began_at=ago(seconds=41),
        actor="roll_back",
    )
    ended = canary().moved(NOW, phase=Phase.ROLLED_BACK)
    assert texts(seen(ended, rules, entry), "how") == [
        "2026-11-23 12:00:00 UTC: Rolled back churn v4 to churn v3: 5xx. The traffic was back 41s after the alert began."
    ]


def test_an_approval_says_who_until_when_and_what_silence_means(tmp_path: Path) -> None:
    stages = (
        "[{traffic: 10}, {traffic: 50, approval: {by: [ml@example.com], within: 4h, then: roll_back}}, {traffic: 100}]"
    )
    asks = policy(tmp_path, f"{HEAD}rollout: {{stages: {stages}}}\n")
    asked = replace(canary(), consent=Consent(1, NOW, NOW + timedelta(hours=4)))
    found = seen(asked, asks)
    assert texts(found, "next")[0] == f"50 % waits for approval until 16:00 UTC; `rollouts approve {V4}` gives it."
    assert texts(found, "otherwise")[-1] == (
        "50 % needs the approval of ml@example.com; if nobody gives it within 4h of being asked, it is rolled back."
    )
    assert texts(found, "you")[0].startswith(f"`rollouts approve {V4}` lets it go on; ")


def test_what_is_held_or_watched_or_waits_has_no_time_that_is_not_known(rules: Policy) -> None:
    assert due_at(seen(replace(canary(), phase=Phase.QUEUED, stage=-1, stage_since=None), rules)) is None
    held = replace(canary(), hold=Hold("load test", "ada@example.com", NOW))
    assert len(texts(seen(held, rules), "next")) == 1
    watching = canary().moved(NOW, phase=Phase.WATCHING, stage=2, stage_since=NOW)
    assert texts(seen(watching, rules), "next")[1] == (
        "Not before 2026-11-24 12:00 UTC, in 24h, when the watch is over and no check speaks against it."
    )


def test_a_policy_that_is_lost_leaves_what_is_known(tmp_path: Path) -> None:
    found = looked(canary(), None, None, (), {}, "", NOW)
    assert texts(found, "where")[0].startswith("churn v4 is canary on us-central1/churn-serving")
    assert texts(found, "next") == ["Nothing; the policy that it keeps is not in the store."]
