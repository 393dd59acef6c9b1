"""Approvals, windows and freezes: what holds a rollout back, and that nothing holds a rollback."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from local.identity import Issuer
from shared.rollout.record import Phase
from tests.functional.functions.harness import AUDIENCE, Cloud
from tests.functional.functions.policies import judged

ANN, BOB = "ann@example.com", "bob@example.com"


def with_approval(then: str = "pause", **rollout: Any) -> Any:
    """Half of the traffic needs bob's word."""
    stages = [
        {"traffic": 10, "bake": "5m"},
        {"traffic": 50, "bake": "5m", "approval": {"by": [BOB], "within": "10m", "then": then}},
        {"traffic": 100},
    ]
    return judged(rollout={"stages": stages, **rollout})


@pytest.fixture
def trial(cloud: Cloud, signed: Issuer) -> Cloud:
    """Version 2 has a tenth of the traffic, and half of it needs bob's word."""
    cloud.apply(with_approval())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    return cloud


def approve(cloud: Cloud, issuer: Issuer, who: str, **more: Any) -> tuple[int, dict[str, Any]]:
    body = {"command": "approve", "rollout": cloud.rollout("2").id, **more}
    answer = cloud.command(body, issuer.mint(who, AUDIENCE))
    cloud.settle()
    return answer


def test_a_stage_waits_for_the_named_person_and_goes_on_at_the_word(trial: Cloud, signed: Issuer) -> None:
    trial.minutes(9)
    assert trial.split() == {"1": 90, "2": 10}, "its bake time is long over"
    asked = [e for e in trial.ledger("2") if e.decision == "ask"]
    assert [e.sentence for e in asked] == [
        f"v2 asks for 50 %: approval by {BOB}, without which it is paused, until 11-23 {_clock(trial, '2')} UTC"
    ]
    status, answer = approve(trial, signed, ANN)
    assert status == 403
    assert "ann@example.com is not among those who may approve the next stage of churn" in answer["error"]
    assert approve(trial, signed, BOB, traffic=100)[0] == 409
    assert trial.split() == {"1": 90, "2": 10}
    status, answer = approve(trial, signed, BOB, traffic=50, reason="numbers are fine")
    assert (status, answer["sentence"]) == (200, "bob@example.com approved 50 % for v2: numbers are fine")
    assert trial.split() == {"1": 50, "2": 50}
    assert approve(trial, signed, BOB)[0] == 403, "the next stage needs nobody's word, so only operators are heard"
    trial.minutes(8)
    assert trial.split() == {"2": 100}
    entry = next(e for e in trial.ledger("2") if e.decision == "approve")
    assert entry.actor == BOB


def _clock(cloud: Cloud, version: str) -> str:
    consent = cloud.rollout(version).consent
    assert consent is not None
    assert consent.until - consent.asked_at == timedelta(minutes=10)
    return f"{consent.until:%H:%M}"


def test_a_word_given_beforehand_counts_when_the_stage_is_due(trial: Cloud, signed: Issuer) -> None:
    assert approve(trial, signed, BOB)[0] == 200
    assert trial.split() == {"1": 90, "2": 10}, "it replaces no bake time"
    trial.minutes(8)
    assert trial.split() == {"1": 50, "2": 50}
    assert "ask" not in trial.decisions("2")


def test_nobody_answering_pauses_and_a_late_word_lifts_that_pause(trial: Cloud, signed: Issuer) -> None:
    trial.minutes(20)
    hold = trial.rollout("2").hold
    assert hold is not None
    assert hold.reason == "nobody approved 50 % within 10m"
    assert approve(trial, signed, BOB)[0] == 200
    assert trial.split() == {"1": 50, "2": 50}


def test_whoever_resumes_what_nobody_approved_has_it_asked_for_again(trial: Cloud) -> None:
    trial.minutes(20)
    trial.tell("resume", "2")
    trial.minutes(2)
    assert trial.rollout("2").hold is None
    assert trial.decisions("2").count("ask") == 2
    assert trial.split() == {"1": 90, "2": 10}


@pytest.mark.parametrize(("then", "split"), [("roll_back", {"1": 100}), ("advance", {"1": 50, "2": 50})])
def test_silence_means_what_the_policy_says(cloud: Cloud, signed: Issuer, then: str, split: dict[str, int]) -> None:
    cloud.apply(with_approval(then))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(14)
    assert cloud.split() == {"1": 90, "2": 10}
    cloud.minutes(5)
    assert cloud.split() == split


def test_a_rollback_asks_neither_freeze_nor_window_nor_approver(trial: Cloud) -> None:
    """GIVEN a trial that waits for approval, outside its window, with everything frozen WHEN the candidate fails THEN it is undone."""
    trial.apply(with_approval(windows=[{"days": ["mon"], "from": "12:00", "until": "13:00"}]))
    trial.minutes(8)
    trial.tell("abort", "2")
    trial.deploy("run-3")
    assert trial.split() == {"1": 90, "3": 10}
    trial.minutes(8)
    assert "ask" in trial.decisions("3")
    assert trial.command({"command": "freeze", "all": True, "reason": "fair"})[0] == 200
    trial.advance(minutes=30)
    trial.minutes(2)
    assert trial.now.hour == 13, "the window is closed"
    assert trial.split() == {"1": 90, "3": 10}
    trial.minutes(4, errors={"3": 0.3})
    assert trial.split() == {"1": 100}
    assert trial.rollout("3").phase is Phase.ROLLED_BACK
    assert "error_rate" in trial.ledger("3")[-1].sentence


def test_a_person_stops_the_line_in_the_middle_of_a_trial_and_lifts_it(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    until = cloud.now + timedelta(hours=5)
    body = {"command": "freeze", "model": "churn", "until": until.isoformat(), "reason": "fair"}
    status, answer = cloud.command(body)
    assert (status, answer["sentence"]) == (200, f"ann@example.com froze churn until {until:%Y-%m-%d %H:%M} UTC: fair")
    cloud.minutes(10)
    assert cloud.split() == {"1": 90, "2": 10}
    cloud.register("run-3")
    cloud.minutes(2)
    assert cloud.rollout("3").phase is Phase.QUEUED
    # A crash between two calls changes nothing: the freeze is in the store.
    cloud.open()
    cloud.minutes(2)
    assert cloud.split() == {"1": 90, "2": 10}
    assert cloud.command({"command": "unfreeze", "model": "churn", "reason": "over"})[0] == 200
    cloud.minutes(1)
    assert cloud.split() == {"1": 50, "2": 50}
    told = [(e.decision, e.actor) for e in cloud.world.store.ledger(model="churn") if "freeze" in e.decision]
    assert told == [("freeze", ANN), ("unfreeze", ANN)]


def test_a_freeze_ends_by_itself_and_is_of_one_model_only(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    until = (cloud.now + timedelta(minutes=10)).isoformat()
    assert cloud.command({"command": "freeze", "model": "churn", "until": until})[0] == 200
    cloud.minutes(9)
    assert cloud.split() == {"1": 90, "2": 10}
    cloud.minutes(2)
    assert cloud.split() == {"1": 50, "2": 50}
    assert cloud.command({"command": "freeze", "model": "other"})[0] == 400, "there is no such policy"
    assert cloud.command({"command": "unfreeze", "all": True})[0] == 409, "nothing is frozen"
    assert cloud.command({"command": "freeze", "model": "churn", "until": "2026-11-23T12:00:00Z"})[0] == 409


def test_outside_the_windows_nothing_is_deployed_and_inside_it_is(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged(rollout={"windows": [{"from": "09:00", "until": "12:05", "zone": "UTC"}]}))
    cloud.advance(minutes=10)
    cloud.register("run-1")
    cloud.minutes(3)
    assert cloud.rollout("1").phase is Phase.QUEUED
    assert cloud.endpoint() is None
    cloud.advance(hours=21)
    cloud.minutes(3)
    assert cloud.rollout("1").phase is Phase.DEPLOYING


def test_a_stranger_stops_no_line(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged(access={"operators": [ANN]}))
    mallory = signed.mint("mallory@example.com", AUDIENCE)
    for body in ({"command": "freeze", "model": "churn"}, {"command": "freeze", "all": True}):
        status, answer = cloud.command(body, mallory)
        assert (status, "is not among the operators of" in answer["error"]) == (403, True)
    assert cloud.world.store.stops() == []
