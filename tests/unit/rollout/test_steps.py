"""Situations and the one next step in each, phase by phase."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.rollout.back_off import back_off
from shared.rollout.decide import Decision, Kind
from shared.rollout.gate import GateResult
from shared.rollout.labels import TrialLabels, read_labels, write_labels
from shared.rollout.names import deployed_model_id, rollout_id, stable_again_id
from shared.rollout.observed import Endpoint, OperationState, TargetRef
from shared.rollout.record import CheckResult, Hold, Operation, Phase, Rollout, Shift, Stop, Verdict
from shared.rollout.steps import (
    BACK_OFF,
    REPLICAS_WITHIN,
    VISIBLE_WITHIN,
    AskRollback,
    Close,
    Confirm,
    CreateEndpoint,
    Deploy,
    Forget,
    Lower,
    Move,
    Pause,
    PutOff,
    Rebase,
    Redeploy,
    Reinstate,
    Retry,
    SetReplicas,
    Step,
    Supersede,
    Wait,
    has_drifted,
    plan_step,
    release_labels,
)
from tests.unit.rollout.worlds import (
    CANDIDATE,
    HOUR,
    MINUTE,
    NOW,
    REF,
    RESTING_LABELS,
    STABLE,
    THIRD,
    TRIAL,
    TRIAL_LABELS,
    WATCH_LABELS,
    at_rest,
    deployed,
    endpoint,
    in_watch,
    on_trial,
    policy,
    rollout,
    situation,
)

HOLD = Hold("lunch", "ann@example.com", NOW - MINUTE)
STOP = Stop(Phase.SUPERSEDED, "v3 is newer", "churn-v3-00000c", NOW)
CLOSED = replace(TRIAL_LABELS, rollout="", candidate="", since=None, closed=TRIAL, closed_from=CANDIDATE, closed_at=NOW)
NAMED = "projects/1/operations/7"
DONE = OperationState(NAMED, True)
OLDER, NEWER = rollout_id("churn", "1", REF), rollout_id("churn", "9", REF)


def step(record: Rollout, seen: Endpoint | None, kind: Kind = Kind.HOLD, **more: Any) -> Step:
    return plan_step(situation(record, seen, kind, **more))


def closing(found: Step) -> tuple[Phase, bool]:
    assert isinstance(found, Close), found
    return found.phase, found.release


def operation(kind: Any, age: timedelta = MINUTE, name: str = NAMED, subject: str = CANDIDATE) -> Operation:
    return Operation(kind, subject, NOW - age, name, "v2 gets 2 replicas")


def failed(retryable: bool = False) -> OperationState:
    return OperationState(NAMED, True, "out of T4s", retryable)


@pytest.mark.parametrize("phase", [Phase.PROMOTED, Phase.ROLLED_BACK, Phase.FAILED, Phase.SUPERSEDED, Phase.REJECTED])
def test_an_ended_rollout_has_no_next_step(phase: Phase) -> None:
    assert step(rollout(phase, sentence="over"), on_trial(10), Kind.ROLL_BACK) == Wait("ended: over")


@pytest.mark.parametrize("phase", [Phase.DEPLOYING, Phase.CANARY, Phase.WATCHING])
def test_a_rollback_that_the_record_missed_is_found_on_the_labels(phase: Phase) -> None:
    """While deploying too: the first share was given and taken back before the record said so."""
    seen = endpoint({STABLE: 100}, CLOSED)
    shift = Shift({STABLE: 90, CANDIDATE: 10}, 0, Phase.CANARY, NOW, "Advanced")
    for record in (rollout(phase), rollout(phase, shift=shift, hold=HOLD)):
        assert closing(step(record, seen, Kind.ADVANCE)) == (Phase.ROLLED_BACK, False)
    assert closing(step(rollout(phase, stop=STOP), seen)) == (Phase.SUPERSEDED, False)


# Queued

QUEUED = rollout(Phase.QUEUED)


def test_a_queued_rollout_starts_beside_the_one_that_holds_the_traffic() -> None:
    found = step(QUEUED, at_rest())
    assert found == Deploy(deployed_model_id(TRIAL, 1), 1, STABLE, "1", "Deploying v2 beside v1 on n1-standard-2")


def test_the_first_of_its_model_starts_on_an_empty_endpoint() -> None:
    empty = replace(at_rest(), split={}, deployed=(), labels={"vr-model": "churn"})
    found = step(QUEUED, empty)
    assert isinstance(found, Deploy)
    assert (found.stable_id, found.sentence) == ("", "Deploying v2, the first on n1-standard-2")


def test_an_id_that_is_taken_is_drawn_again() -> None:
    taken = deployed(deployed_model_id(TRIAL, 1), "7")
    found = step(QUEUED, replace(at_rest(), deployed=(*at_rest().deployed, taken)))
    assert isinstance(found, Deploy)
    assert found.deployed_id == deployed_model_id(TRIAL, 1, 1)


@pytest.mark.parametrize(
    ("verdict", "expected"), [(Verdict.FAIL, Close), (Verdict.NO_DATA, Wait), (Verdict.PASS, Deploy)]
)
def test_the_gate_is_asked_before_a_machine_is_paid_for(verdict: Verdict, expected: type[Step]) -> None:
    found = step(QUEUED, at_rest(), gate=GateResult(verdict, "auc 0.7 < 0.8"))
    assert isinstance(found, expected)
    if isinstance(found, Close):
        assert (found.phase, found.sentence) == (Phase.REJECTED, "Rejected v2 by the gate: auc 0.7 < 0.8")


def test_a_paused_one_waits_in_the_queue() -> None:
    assert step(replace(QUEUED, hold=HOLD), at_rest()) == Wait("paused by ann@example.com: lunch")


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.DEPLOYING, Phase.CANARY, Phase.WATCHING])
def test_it_waits_for_the_target_before_its_own(phase: Phase) -> None:
    before = rollout(phase, target=TargetRef("shop", "europe-west1", "churn-eu"))
    assert step(QUEUED, at_rest(), before=before) == Wait(
        f"waits for target shop/europe-west1/churn-eu, which is {phase.value}"
    )


def test_the_first_failure_stops_the_targets_after_it() -> None:
    before = rollout(Phase.ROLLED_BACK, sentence="too many errors")
    found = step(QUEUED, at_rest(), before=before)
    assert closing(found) == (Phase.REJECTED, False)
    assert isinstance(found, Close)
    assert found.sentence.endswith("it was rolled_back: too many errors")
    assert isinstance(step(QUEUED, at_rest(), before=rollout(Phase.PROMOTED)), Deploy)


def test_an_older_version_than_the_one_with_the_traffic_is_superseded() -> None:
    seen = endpoint({THIRD: 100}, replace(RESTING_LABELS, stable=THIRD))
    assert closing(step(QUEUED, seen)) == (Phase.SUPERSEDED, False)


@pytest.mark.parametrize(
    ("supersede", "busy", "expected"),
    [
        ("queue", OLDER, Wait),
        ("queue", NEWER, Wait),
        ("replace", OLDER, Supersede),
        ("replace", NEWER, Wait),
        ("reject", OLDER, Close),
        ("reject", NEWER, Close),
    ],
)
def test_behind_another_trial_the_policy_says_what_a_newer_version_does(
    supersede: str, busy: str, expected: type[Step]
) -> None:
    """And only a newer one replaces: an older whose evaluation came late waits for its turn."""
    found = step(QUEUED, on_trial(10), busy=busy, spec=policy({"supersede": supersede}))
    assert isinstance(found, expected)
    if isinstance(found, Supersede):
        assert (found.other, found.sentence) == (OLDER, "v2 is newer")


def test_its_own_place_on_the_endpoint_is_not_in_its_way() -> None:
    assert isinstance(step(QUEUED, at_rest(), busy=TRIAL), Deploy)


def test_an_endpoint_of_another_policy_is_refused() -> None:
    seen = endpoint({STABLE: 100}, replace(RESTING_LABELS, model="fraud"))
    assert closing(step(QUEUED, seen)) == (Phase.REJECTED, False)


def test_a_trial_of_another_policy_is_never_superseded() -> None:
    seen = endpoint({STABLE: 90, CANDIDATE: 10}, replace(RESTING_LABELS, model="fraud"), STABLE, CANDIDATE)
    found = step(QUEUED, seen, busy="fraud-v1-00000b", spec=policy({"supersede": "replace"}))
    assert isinstance(found, Close)
    assert found.sentence.endswith(
        "belongs to the policy of fraud; if that one has given it up, take its vr- labels off the endpoint"
    )


def test_a_third_model_with_traffic_is_refused_with_the_shares() -> None:
    found = step(QUEUED, endpoint({STABLE: 70, THIRD: 30}, RESTING_LABELS, STABLE, THIRD))
    assert isinstance(found, Close)
    assert f"several models hold traffic on {REF} ({STABLE} 70 %, {THIRD} 30 %)" in found.sentence


def test_an_endpoint_that_lived_before_us_waits_to_be_adopted() -> None:
    found = step(QUEUED, replace(at_rest(), labels={}))
    assert isinstance(found, Wait)
    assert "`rollouts adopt churn`" in found.sentence


def test_the_version_that_has_the_traffic_already_is_refused() -> None:
    seen = endpoint({CANDIDATE: 100}, replace(RESTING_LABELS, stable=CANDIDATE))
    assert closing(step(QUEUED, seen)) == (Phase.REJECTED, False)


def test_a_start_during_a_watch_has_the_watched_model_as_its_stable() -> None:
    seen = in_watch(rollout=OLDER)
    found = step(replace(QUEUED, version="3", id="churn-v3-00000c"), seen)
    assert isinstance(found, Deploy)
    assert (found.stable_id, found.stable_version) == (CANDIDATE, "2")


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.DEPLOYING])
def test_who_is_stopped_before_any_traffic_just_ends(phase: Phase) -> None:
    found = step(rollout(phase, stop=STOP, hold=HOLD), at_rest())
    assert closing(found) == (Phase.SUPERSEDED, False)
    assert isinstance(found, Close)
    assert found.sentence == "Stopped v2 before it had traffic, by churn-v3-00000c: v3 is newer"
    assert closing(step(rollout(phase, stop=STOP), None)) == (Phase.SUPERSEDED, False)


def test_who_is_stopped_after_its_first_share_was_taken_back_takes_its_labels_off() -> None:
    assert closing(step(rollout(Phase.DEPLOYING, stop=STOP), endpoint({STABLE: 100}, TRIAL_LABELS))) == (
        Phase.SUPERSEDED,
        True,
    )


# The endpoint


def creating(**changes: Any) -> Rollout:
    return replace(QUEUED, operation=operation("create_endpoint", subject=REF.endpoint, **changes))


def test_a_missing_endpoint_is_created_once() -> None:
    assert step(QUEUED, None) == CreateEndpoint(f"Creating endpoint {REF}")
    assert step(creating(), None, operation=OperationState(NAMED, False)) == Wait(f"endpoint {REF} is being created")
    assert isinstance(step(creating(), None, operation=DONE), Wait), "done, and not visible yet"
    assert step(creating(), at_rest()) == Forget(f"endpoint {REF} is there")


def test_only_vertex_gives_endpoints_numbers() -> None:
    numbered = replace(QUEUED, target=TargetRef("shop", "us-central1", "1234567890"))
    assert closing(step(numbered, None)) == (Phase.FAILED, False)


def test_a_creation_whose_answer_was_lost_is_waited_out() -> None:
    assert isinstance(step(creating(name=""), None), Wait)
    assert isinstance(step(creating(name="", age=VISIBLE_WITHIN), None), Forget)


def test_a_creation_that_failed_is_tried_again_after_its_back_off() -> None:
    found = step(creating(), None, operation=failed(retryable=True))
    later = NOW + back_off(TRIAL, 1, BACK_OFF)
    assert found == Retry(later, f"Attempt 1 failed, the next is at {later:%H:%M} UTC: out of T4s")
    early = replace(QUEUED, attempt=2, not_before=NOW + MINUTE, sentence="as told")
    assert step(early, None) == Wait("the next attempt is at 12:01 UTC: as told")
    assert isinstance(step(replace(early, not_before=NOW), None), CreateEndpoint)
    assert closing(step(creating(), None, operation=failed())) == (Phase.FAILED, False)


def test_an_endpoint_that_never_comes_fails_it() -> None:
    for state in (DONE, OperationState(NAMED, False)):
        assert closing(step(creating(age=2 * HOUR), None, operation=state)) == (Phase.FAILED, False)


# Deploying


def deploying(age: timedelta = MINUTE, name: str = NAMED, **changes: Any) -> Rollout:
    return rollout(Phase.DEPLOYING, operation=operation("deploy", age, name), **changes)


READY = rollout(Phase.DEPLOYING)
"""Its model is deployed, and its operation forgotten."""
ALONE = endpoint({STABLE: 100}, RESTING_LABELS, STABLE)
"""The candidate is not visible (yet)."""


def test_a_deployment_is_waited_for() -> None:
    assert step(deploying(), ALONE, operation=OperationState(NAMED, False)) == Wait("v2 has been deploying for 1m")
    assert step(deploying(), ALONE, operation=DONE) == Wait("v2 was deployed and is not visible yet")
    assert step(deploying(), at_rest()) == Forget("v2 is ready")


def test_an_endpoint_that_is_deleted_meanwhile_fails_it() -> None:
    for phase in (Phase.DEPLOYING, Phase.CANARY, Phase.WATCHING):
        assert closing(step(rollout(phase), None)) == (Phase.FAILED, False)


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 5), (2, 10)])
def test_a_deployment_that_failed_for_want_of_quota_is_tried_again_later(attempt: int, minutes: int) -> None:
    found = step(deploying(attempt=attempt), ALONE, operation=failed(retryable=True))
    assert isinstance(found, Retry)
    assert minutes / 2 * MINUTE <= found.not_before - NOW <= minutes * MINUTE
    waiting = rollout(Phase.DEPLOYING, attempt=attempt + 1, not_before=found.not_before)
    assert isinstance(step(waiting, ALONE), Wait)
    again = step(waiting, ALONE, now=found.not_before)
    assert isinstance(again, Deploy)
    assert again.deployed_id == deployed_model_id(TRIAL, attempt + 1)
    assert again.sentence.endswith(f"(attempt {attempt + 1})")


def test_a_paused_one_is_not_tried_again() -> None:
    assert isinstance(step(rollout(Phase.DEPLOYING, attempt=2, hold=HOLD), ALONE), Wait)


@pytest.mark.parametrize(("attempt", "state"), [(3, failed(retryable=True)), (1, failed())])
def test_attempts_end_and_what_no_retry_can_help_is_not_retried(attempt: int, state: OperationState) -> None:
    found = step(deploying(attempt=attempt), ALONE, operation=state)
    assert isinstance(found, Close)
    assert found.sentence == f"Failed v2 after {attempt} of 3 attempts: out of T4s"


def test_a_deployment_whose_answer_was_lost_is_found_or_waited_out() -> None:
    assert isinstance(step(deploying(name=""), ALONE), Wait)
    assert isinstance(step(deploying(name=""), at_rest()), Forget), "by the id that we chose"
    assert isinstance(step(deploying(2 * HOUR, ""), ALONE), Retry)


def test_a_deployment_that_never_ends_fails_and_so_does_one_that_is_gone_again() -> None:
    running = OperationState(NAMED, False)
    assert closing(step(deploying(2 * HOUR), ALONE, operation=running)) == (Phase.FAILED, False)
    assert isinstance(step(deploying(2 * HOUR), ALONE, operation=DONE), Wait)
    gone = step(deploying(2 * HOUR + VISIBLE_WITHIN + MINUTE), ALONE, operation=DONE)
    assert closing(gone) == (Phase.FAILED, False)


# The first share


def test_the_first_share_is_written_with_all_that_a_rollback_needs() -> None:
    found = step(READY, at_rest())
    assert isinstance(found, Move)
    assert found.split == {STABLE: 90, CANDIDATE: 10}
    assert (found.stage, found.phase, found.decision) == (0, Phase.CANARY, Kind.ADVANCE)
    assert found.labels == replace(TRIAL_LABELS, since=NOW)
    assert found.sentence == "Advanced v2 to 10 % (v1 90 %, v2 10 %): v2 is ready"


def test_the_first_of_its_model_takes_everything_and_is_watched() -> None:
    first = rollout(Phase.DEPLOYING, stable_id="")
    found = step(first, endpoint({}, TrialLabels(model="churn"), CANDIDATE))
    assert isinstance(found, Move)
    assert (found.split, found.phase, found.decision) == ({CANDIDATE: 100}, Phase.WATCHING, Kind.PROMOTE)
    assert (found.labels.stable, found.labels.fallback) == (CANDIDATE, "")


def test_a_policy_with_one_stage_goes_to_all_the_traffic_at_once() -> None:
    found = step(READY, at_rest(), spec=policy({"stages": [{"traffic": 100}]}))
    assert isinstance(found, Move)
    assert (found.decision, found.labels.fallback) == (Kind.PROMOTE, STABLE)


def test_what_was_rolled_back_last_stays_on_the_labels() -> None:
    """Its record may still be behind, and must not take the next trial for the end of its watch."""
    seen = endpoint({STABLE: 100}, replace(RESTING_LABELS, closed=OLDER, closed_from=THIRD, closed_at=NOW))
    found = step(READY, seen)
    assert isinstance(found, Move)
    assert (found.labels.closed, found.labels.closed_from, found.labels.closed_at) == (OLDER, THIRD, NOW)


def test_a_paused_one_gets_no_share() -> None:
    assert step(replace(READY, hold=HOLD), at_rest()) == Wait("paused by ann@example.com: lunch")


FIRST = Shift({STABLE: 90, CANDIDATE: 10}, 0, Phase.CANARY, NOW - MINUTE, "Advanced v2 to 10 %")


@pytest.mark.parametrize("changes", [{}, {"hold": HOLD}, {"stop": STOP}], ids=["plain", "paused", "stopped"])
def test_a_first_share_that_stands_is_confirmed_before_anything_else(changes: dict[str, Any]) -> None:
    """Only a rollout whose record says that it has traffic is judged."""
    assert step(replace(READY, shift=FIRST, **changes), on_trial(10)) == Confirm("Advanced v2 to 10 %")


def test_a_first_share_that_was_intended_and_never_written_is_decided_anew() -> None:
    assert isinstance(step(replace(READY, shift=FIRST), at_rest()), Move)
    assert isinstance(step(replace(READY, shift=FIRST, hold=HOLD), at_rest()), Wait)


def test_the_first_of_its_model_whose_share_stands_unexplained_is_given_it_again() -> None:
    """There is nobody to take it back; written again it is the same, and the record learns of it."""
    seen = endpoint({CANDIDATE: 100}, replace(WATCH_LABELS, fallback=""), CANDIDATE)
    found = step(rollout(Phase.DEPLOYING, stable_id=""), seen)
    assert isinstance(found, Move)
    assert found.split == seen.split


def test_traffic_that_no_decision_gave_it_is_taken_back_first() -> None:
    found = step(READY, on_trial(10))
    assert isinstance(found, Lower)
    assert found.split == {STABLE: 100}
    by_hand = endpoint({STABLE: 60, CANDIDATE: 40}, RESTING_LABELS)
    assert isinstance(step(READY, by_hand), Pause), "a person's hand is asked about it"
    assert isinstance(step(replace(READY, stop=STOP), by_hand), Lower), "and a stop ends without traffic"


def test_what_a_stop_takes_back_never_goes_to_who_was_rolled_back_meanwhile() -> None:
    """v9 began to be deployed beside v2, which was rolled back to v1; then somebody gave v9 all the traffic."""
    record = rollout(
        Phase.DEPLOYING, version="9", deployed_id=THIRD, stable_id=CANDIDATE, stable_version="2", stop=STOP
    )
    record = replace(record, id=NEWER)
    rolled_back = replace(RESTING_LABELS, closed=TRIAL)
    alone = step(record, endpoint({THIRD: 100}, rolled_back, CANDIDATE, THIRD))
    assert closing(alone) == (Phase.PROMOTED, True)
    beside = step(record, endpoint({THIRD: 100}, rolled_back, STABLE, CANDIDATE, THIRD))
    assert isinstance(beside, Pause), "a person says who is to have it"


def test_a_rollback_in_the_watch_before_changes_who_the_stable_is() -> None:
    """v3 began to be deployed beside v2; v2 was rolled back to v1. Nothing goes back to v2."""
    record = rollout(Phase.DEPLOYING, version="9", deployed_id=THIRD, stable_id=CANDIDATE, stable_version="2")
    seen = endpoint({STABLE: 100}, replace(RESTING_LABELS, closed=TRIAL), STABLE, CANDIDATE, THIRD)
    found = step(replace(record, id=NEWER), seen)
    assert found == Rebase(STABLE, "1", "v1 is the stable for v9 now: v1 100 %")
    moved = step(replace(record, id=NEWER, stable_id=STABLE), seen)
    assert isinstance(moved, Move)
    assert moved.split == {STABLE: 90, THIRD: 10}


@pytest.mark.parametrize(
    "seen",
    [
        endpoint({STABLE: 70, THIRD: 30}, RESTING_LABELS),
        endpoint({THIRD: 100}, RESTING_LABELS),
        endpoint({}, RESTING_LABELS),
        replace(endpoint({STABLE: 60, CANDIDATE: 40}, RESTING_LABELS), labels={}),
    ],
    ids=["third beside", "third alone", "none", "candidate by hand"],
)
def test_traffic_that_changed_hands_while_it_was_deployed_is_asked_about(seen: Endpoint) -> None:
    found = step(READY, seen)
    assert isinstance(found, Pause)
    assert "the traffic has changed while v2 was being deployed" in found.reason
    assert found.reason.endswith("give all of it to v1, the stable")
    assert isinstance(step(replace(READY, hold=HOLD), seen), Wait)


def test_a_policy_that_adopts_takes_a_new_single_holder_for_the_stable() -> None:
    seen = endpoint({THIRD: 100}, RESTING_LABELS)
    found = step(READY, seen, spec=policy({"drift": "adopt"}))
    assert isinstance(found, Rebase)
    assert found.stable_id == THIRD
    assert isinstance(step(rollout(Phase.DEPLOYING, stable_id=""), at_rest()), Rebase), "adopted meanwhile"


def test_without_its_stable_a_candidate_has_no_way_back_and_gets_no_share() -> None:
    seen = endpoint({STABLE: 100}, RESTING_LABELS, CANDIDATE)
    found = step(READY, seen)
    assert isinstance(found, Pause)
    assert "has no way back" in found.reason


# Capacity


def strengthened(stable: int, available: int | None, candidate: int = 1, has: int | None = None) -> Endpoint:
    models = (deployed(STABLE, "1", stable, available), deployed(CANDIDATE, "2", candidate, has))
    return replace(at_rest(), deployed=models)


def test_the_stable_is_pinned_then_the_candidate_raised_then_the_traffic_moved() -> None:
    spec = policy({"stages": [{"traffic": 50}, {"traffic": 100}]})
    pin = step(READY, strengthened(1, 4), spec=spec)
    assert isinstance(pin, SetReplicas)
    assert (pin.change.deployed_id, pin.change.minimum) == (STABLE, 4)
    pinned = replace(READY, pinned={STABLE: 1})
    more = step(pinned, strengthened(4, 4), spec=spec)
    assert isinstance(more, SetReplicas)
    assert (more.change.deployed_id, more.change.minimum) == (CANDIDATE, 2)
    assert more.sentence == "v2 gets 2 replicas for 50 % of what 4 carry now"
    assert isinstance(step(pinned, strengthened(4, 4, 2, 2), spec=spec), Move)


def test_replicas_that_were_asked_for_are_waited_for_and_then_a_person_is_told() -> None:
    weak = strengthened(1, 1, 2, 1)
    young = replace(READY, updated_at=NOW - REPLICAS_WITHIN)
    assert step(young, weak) == Wait("v2 has 1 of 2 replicas that 10 % need")
    old = replace(READY, updated_at=NOW - REPLICAS_WITHIN - MINUTE)
    assert step(old, weak) == Pause("v2 has 1 of 2 replicas and cannot carry 10 %")


def test_replicas_put_off_for_want_of_quota_are_asked_for_again_in_their_time() -> None:
    early = replace(READY, not_before=NOW + MINUTE)
    assert isinstance(step(early, strengthened(1, 4)), Wait)
    assert isinstance(step(replace(early, not_before=NOW), strengthened(1, 4)), SetReplicas)


RESIZING = operation("set_replicas")


@pytest.mark.parametrize(
    ("op", "state", "expected"),
    [
        (RESIZING, OperationState(NAMED, False), Wait),
        (RESIZING, DONE, Forget),
        (RESIZING, failed(), Pause),
        (operation("set_replicas", 2 * HOUR), OperationState(NAMED, False), Pause),
        (operation("set_replicas", name=""), None, Wait),
        (operation("set_replicas", VISIBLE_WITHIN, ""), None, Forget),
    ],
    ids=["under way", "done", "failed", "endless", "unnamed", "lost"],
)
@pytest.mark.parametrize("kind", [Kind.ADVANCE, Kind.HOLD])
def test_a_change_of_replicas_is_waited_for_before_any_move(
    op: Operation, state: OperationState | None, expected: type[Step], kind: Kind
) -> None:
    assert isinstance(step(replace(READY, operation=op), at_rest(), kind, operation=state), expected)
    assert isinstance(step(rollout(operation=op), on_trial(10), kind, operation=state), expected)


def test_a_change_of_replicas_that_failed_for_want_of_capacity_is_asked_for_again_and_then_a_person_is_told() -> None:
    changing = rollout(Phase.CANARY, operation=operation("set_replicas", MINUTE))
    short = failed(retryable=True)
    first = step(changing, on_trial(), operation=short)
    assert isinstance(first, PutOff)
    assert timedelta(0) < first.not_before - NOW <= BACK_OFF
    assert "out of T4s; asked for again at " in first.sentence
    second = step(replace(changing, resizes_failed=1), on_trial(), operation=short)
    assert isinstance(second, PutOff)
    assert BACK_OFF < second.not_before - NOW <= 2 * BACK_OFF
    assert isinstance(step(replace(changing, resizes_failed=2), on_trial(), operation=short), Pause)
    assert isinstance(step(replace(changing, hold=HOLD), on_trial(), operation=short), Forget)


def test_want_of_request_quota_is_borne_as_long_as_a_stage_may_last() -> None:
    long_ago = NOW - 24 * HOUR
    queued = step(replace(QUEUED, busy=40, busy_since=long_ago), None)
    assert isinstance(queued, Close)
    assert queued.sentence == "Failed v2: for 1d Vertex AI had no quota to take the request"
    ready = replace(READY, busy=40, busy_since=long_ago)
    assert isinstance(step(ready, strengthened(1, 4)), Pause)
    assert isinstance(step(replace(ready, busy_since=NOW - 23 * HOUR), strengthened(1, 4)), SetReplicas)


def test_a_failed_change_is_forgotten_under_its_pause_so_that_a_person_can_resume() -> None:
    for record, seen in ((replace(READY, operation=RESIZING, hold=HOLD), at_rest()), (rollout(), on_trial(10))):
        held = replace(record, operation=RESIZING, hold=HOLD)
        assert isinstance(step(held, seen, operation=failed()), Forget)


# Canary


def test_a_canary_advances_by_one_stage_and_keeps_the_beginning_of_its_trial() -> None:
    checks = (CheckResult("error_rate", Verdict.PASS, "fine"),)
    found = step(rollout(), on_trial(10), decision=Decision(Kind.ADVANCE, "15m judged", checks))
    assert isinstance(found, Move)
    assert (found.split, found.stage, found.phase) == ({STABLE: 50, CANDIDATE: 50}, 1, Phase.CANARY)
    assert found.labels == TRIAL_LABELS
    assert (found.sentence, found.checks) == ("Advanced v2 to 50 % (v2 50 %, v1 50 %): 15m judged", checks)


def test_a_promotion_makes_it_the_stable_and_the_former_one_the_fallback() -> None:
    found = step(rollout(stage=1), on_trial(50), Kind.PROMOTE)
    assert isinstance(found, Move)
    assert (found.split, found.stage, found.phase) == ({CANDIDATE: 100}, 2, Phase.WATCHING)
    assert found.labels == replace(WATCH_LABELS, since=NOW)


@pytest.mark.parametrize(("kind", "expected"), [(Kind.HOLD, Wait), (Kind.PAUSE, Pause), (Kind.ROLL_BACK, AskRollback)])
def test_a_canary_does_what_was_decided(kind: Kind, expected: type[Step]) -> None:
    found = step(rollout(), on_trial(10), kind)
    assert isinstance(found, expected)
    assert f"because of {kind.value}" in str(found)


def test_who_is_paused_already_is_not_paused_again() -> None:
    assert isinstance(step(rollout(hold=HOLD), on_trial(10), Kind.PAUSE), Wait)


NEXT = Shift({STABLE: 50, CANDIDATE: 50}, 1, Phase.CANARY, NOW - MINUTE, "Advanced v2 to 50 %")


def test_a_movement_that_stands_is_confirmed() -> None:
    assert step(rollout(shift=NEXT), on_trial(50)) == Confirm("Advanced v2 to 50 %")


@pytest.mark.parametrize("kind", [Kind.HOLD, Kind.PAUSE, Kind.FINISH])
def test_a_movement_that_was_interrupted_is_made_only_if_it_is_still_decided(kind: Kind) -> None:
    """A patience that ran out meanwhile asks for a step too, and not for this one."""
    assert isinstance(step(rollout(shift=NEXT), on_trial(10), kind), Forget)
    found = step(rollout(shift=NEXT), on_trial(10), Kind.ADVANCE)
    assert isinstance(found, Move)
    assert found.stage == 1


def test_an_interrupted_movement_is_not_made_over_somebody_elses() -> None:
    assert isinstance(step(rollout(shift=NEXT), on_trial(20), Kind.ADVANCE), Pause)


@pytest.mark.parametrize(
    ("drift", "share", "expected"),
    [
        ("pause", 5, Pause),
        ("pause", 40, Pause),
        ("reassert", 5, Pause),
        ("reassert", 40, Lower),
        ("adopt", 5, Wait),
        ("adopt", 40, Wait),
    ],
)
def test_traffic_that_somebody_else_has_moved(drift: str, share: int, expected: type[Step]) -> None:
    spec = policy({"drift": drift})
    found = step(rollout(), on_trial(share), spec=spec)
    assert isinstance(found, expected)
    assert has_drifted(spec, rollout(), on_trial(share)) == (drift != "adopt")
    if isinstance(found, Lower):
        assert found.split == {STABLE: 90, CANDIDATE: 10}
    if isinstance(found, Pause):
        assert f"v2 {share} %, not v1 90 %, v2 10 %: somebody else has moved it" in found.reason


def test_reasserting_takes_from_the_candidate_only() -> None:
    seen = endpoint({STABLE: 40, CANDIDATE: 30, THIRD: 30}, TRIAL_LABELS)
    found = step(rollout(), seen, spec=policy({"drift": "reassert"}))
    assert isinstance(found, Lower)
    assert found.split == {STABLE: 60, CANDIDATE: 10, THIRD: 30}
    lowered = replace(seen, split=found.split)
    assert isinstance(step(rollout(), lowered, spec=policy({"drift": "reassert"})), Pause)


def test_a_third_model_with_traffic_is_never_only_adopted() -> None:
    seen = endpoint({STABLE: 60, CANDIDATE: 10, THIRD: 30}, TRIAL_LABELS)
    assert isinstance(step(rollout(), seen, Kind.ADVANCE, spec=policy({"drift": "adopt"})), Pause)


@pytest.mark.parametrize("phase", [Phase.CANARY, Phase.WATCHING])
@pytest.mark.parametrize("patience", ["no_data", "deadline", None])
def test_a_candidate_that_somebody_has_taken_all_traffic_from_is_asked_about_where_nothing_else_would_end_its_wait(
    phase: Phase, patience: str | None
) -> None:
    holding = {one: {"after": "20m", "then": "hold"} for one in ("no_data", "deadline")}
    ending = {patience: {"after": "20m", "then": "roll_back"}} if patience else {}
    found = step(rollout(phase), on_trial(0), spec=policy({"drift": "adopt", **holding, **ending}))
    assert isinstance(found, Wait if patience else Pause)
    if isinstance(found, Pause):
        assert "the traffic is v1 100 %" in found.reason


def test_a_candidate_that_somebody_undeployed_has_failed() -> None:
    seen = endpoint({STABLE: 100}, TRIAL_LABELS, STABLE)
    assert closing(step(rollout(), seen, Kind.ROLL_BACK)) == (Phase.FAILED, True)
    watched = endpoint({STABLE: 100}, WATCH_LABELS, STABLE)
    assert closing(step(rollout(Phase.WATCHING), watched)) == (Phase.FAILED, True)


def test_a_trial_whose_stable_was_undeployed_is_paused_and_told_once() -> None:
    seen = endpoint({CANDIDATE: 100}, TRIAL_LABELS, CANDIDATE)
    found = step(rollout(), seen, Kind.ADVANCE)
    assert isinstance(found, Pause)
    assert "v2 has no way back" in found.reason
    assert isinstance(step(rollout(hold=HOLD), seen), Wait)
    assert isinstance(step(rollout(hold=HOLD), seen, spec=policy({"drift": "reassert"})), Wait)


def test_a_stop_of_what_carries_everything_alone_takes_nothing() -> None:
    seen = endpoint({CANDIDATE: 100}, TRIAL_LABELS, CANDIDATE)
    found = step(rollout(stop=STOP), seen, Kind.ROLL_BACK)
    assert closing(found) == (Phase.PROMOTED, True)
    assert isinstance(found, Close)
    assert found.sentence.startswith("Ended v2 without taking its traffic, which nobody else can carry")
    by_hand = endpoint({CANDIDATE: 100}, RESTING_LABELS, CANDIDATE)
    assert closing(step(replace(READY, stop=STOP), by_hand)) == (Phase.PROMOTED, True), "before its first share, too"
    third = endpoint({CANDIDATE: 60, THIRD: 40}, TRIAL_LABELS)
    assert not isinstance(step(rollout(stop=STOP), third, Kind.ROLL_BACK), Close)


AGAIN = stable_again_id(TRIAL, 0)
REDEPLOYS = policy({"stable_missing": "redeploy"})
STRANDED = endpoint({CANDIDATE: 100}, TRIAL_LABELS, CANDIDATE)
BACK = replace(STRANDED, deployed=(*STRANDED.deployed, deployed(AGAIN, "1")))


@pytest.mark.parametrize("kind", [Kind.ADVANCE, Kind.HOLD, Kind.ROLL_BACK])
def test_a_stable_that_is_missing_is_deployed_again_before_anything_else(kind: Kind) -> None:
    strong = replace(STRANDED, deployed=(deployed(CANDIDATE, "2", 1, 3),))
    found = step(rollout(), strong, kind, spec=REDEPLOYS)
    assert isinstance(found, Redeploy)
    assert (found.deployed_id, found.replicas) == (AGAIN, 3)
    assert isinstance(step(rollout(hold=HOLD), STRANDED, Kind.HOLD, spec=REDEPLOYS), Wait), "a person was called"


def test_what_was_deployed_again_takes_the_place_and_the_candidate_keeps_at_most_its_share() -> None:
    found = step(rollout(), BACK, Kind.ADVANCE, spec=REDEPLOYS)
    assert isinstance(found, Reinstate)
    assert found.split == {AGAIN: 90, CANDIDATE: 10}
    assert (found.labels.stable, found.labels.candidate) == (AGAIN, CANDIDATE)
    placed = rollout(stable_id=AGAIN)
    there = replace(BACK, split=found.split, labels=write_labels({}, found.labels))
    assert isinstance(step(placed, there, Kind.ADVANCE, spec=REDEPLOYS), Move)
    lower = replace(BACK, split={AGAIN: 97, CANDIDATE: 3})
    kept = step(rollout(), lower, Kind.ADVANCE, spec=REDEPLOYS)
    assert isinstance(kept, Reinstate)
    assert kept.split == {AGAIN: 97, CANDIDATE: 3}


def test_a_deployment_of_the_stable_is_waited_for_tried_again_and_in_the_end_a_persons() -> None:
    op = Operation("deploy", AGAIN, NOW - MINUTE, NAMED, "Deploying v1 again")
    under_way = rollout(operation=op)
    assert isinstance(step(under_way, STRANDED, spec=REDEPLOYS), Wait)
    failed = OperationState(NAMED, True, "out of T4s", retryable=True)
    assert isinstance(step(under_way, STRANDED, spec=REDEPLOYS, operation=failed), PutOff)
    last = replace(under_way, resizes_failed=2)
    assert isinstance(step(last, STRANDED, spec=REDEPLOYS, operation=failed), Pause)
    again = step(rollout(resizes_failed=1), STRANDED, spec=REDEPLOYS)
    assert isinstance(again, Redeploy)
    assert again.deployed_id == stable_again_id(TRIAL, 1)
    soon = rollout(resizes_failed=1, not_before=NOW + MINUTE)
    assert isinstance(step(soon, STRANDED, spec=REDEPLOYS), Wait)


def test_a_third_models_traffic_is_asked_about_before_the_stable_takes_its_place() -> None:
    seen = replace(BACK, split={CANDIDATE: 60, THIRD: 40}, deployed=(*BACK.deployed, deployed(THIRD, "9")))
    found = step(rollout(), seen, Kind.HOLD, spec=REDEPLOYS)
    assert isinstance(found, Pause)
    assert "v1 is deployed again, and the traffic is" in found.reason


def test_in_a_watch_only_the_fallback_is_deployed_again() -> None:
    seen = endpoint({CANDIDATE: 100}, WATCH_LABELS, CANDIDATE)
    assert isinstance(step(rollout(Phase.WATCHING), seen, Kind.HOLD), Wait), "not minded otherwise"
    assert isinstance(step(rollout(Phase.WATCHING), seen, Kind.HOLD, spec=REDEPLOYS), Redeploy)
    there = replace(seen, deployed=(*seen.deployed, deployed(AGAIN, "1")))
    found = step(rollout(Phase.WATCHING), there, Kind.HOLD, spec=REDEPLOYS)
    assert isinstance(found, Reinstate)
    assert (found.split, found.labels.fallback) == ({CANDIDATE: 100}, AGAIN)
    first = rollout(Phase.WATCHING, stable_id="")
    assert isinstance(step(first, seen, Kind.HOLD, spec=REDEPLOYS), Wait), "the first of its model has none"


def test_a_queued_version_that_was_deleted_is_waited_for_a_while_and_rejected() -> None:
    new = rollout(Phase.QUEUED, phase_since=NOW - MINUTE)
    assert isinstance(step(new, at_rest(), is_lost=True), Wait)
    found = step(replace(new, phase_since=NOW - VISIBLE_WITHIN), at_rest(), is_lost=True, busy="churn-v9-00000c")
    assert closing(found) == (Phase.REJECTED, False)
    assert isinstance(found, Close)
    assert found.sentence == "Rejected v2: it is not in the registry, somebody has deleted it"


@pytest.mark.parametrize("phase", [Phase.CANARY, Phase.WATCHING])
def test_labels_that_somebody_removed_are_asked_for(phase: Phase) -> None:
    seen = replace(on_trial(10) if phase is Phase.CANARY else in_watch(), labels={"team": "growth"})
    found = step(rollout(phase), seen, Kind.FINISH if phase is Phase.WATCHING else Kind.ADVANCE)
    assert isinstance(found, Pause)
    assert "(label vr-rollout is gone), so no alert could roll it back" in found.reason
    assert not isinstance(step(rollout(phase, hold=HOLD), seen), Pause)


def test_a_rollback_of_what_has_no_traffic_any_more_just_ends_it() -> None:
    seen = endpoint({STABLE: 100}, TRIAL_LABELS)
    assert closing(step(rollout(), seen, Kind.ROLL_BACK)) == (Phase.ROLLED_BACK, True)
    assert closing(step(rollout(stop=STOP), seen, Kind.ROLL_BACK)) == (Phase.SUPERSEDED, True)


def test_a_rollback_that_an_alert_could_not_make_is_made_by_taking_the_share_back() -> None:
    """The labels were released as it was to end, and a hand gave it traffic before the record said so."""
    found = step(rollout(hold=HOLD), endpoint({CANDIDATE: 100}, RESTING_LABELS), Kind.ROLL_BACK)
    assert isinstance(found, Lower)
    assert found.split == {STABLE: 100}
    foreign = replace(on_trial(10), labels={"team": "growth"})
    assert isinstance(step(rollout(hold=HOLD), foreign, Kind.ROLL_BACK), AskRollback), "which calls a person"


# The watch

WATCHING = rollout(Phase.WATCHING)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(Kind.HOLD, Wait), (Kind.PAUSE, Pause), (Kind.ROLL_BACK, AskRollback), (Kind.FINISH, Close)],
)
def test_a_watch_does_what_was_decided(kind: Kind, expected: type[Step]) -> None:
    found = step(WATCHING, in_watch(), kind)
    assert isinstance(found, expected)
    if isinstance(found, Close):
        assert closing(found) == (Phase.PROMOTED, True)


def test_the_first_share_of_the_next_candidate_ends_a_watch() -> None:
    seen = endpoint({CANDIDATE: 90, THIRD: 10}, replace(TRIAL_LABELS, rollout=NEWER, stable=CANDIDATE, candidate=THIRD))
    found = step(WATCHING, seen)
    assert closing(found) == (Phase.PROMOTED, False)
    assert isinstance(found, Close)
    assert found.sentence == "Ended the watch of v2: v9 has its first share of the traffic"


def test_a_watch_whose_labels_were_released_before_a_crash_is_over() -> None:
    seen = endpoint({CANDIDATE: 100}, replace(RESTING_LABELS, stable=CANDIDATE))
    assert closing(step(WATCHING, seen)) == (Phase.PROMOTED, False)


def test_a_watch_that_lost_its_traffic_to_another_trial_was_not_promoted() -> None:
    """It was rolled back, its record stayed behind, and another trial has come and gone since."""
    seen = endpoint({STABLE: 100}, replace(RESTING_LABELS, closed=NEWER))
    assert closing(step(WATCHING, seen)) == (Phase.ROLLED_BACK, False)
    kept = endpoint({STABLE: 80, CANDIDATE: 20}, RESTING_LABELS)
    assert isinstance(step(WATCHING, kept), Pause)


def test_a_watch_that_a_newer_version_took_over_before_anybody_looked_was_promoted() -> None:
    seen = endpoint({THIRD: 100}, replace(WATCH_LABELS, rollout=NEWER, stable=THIRD, fallback=CANDIDATE))
    assert closing(step(WATCHING, seen)) == (Phase.PROMOTED, False)


def test_traffic_that_somebody_moved_during_the_watch_is_no_watch_without_harm() -> None:
    for split in ({STABLE: 100}, {CANDIDATE: 80, THIRD: 20}):
        seen = endpoint(split, WATCH_LABELS)
        assert isinstance(step(WATCHING, seen, Kind.FINISH), Pause)
        assert isinstance(step(replace(WATCHING, hold=HOLD), seen), Wait)


def test_harm_without_a_fallback_calls_a_person() -> None:
    found = step(rollout(Phase.WATCHING, stable_id=""), in_watch(fallback=""), Kind.ROLL_BACK)
    assert found == Pause("because of roll_back; there is no fallback to give the traffic to")


def test_a_stop_that_came_as_the_first_of_its_model_took_everything_cannot_take_it_back() -> None:
    found = step(rollout(Phase.WATCHING, stable_id="", stop=STOP), in_watch(fallback=""), Kind.ROLL_BACK)
    assert closing(found) == (Phase.PROMOTED, True)
    assert isinstance(found, Close)
    assert "without taking its traffic, which nobody else can carry" in found.sentence


def test_a_watch_that_is_stopped_after_its_traffic_is_gone_just_ends() -> None:
    seen = endpoint({STABLE: 100}, WATCH_LABELS)
    assert closing(step(replace(WATCHING, stop=STOP), seen, Kind.ROLL_BACK)) == (Phase.SUPERSEDED, True)


def test_released_labels_name_the_stable_alone() -> None:
    released = release_labels(in_watch(), CANDIDATE)
    assert released == replace(RESTING_LABELS, stable=CANDIDATE)
    assert read_labels(write_labels(in_watch().labels, released)) == released
    assert release_labels(on_trial(10), "").stable == STABLE
