"""What nothing needs any more, and what is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rollout.labels import TrialLabels, read_labels, write_labels
from shared.rollout.names import deployed_model_id, stable_again_id
from shared.rollout.observed import Endpoint
from shared.rollout.record import Phase, Rollout
from shared.rollout.retire import GRACE, Resize, Retirement, Undeploy, plan_retirement
from tests.unit.rollout.worlds import (
    CANDIDATE,
    EARLIER,
    HOUR,
    NOW,
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
)

DONE = rollout(Phase.PROMOTED, id=EARLIER, version="1", deployed_id=STABLE, stable_id="", phase_since=NOW - 9 * HOUR)
RESTED = endpoint({CANDIDATE: 100}, replace(RESTING_LABELS, stable=CANDIDATE))
"""v2 was promoted and its watch is over; v1 is still deployed."""


def plan(seen: Endpoint, *rollouts: Rollout, later: timedelta = timedelta(0)) -> list[Retirement]:
    return plan_retirement(policy({"standby": {"hold": "1h", "for": "3h"}}), seen, rollouts, NOW + later)


def undeployed(found: list[Retirement]) -> list[str]:
    return [step.deployed_id for step in found if isinstance(step, Undeploy)]


def test_a_fallback_whose_watch_is_over_is_undeployed() -> None:
    found = plan(RESTED, rollout(Phase.PROMOTED), DONE)
    assert found == [
        Undeploy(STABLE, f"Undeployed v1 from {RESTED.ref}: its watch is over and nothing needs it"),
    ]


def test_the_first_of_a_model_that_ended_before_it_served_is_undeployed() -> None:
    """The endpoint was made for it, and there is neither a stable nor a trial."""
    seen = replace(endpoint({}, TrialLabels(model="churn"), CANDIDATE))
    ended = rollout(Phase.FAILED, stable_id="", phase_since=NOW - HOUR)
    assert undeployed(plan(seen, ended)) == [CANDIDATE]
    assert plan(seen) == [], "not one that somebody else has put there"
    assert plan(replace(seen, labels={"team": "growth"}), ended) == []


def test_one_that_nobody_of_ours_made_is_undeployed_only_when_ours_replaced_it() -> None:
    assert undeployed(plan(RESTED, rollout(Phase.PROMOTED))) == [STABLE]
    assert plan(RESTED, rollout(Phase.PROMOTED, stable_id="")) == []
    assert plan(RESTED, rollout(Phase.FAILED, deployed_id="7")) == [], "it was only beside it"


def test_a_rolled_back_candidate_is_kept_for_those_who_look_why() -> None:
    record = rollout(Phase.ROLLED_BACK, phase_since=NOW - GRACE)
    assert plan(at_rest(), record, later=timedelta(seconds=-1)) == []
    found = plan(at_rest(), record)
    assert undeployed(found) == [CANDIDATE]
    assert found[0].sentence.endswith("it was rolled back and nothing needs it")


def test_a_superseded_candidate_is_not_kept() -> None:
    assert undeployed(plan(at_rest(), rollout(Phase.SUPERSEDED, phase_since=NOW))) == [CANDIDATE]


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.DEPLOYING, Phase.CANARY, Phase.WATCHING])
def test_nothing_of_an_open_rollout_is_touched_not_even_if_its_labels_are_gone(phase: Phase) -> None:
    """Of a watch either: the traffic was given back a moment ago, and the record does not say so yet."""
    assert plan(at_rest(), rollout(phase, deployed_id=CANDIDATE)) == []


def test_the_stable_of_a_trial_that_has_no_share_yet_stays_although_its_labels_name_another() -> None:
    labels = replace(RESTING_LABELS, stable=THIRD)
    seen = endpoint({THIRD: 100}, labels, STABLE, CANDIDATE, THIRD)
    assert plan(seen, rollout(Phase.DEPLOYING), rollout(Phase.PROMOTED, id="other", deployed_id=THIRD)) == []


def test_what_a_given_up_attempt_left_behind_is_undeployed() -> None:
    """Its answer was lost and it was waited out; it was deployed all the same, later."""
    lost = deployed_model_id(TRIAL, 1)
    seen = replace(on_trial(10), deployed=(*on_trial(10).deployed, deployed(lost, "2")))
    found = plan(seen, rollout(attempt=2))
    assert undeployed(found) == [lost]
    assert found[0].sentence.endswith(f"an earlier attempt of {TRIAL} left it, and no rollout owns it")
    assert plan(replace(seen, split={STABLE: 90, lost: 10}), rollout(attempt=2)) == []


def test_a_stable_that_was_deployed_again_goes_once_somebody_has_made_another_one_the_stable() -> None:
    """Found by seed 10049 of the interleavings: only the trial that was rolled back names it, so nobody took it off."""
    again = stable_again_id(TRIAL, 0)
    over = rollout(Phase.ROLLED_BACK, stable_id=again)
    there = (deployed(again, "1"), deployed(THIRD, "9"))
    resting = replace(endpoint({THIRD: 100}, replace(RESTING_LABELS, stable=again)), deployed=there)
    assert plan(resting, over) == [], "the labels still call it the stable"
    taken = replace(endpoint({THIRD: 100}, replace(RESTING_LABELS, stable=THIRD)), deployed=there)
    assert undeployed(plan(taken, over)) == [again]


def test_an_endpoint_of_somebody_else_is_left_alone() -> None:
    assert plan(replace(RESTED, labels={}), rollout(Phase.PROMOTED), DONE) == []


PHASES = st.sampled_from(Phase)
SEEN = st.sampled_from(
    [
        on_trial(10),
        in_watch(),
        at_rest(),
        RESTED,
        endpoint({STABLE: 50, THIRD: 50}, TRIAL_LABELS),
        endpoint({CANDIDATE: 80, THIRD: 20}, WATCH_LABELS),
        endpoint({THIRD: 100}, RESTING_LABELS),
    ]
)


@given(SEEN, PHASES, PHASES, st.integers(0, 48))
def test_whatever_the_records_say_traffic_stable_candidate_and_fallback_stay(
    seen: Endpoint, one: Phase, other: Phase, hours: int
) -> None:
    records = [rollout(one), rollout(other, id=EARLIER, deployed_id=STABLE, stable_id=THIRD)]
    gone = set(undeployed(plan(seen, *records, later=hours * HOUR)))
    labels = read_labels(seen.labels)
    assert not gone & {labels.stable, labels.candidate, labels.fallback}
    assert not gone & {model for model, share in seen.split.items() if share}


# Replicas


def pinned(seen: Endpoint, replicas: int = 4) -> Endpoint:
    return replace(seen, deployed=tuple(replace(d, min_replicas=replicas) for d in seen.deployed))


WATCHING = rollout(Phase.WATCHING, pinned={STABLE: 1, CANDIDATE: 1})


def test_a_fallback_keeps_its_strength_until_the_hold_is_over_and_then_shrinks() -> None:
    watched = pinned(in_watch())
    assert plan(watched, WATCHING, later=timedelta(seconds=-1)) == []
    found = plan(watched, WATCHING)
    assert [type(step) for step in found] == [Resize]
    step = found[0]
    assert isinstance(step, Resize)
    assert (step.change.deployed_id, step.change.minimum, step.change.before) == (STABLE, 1, 4)
    assert step.sentence == "v1 back to 1 replicas at least, 1h after the last change of traffic"


def test_the_policy_says_how_strong_a_fallback_stays() -> None:
    spec = policy({"standby": {"hold": "1h", "for": "3h", "replicas": 2}})
    (step,) = plan_retirement(spec, pinned(in_watch()), [WATCHING], NOW)
    assert isinstance(step, Resize)
    assert step.change.minimum == 2
    assert plan_retirement(spec, pinned(in_watch(), 2), [WATCHING], NOW) == []


def test_a_stable_that_a_trial_has_pinned_gets_its_usual_minimum_back_when_the_trial_is_over() -> None:
    record = rollout(Phase.ROLLED_BACK, pinned={STABLE: 1}, phase_since=NOW - 2 * HOUR, deployed_id="7")
    found = plan(pinned(endpoint({STABLE: 100}, RESTING_LABELS, STABLE)), record)
    assert [step.change.minimum for step in found if isinstance(step, Resize)] == [1]


def test_during_a_trial_nobody_is_shrunk() -> None:
    record = rollout(pinned={STABLE: 1}, phase_since=NOW - 9 * HOUR)
    assert plan(pinned(on_trial(10)), record) == []
    deploying = rollout(Phase.DEPLOYING, pinned={STABLE: 1}, phase_since=NOW - 9 * HOUR)
    assert plan(pinned(at_rest()), deploying) == [], "it was pinned for a first share that comes soon"


def test_replicas_that_a_person_has_raised_are_a_persons() -> None:
    assert plan(pinned(in_watch()), rollout(Phase.WATCHING)) == []
    assert plan(pinned(in_watch())) == [], "and without records nothing is known"


def test_labels_of_a_closed_trial_need_nobody_but_the_stable() -> None:
    labels = replace(RESTING_LABELS, closed=TRIAL, closed_from=CANDIDATE, closed_at=NOW)
    seen = replace(at_rest(), labels=write_labels({}, labels))
    assert undeployed(plan(seen, rollout(Phase.ROLLED_BACK), later=HOUR)) == [CANDIDATE]
