"""``rollouts get``: where one rollout stands, why, and what comes next."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from shared.policy.schema import Policy
from shared.rollout.decide import Decision, Kind
from shared.rollout.record import Hold, Operation, Phase, Rollout, Shift, Stop
from shared.view.next_step import next_step
from shared.wiring import store_from_env
from tests.unit.cli.conftest import Rollouts
from tests.unit.cli.recorded import CANDIDATE, NOW, PAUSED, RULES, STABLE, V2, V4, V5, a_rollout, ago, policy
from tests.unit.policy.files import HEAD

CANARY_AT_80 = """\
Rollout   churn-v4-000004
State     ◌ canary  stage 1/3  10 %
Stages    ✔ deploy ─ ◌ 10 % (12m of 15m) ─ · 50 % (15m) ─ · 100 % (1d)
Version   churn v4, beside v3
Target    local-project/us-central1/churn-serving
Deployed  4000000004, stable 3000000003
Policy    version 1
Since     2026-11-23 11:19 UTC, 41m ago; in this stage for 12m
Traffic   v3 100 % → v3 90 %, v4 10 % at 2026-11-23 11:48 UTC
Checks    until 2026-11-23 11:55 UTC
  ✔ pass          error_rate 0 % <= 1 % (0 of 120 requests)
  ✔ pass          latency_ms p95 189.5 <= 200 (2 of 120 above 200) (decides
                  nothing)
Last      2026-11-23 11:48 UTC by advance_rollout: Advanced v4 to 10 % (stage 1
          of 3): v4 is ready
Next      7m of 15m judged at 10 %; then stage 2 of 3: 50 % of the traffic for
          15m
"""
ENDED_AT_120 = """\
Rollout   churn-v2-000002
State     ✖ rolled back  at stage 1/3
Stages    ✔ deploy ─ ✖ 10 % ─ · 50 % (15m) ─ · 100 % (1d)
Version   churn v2, beside v1
Target    local-project/us-central1/churn-serving
Deployed  2000000002, stable 1000000001
Policy    version 1
Since     2026-11-11 12:00 UTC, 12d ago; in this phase for 11d
Traffic   v1 90 %, v2 10 % → v1 100 % at 2026-11-12 12:00 UTC
Checks    of churn-v2-000002-0002
  ✖ fail          error_rate 12.4 % > 1 % (31 of 250 requests)
Last      2026-11-12 12:00 UTC by roll_back: Rolled back v2: error_rate 12.4 % > 1 % (31 of 250 requests)
Next      nothing; it has ended
"""


def last_lines(text: str, label: str) -> str:
    """What follows a label, its lines joined."""
    return " ".join(text[text.index(f"\n{label}") + 1 + len(label) :].split())


def test_a_canary_shows_its_checks_on_the_evidence_of_this_moment(morning: Rollouts) -> None:
    ran = morning("get", V4, COLUMNS="80")
    assert (ran.code, ran.out, ran.err) == (0, CANARY_AT_80, "")


def test_one_that_has_ended_shows_the_checks_of_its_last_decision(morning: Rollouts) -> None:
    assert morning("get", V2, COLUMNS="120").out == ENDED_AT_120


def test_programs_get_everything_and_keys_that_stay(morning: Rollouts) -> None:
    told = json.loads(morning("get", V2, "--json").out)
    assert list(told) == ["rollout", "checks", "last", "next", "targets"]
    assert (
        told["rollout"].items() >= {"id": V2, "stable_version": "1", "attempt": 1, "hold": None, "stop": None}.items()
    )
    assert told["rollout"]["phase_since"] == "2026-11-12T12:00:00+00:00"
    (check,) = told["checks"]["results"]
    assert (told["checks"]["entry"], told["checks"]["at"]) == (f"{V2}-0002", "2026-11-12T12:00:00+00:00")
    assert (check["metric"], check["verdict"], check["observed"], check["samples"]) == (
        "error_rate",
        "fail",
        0.124,
        250,
    )
    assert (told["last"]["id"], told["last"]["at"]) == (f"{V2}-0002", "2026-11-12T12:00:00+00:00")
    assert told["next"] == "nothing; it has ended"
    held = json.loads(morning("get", PAUSED, "--json").out)["rollout"]["hold"]
    assert held == {
        "reason": "no data from the candidate since 11:00 UTC",
        "by": "policy",
        "since": "2026-11-23T11:00:00+00:00",
    }


def test_a_pause_that_resuming_cannot_end_says_what_does(morning: Rollouts) -> None:
    out = morning("get", PAUSED, COLUMNS="100").out
    assert "\nPaused    by policy: no data from the candidate since 11:00 UTC\n" in out
    following = last_lines(out, "Next")
    assert following.startswith("nothing by itself, and resumed it would be paused again: no ")
    assert f"`rollouts promote {PAUSED}` takes it to the next stage, `rollouts abort {PAUSED}` ends it" in following


def test_one_that_waits_names_the_trial_before_it(morning: Rollouts) -> None:
    assert last_lines(morning("get", V5).out, "Next") == (
        f"it waits for {V4}, whose trial is on the endpoint; then it is deployed"
    )


def test_an_unknown_id_is_answered_with_those_near_it(morning: Rollouts) -> None:
    ran = morning("get", "churn-v4-000044")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: there is no rollout churn-v4-000044; near it: churn-v4-000004,")
    assert ran.err.endswith("`rollouts list --all` shows them\n")
    assert "near it" not in morning("get", "qqqqqq").err


def test_a_canary_without_any_data_says_so(morning: Rollouts, tmp_path: Path) -> None:
    with closing(store_from_env({"STORE_PATH": str(tmp_path / "store.db")})) as store:
        stored = store.get_rollout(V4)
        assert stored is not None
        store.transition(stored, replace(stored.rollout, stage=1, stage_since=ago(minutes=1)))
    out = morning("get", V4).out
    assert "Checks    nothing measured yet\n  ? no data       error_rate: no data yet\n" in out
    assert last_lines(out, "Next").startswith(
        "0s of 15m judged at 50 %; error_rate: no data yet; then 100 % of the traffic"
    )


@pytest.fixture
def rules(tmp_path: Path) -> Policy:
    return policy(tmp_path, HEAD + RULES)


def canary() -> Rollout:
    return replace(a_rollout(V4, "4", Phase.CANARY, NOW), stage=0, deployed_id=CANDIDATE, stable_id=STABLE)


def test_an_operation_under_way_comes_before_what_it_is_for(rules: Policy) -> None:
    deploying = replace(
        canary(), phase=Phase.DEPLOYING, stage=-1, operation=Operation("deploy", CANDIDATE, ago(minutes=2))
    )
    assert next_step(deploying, rules, None, "", NOW) == (
        "the version is being deployed since 11:58 UTC; then stage 1 of 3: 10 % of the traffic for 15m"
    )
    first = replace(deploying, operation=None, stable_id="")
    assert next_step(first, rules, None, "", NOW) == "100 % of the traffic, watched for 1d"
    later = replace(deploying, operation=None, not_before=NOW.replace(day=24))
    assert next_step(later, rules, None, "", NOW) == "the next attempt, at 2026-11-24 12:00 UTC"
    creating = replace(first, phase=Phase.QUEUED, operation=Operation("create_endpoint", "e", NOW))
    assert next_step(creating, rules, None, "", NOW) == (
        "the endpoint is being created since 12:00 UTC; then the version is deployed"
    )
    assert next_step(replace(creating, operation=None), rules, None, "", NOW).startswith("it is deployed once nothing")


def test_a_decision_that_is_due_is_told_with_its_reason(rules: Policy) -> None:
    due = Decision(Kind.ADVANCE, "15m judged without harm")
    assert next_step(canary(), rules, due, "", NOW) == (
        "stage 2 of 3: 50 % of the traffic for 15m (is due now): 15m judged without harm"
    )
    watching = canary().moved(NOW, phase=Phase.WATCHING, stage=2)
    over = Decision(Kind.FINISH, "the watch of 1d ended without harm")
    assert next_step(watching, rules, over, "", NOW).startswith("it is promoted (is due now)")
    observed = rules.model_copy(update={"mode": "observe"})
    assert "(would be due if its policy did not only observe)" in next_step(canary(), observed, due, "", NOW)


def test_what_is_to_end_or_was_decided_already_is_told_first(rules: Policy) -> None:
    stopped = replace(canary(), stop=Stop(Phase.SUPERSEDED, "v5 is newer", "policy", NOW))
    assert next_step(stopped, rules, None, "", NOW) == "its traffic is given back, then it ends as superseded"
    shifting = replace(canary(), shift=Shift({STABLE: 50, CANDIDATE: 50}, 1, Phase.CANARY, NOW, ""))
    assert next_step(shifting, rules, None, "", NOW) == "50 % of the traffic is confirmed at the next step"
    assert next_step(canary(), None, None, "", NOW) == "nothing; the policy that it keeps is not in the store"


def test_harm_ends_a_pause(rules: Policy) -> None:
    with_hold = replace(canary(), hold=Hold("load test", "ada@example.com", NOW))
    harm = Decision(Kind.ROLL_BACK, "error_rate 12 % > 1 %")
    assert next_step(with_hold, rules, harm, "", NOW) == "it is rolled back, paused or not: error_rate 12 % > 1 %"
    calm = Decision(Kind.HOLD, "1m of 15m judged at 10 %")
    assert next_step(with_hold, rules, calm, "", NOW) == (
        f"nothing by itself; `rollouts resume {V4}` lets it go on, `rollouts abort {V4}` ends it"
    )
