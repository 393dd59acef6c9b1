"""The rollback table of the design: each row is a test by its name."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events.alert import Alert
from shared.rollout.labels import TrialLabels, read_labels, write_labels
from shared.rollout.observed import Endpoint
from shared.rollout.rollback import RollbackKind, RollbackPlan, plan_rollback
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
    alert,
    at_rest,
    endpoint,
    in_watch,
    on_trial,
)

SENTENCE = "5xx share is 12 %, limit 1 %"


def plan(seen: Endpoint | None, **changes: object) -> RollbackPlan:
    return plan_rollback(seen, alert(**changes), NOW)


def carried_out(seen: Endpoint, plan: RollbackPlan) -> Endpoint:
    """The endpoint after the one write that the plan asks for."""
    assert plan.split is not None
    assert plan.labels is not None
    return replace(seen, split=plan.split, labels=write_labels(seen.labels, plan.labels))


def test_an_arm_with_traffic_gives_its_share_to_the_stable() -> None:
    found = plan(on_trial(10))
    assert (found.kind, found.split) == (RollbackKind.GIVE_BACK, {STABLE: 100})
    assert (found.loser, found.heir, found.rollout) == (CANDIDATE, STABLE, TRIAL)
    assert found.sentence == (
        f"Rolled back churn v2 to churn v1: {SENTENCE} (traffic was v1 90 %, v2 10 %, is v1 100 %)"
    )


def test_the_labels_then_say_which_rollout_was_closed_who_lost_and_when() -> None:
    found = plan(on_trial(10))
    assert found.labels == TrialLabels(
        model="churn", stable=STABLE, lag=4 * MINUTE, closed=TRIAL, closed_from=CANDIDATE, closed_at=NOW
    )


def test_the_stable_in_its_watch_gives_everything_to_the_fallback() -> None:
    found = plan(in_watch())
    assert (found.kind, found.split) == (RollbackKind.TO_FALLBACK, {STABLE: 100})
    assert (found.loser, found.heir) == (CANDIDATE, STABLE)
    assert found.labels is not None
    assert (found.labels.stable, found.labels.fallback) == (STABLE, "")


def test_the_stable_during_a_trial_holds_the_trial_which_is_not_the_cause() -> None:
    found = plan(on_trial(10), deployed_model=STABLE)
    assert (found.kind, found.rollout, found.writes) == (RollbackKind.HOLD, TRIAL, False)
    assert "the stable churn v1 degrades during the trial of churn v2" in found.sentence


def test_no_deployed_model_named_takes_it_from_the_candidate() -> None:
    found = plan(on_trial(50), deployed_model=None)
    assert (found.kind, found.loser, found.split) == (RollbackKind.GIVE_BACK, CANDIDATE, {STABLE: 100})


def test_no_deployed_model_named_and_no_candidate_gives_it_to_the_fallback() -> None:
    found = plan(in_watch(), deployed_model=None)
    assert (found.kind, found.split) == (RollbackKind.TO_FALLBACK, {STABLE: 100})


def test_no_deployed_model_named_and_neither_candidate_nor_fallback_calls_a_person() -> None:
    found = plan(at_rest(), deployed_model=None)
    assert (found.kind, found.writes) == (RollbackKind.CALL, False)
    assert f"Endpoint {REF} degrades and nothing is on trial or in reserve" in found.sentence


def test_no_deployed_model_named_only_holds_where_the_policy_says_hold() -> None:
    for seen in (on_trial(10, unnamed="hold"), in_watch(unnamed="hold")):
        found = plan(seen, deployed_model=None)
        assert (found.kind, found.rollout, found.writes) == (RollbackKind.HOLD, TRIAL, False)
    assert plan(on_trial(10, unnamed="hold")).kind is RollbackKind.GIVE_BACK, "it is named here"


@pytest.mark.parametrize("named", [CANDIDATE, None])
@pytest.mark.parametrize("seen", [on_trial(10), in_watch()], ids=["trial", "watch"])
def test_an_incident_that_began_before_the_trial_and_the_metrics_lag_only_holds(
    seen: Endpoint, named: str | None
) -> None:
    boundary = NOW - HOUR + 4 * MINUTE
    before = plan(seen, deployed_model=named, started_at=boundary - timedelta(seconds=1))
    assert (before.kind, before.rollout, before.writes) == (RollbackKind.HOLD, TRIAL, False)
    assert plan(seen, deployed_model=named, started_at=boundary).writes
    assert plan(seen, deployed_model=named, started_at=None).writes, "not known to be older"


def test_our_own_analysis_looks_at_nothing_that_is_older_than_the_trial() -> None:
    early = NOW - HOUR + MINUTE
    assert plan(on_trial(10), source="analysis", rollout=TRIAL, started_at=early).kind is RollbackKind.GIVE_BACK


@pytest.mark.parametrize("state", ["closed", "test"])
@pytest.mark.parametrize("seen", [on_trial(10), in_watch(), at_rest()], ids=["trial", "watch", "rest"])
def test_a_closed_or_test_alert_is_recorded_only(seen: Endpoint, state: str) -> None:
    found = plan(seen, state=state)
    assert (found.kind, found.writes) == (RollbackKind.RECORD, False)
    assert found.sentence == f"The alert is {state}: {SENTENCE}"


def test_what_is_already_done_is_recorded_only() -> None:
    seen = carried_out(on_trial(10), plan(on_trial(10)))
    for changes in ({"rollout": TRIAL}, {"deployed_model": None, "rollout": TRIAL}, {}, {"deployed_model": None}):
        found = plan(seen, **changes)
        assert (found.kind, found.rollout) == (RollbackKind.RECORD, TRIAL), changes


def test_an_unnamed_alert_of_what_the_loser_served_last_is_already_answered() -> None:
    """It is measured for the lag after the traffic went back; what begins later is something new."""
    seen = carried_out(on_trial(10), plan(on_trial(10)))
    late = plan_rollback(seen, alert(deployed_model=None, started_at=NOW + 4 * MINUTE), NOW + 5 * MINUTE)
    assert (late.kind, late.rollout) == (RollbackKind.RECORD, TRIAL)
    new = plan_rollback(seen, alert(deployed_model=None, started_at=NOW + 5 * MINUTE), NOW + 6 * MINUTE)
    assert new.kind is RollbackKind.CALL
    undated = plan_rollback(seen, alert(deployed_model=None, started_at=None), NOW + 9 * MINUTE)
    assert undated.kind is RollbackKind.CALL


def test_an_alert_of_a_rollout_that_is_no_longer_in_progress_is_recorded_only() -> None:
    found = plan(on_trial(10), rollout="churn-v1-00000a")
    assert (found.kind, found.rollout) == (RollbackKind.RECORD, "churn-v1-00000a")
    assert "no longer in progress" in found.sentence


def test_a_model_at_0_percent_is_recorded_only() -> None:
    for named in (CANDIDATE, THIRD, "4000000000"):
        found = plan(endpoint({STABLE: 100}, TRIAL_LABELS, STABLE, CANDIDATE, THIRD), deployed_model=named)
        assert (found.kind, found.writes) == (RollbackKind.RECORD, False)
        assert "has no traffic" in found.sentence
    assert plan(in_watch(), deployed_model=STABLE).kind is RollbackKind.RECORD, "the fallback at 0 %"


def test_a_watched_model_that_somebody_took_all_traffic_from_has_nothing_to_give() -> None:
    seen = endpoint({STABLE: 100}, WATCH_LABELS)
    assert plan(seen, deployed_model=None).kind is RollbackKind.CALL
    assert plan(seen, deployed_model=CANDIDATE).kind is RollbackKind.RECORD
    assert plan(seen, deployed_model=STABLE).kind is RollbackKind.CALL


def test_a_target_that_is_missing_changes_nothing_and_calls_a_person() -> None:
    found = plan(None)
    assert (found.kind, found.writes) == (RollbackKind.CALL, False)
    assert "does not exist" in found.sentence


def test_an_endpoint_without_our_labels_changes_nothing_and_calls_a_person() -> None:
    foreign = replace(on_trial(10), labels={"team": "growth"})
    for named in (CANDIDATE, None):
        found = plan(foreign, deployed_model=named)
        assert (found.kind, found.writes) == (RollbackKind.CALL, False)
        assert "is not under a policy (no vr- labels)" in found.sentence


@pytest.mark.parametrize(
    ("seen", "heir"),
    [
        (endpoint({STABLE: 90, CANDIDATE: 10}, TRIAL_LABELS, CANDIDATE), STABLE),
        (endpoint({CANDIDATE: 100}, WATCH_LABELS, CANDIDATE), STABLE),
        (endpoint({CANDIDATE: 100}, replace(TRIAL_LABELS, stable=""), CANDIDATE), "its stable"),
    ],
    ids=["stable", "fallback", "unknown"],
)
def test_an_heir_that_is_no_longer_deployed_calls_a_person(seen: Endpoint, heir: str) -> None:
    found = plan(seen)
    assert (found.kind, found.writes) == (RollbackKind.CALL, False)
    assert f"{heir} is no longer deployed" in found.sentence


def test_the_stable_with_nothing_on_trial_or_in_reserve_calls_a_person() -> None:
    found = plan(at_rest(), deployed_model=STABLE)
    assert (found.kind, found.writes) == (RollbackKind.CALL, False)
    assert "there is nothing to give its traffic to" in found.sentence


def test_a_third_model_keeps_its_share() -> None:
    during = endpoint({STABLE: 70, CANDIDATE: 10, THIRD: 20}, TRIAL_LABELS)
    assert plan(during).split == {STABLE: 80, THIRD: 20}
    watched = endpoint({CANDIDATE: 80, THIRD: 20}, WATCH_LABELS)
    assert plan(watched).split == {STABLE: 80, THIRD: 20}
    assert plan(during, deployed_model=THIRD).kind is RollbackKind.CALL, "and is nobody's to roll back"


def test_labels_that_name_the_loser_as_its_own_heir_call_a_person() -> None:
    found = plan(on_trial(10, stable=CANDIDATE))
    assert (found.kind, found.writes) == (RollbackKind.CALL, False)
    assert "the labels name nobody else" in found.sentence


SHARES = st.lists(st.integers(0, 100), min_size=2, max_size=2).map(sorted)
LABELS = st.builds(
    TrialLabels,
    model=st.just("churn"),
    rollout=st.sampled_from([TRIAL, ""]),
    stable=st.sampled_from([STABLE, CANDIDATE, THIRD, ""]),
    candidate=st.sampled_from([CANDIDATE, ""]),
    fallback=st.sampled_from([STABLE, ""]),
    since=st.sampled_from([None, NOW - HOUR]),
    lag=st.integers(0, 600).map(lambda s: timedelta(seconds=s)),
    unnamed=st.sampled_from(["act", "hold"]),
    closed=st.sampled_from(["", "churn-v1-00000a"]),
    closed_from=st.sampled_from(["", THIRD]),
    closed_at=st.sampled_from([None, NOW - 5 * HOUR]),
)


@st.composite
def endpoints(draw: st.DrawFn) -> Endpoint:
    """Any labels over any split of three models, also over none."""
    low, high = draw(SHARES)
    split = {STABLE: low, CANDIDATE: high - low, THIRD: 100 - high}
    split = {} if draw(st.integers(0, 9)) == 0 else {m: s for m, s in split.items() if s or draw(st.booleans())}
    there = {m for m, s in split.items() if s} | draw(st.sets(st.sampled_from([STABLE, CANDIDATE, THIRD])))
    return endpoint(split, draw(LABELS), *sorted(there)) if there else replace(at_rest(), split={}, deployed=())


ALERTS = st.builds(
    alert,
    source=st.sampled_from(["monitoring", "analysis"]),
    state=st.sampled_from(["open", "open", "open", "closed", "test"]),
    deployed_model=st.sampled_from([None, STABLE, CANDIDATE, THIRD, "4000000000"]),
    rollout=st.sampled_from([None, None, TRIAL, "churn-v1-00000a"]),
    started_at=st.one_of(st.none(), st.integers(0, 7_200).map(lambda s: NOW - timedelta(seconds=s))),
)
MOMENTS = st.integers(0, 999_999).map(lambda us: NOW + timedelta(microseconds=us))


@given(endpoints(), ALERTS, MOMENTS)
def test_whatever_is_written_is_a_split_that_only_takes_from_the_loser_for_the_heir(
    seen: Endpoint, fired: Alert, now: datetime
) -> None:
    found = plan_rollback(seen, fired, now)
    if found.split is None:
        assert found.labels is None
        return
    there = {d.id for d in seen.deployed}
    assert sum(found.split.values()) == 100
    assert set(found.split) <= there
    assert found.heir in there
    assert found.loser not in found.split
    assert seen.share(found.loser) > 0
    assert found.split[found.heir] == seen.share(found.heir) + seen.share(found.loser)
    others = there - {found.loser, found.heir}
    assert {m: found.split.get(m, 0) for m in others} == {m: seen.share(m) for m in others}


@given(endpoints(), ALERTS, MOMENTS)
def test_the_same_alert_again_finds_it_done_and_is_recorded(seen: Endpoint, fired: Alert, now: datetime) -> None:
    found = plan_rollback(seen, fired, now)
    if not found.writes:
        return
    again = plan_rollback(carried_out(seen, found), fired, now)
    assert (again.kind, again.writes) == (RollbackKind.RECORD, False)
    if found.rollout:
        assert again.rollout == found.rollout, "so the ledger finds the record that is behind"


@given(endpoints(), ALERTS, MOMENTS)
def test_labels_of_others_survive_and_a_rollback_never_needs_more_of_them(
    seen: Endpoint, fired: Alert, now: datetime
) -> None:
    """An endpoint has at most 64 labels; one that was full before the trial must not refuse the rollback."""
    found = plan_rollback(seen, fired, now)
    if found.labels is None:
        return
    written = write_labels(seen.labels, found.labels)
    assert written["team"] == "growth"
    assert read_labels(written) == replace(found.labels, closed_at=now.replace(microsecond=0))
    if read_labels(seen.labels).since and found.rollout:
        assert len(written) <= len(seen.labels)


def test_at_rest_the_labels_name_nobody_but_the_stable() -> None:
    assert read_labels(at_rest().labels) == RESTING_LABELS
