"""From verdicts to a decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.policy.schema import Policy
from shared.rollout.decide import Decision, Kind, decide, judge
from shared.rollout.evidence import Evidence
from shared.rollout.record import Hold, Phase, Rollout, Stop, Verdict
from tests.unit.rollout.worlds import (
    CANDIDATE,
    CHECK,
    HOUR,
    MINUTE,
    NOW,
    STABLE,
    TRIAL,
    latencies,
    policy,
    rollout,
    served,
)

BEGUN = NOW - HOUR
"""When the stage began: its bake time of fifteen minutes is long over."""
HOLD = Hold("lunch", "ann@example.com", NOW)
TOKENS = {"metric": "tokens", "p95_at_most": 100, "min_samples": 50}


def evidence(requests: int = 500, errors: int = 0, **changes: Any) -> Evidence:
    """What was served until five minutes ago, all of it read."""
    usual = Evidence(
        TRIAL,
        BEGUN,
        newer={CANDIDATE: served(requests, errors), STABLE: served(4_500, 0)},
        judged_until=NOW - 5 * MINUTE,
        last_data=NOW - 5 * MINUTE,
        heard={"error_rate": NOW - 5 * MINUTE},
    )
    return replace(usual, **changes)


def silent_since(minutes: int) -> Evidence:
    """The candidate has served nothing that was read, since so many minutes."""
    heard = NOW - minutes * MINUTE
    return evidence(0, newer={STABLE: served(4_500)}, heard={"error_rate": heard}, last_data=heard)


def unreadable_since(minutes: int) -> Evidence:
    return evidence(error_since=NOW - minutes * MINUTE, error="503 from Monitoring")


def decided(
    seen: Evidence | None, record: Rollout | None = None, spec: Policy | None = None, later: timedelta = timedelta(0)
) -> Decision:
    return decide(spec or policy(), record or rollout(), seen, NOW + later)


# Forward


def test_a_stage_judged_long_enough_without_harm_advances() -> None:
    found = decided(evidence())
    assert (found.kind, found.is_due) == (Kind.ADVANCE, True)
    assert found.sentence == "15m judged without harm: error_rate 0 % <= 1 % (0 of 500 requests)"


def test_the_step_to_all_the_traffic_is_a_promotion() -> None:
    assert decided(evidence(), rollout(stage=1)).kind is Kind.PROMOTE


def test_the_bake_time_is_counted_in_judged_time_not_on_the_clock() -> None:
    """Metrics come minutes late, and a tick may have failed: an hour has passed, a quarter of it counts."""
    almost = decided(evidence(judged_until=BEGUN + 14 * MINUTE, heard={"error_rate": BEGUN + 14 * MINUTE}))
    assert (almost.kind, almost.is_due) == (Kind.HOLD, False)
    assert almost.sentence == "14m of 15m judged at 10 %"
    there = evidence(judged_until=BEGUN + 15 * MINUTE, heard={"error_rate": BEGUN + 15 * MINUTE})
    assert decided(there).kind is Kind.ADVANCE


def test_without_checks_the_clock_alone_counts() -> None:
    spec = policy({"checks": []})
    assert decided(None, spec=spec).kind is Kind.ADVANCE
    assert decided(None, spec=spec).sentence == "15m judged without harm: no checks"
    young = rollout(stage_since=NOW - 14 * MINUTE)
    assert decided(None, young, spec).kind is Kind.HOLD


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (evidence(30), Verdict.INCONCLUSIVE),
        (evidence(200, 3), Verdict.INCONCLUSIVE),
        (silent_since(10), Verdict.NO_DATA),
        (None, Verdict.NO_DATA),
        (unreadable_since(10), Verdict.PROVIDER_ERROR),
    ],
    ids=["too few", "chance", "silence", "nothing yet", "unreadable"],
)
def test_ignorance_neither_advances_nor_rolls_back(seen: Evidence | None, verdict: Verdict) -> None:
    record = rollout(stage_since=BEGUN) if seen else rollout(stage_since=NOW - 20 * MINUTE)
    found = decided(seen, record)
    assert found.kind is Kind.HOLD
    assert [c.verdict for c in found.checks] == [verdict]
    assert found.checks[0].sentence in found.sentence


def test_a_check_that_gates_nothing_decides_nothing() -> None:
    """Not by failing, not by its silence, and not by a provider that cannot say."""
    shown = policy({"checks": [TOKENS | {"gating": False}, CHECK]})
    failing = served(500, 0, tokens=latencies(*[400.0] * 300))
    harm = evidence(newer={CANDIDATE: failing}, heard={"error_rate": NOW - 5 * MINUTE, "tokens": NOW - 5 * MINUTE})
    assert decided(harm, spec=shown).kind is Kind.ADVANCE
    assert [c.verdict for c in decided(harm, spec=shown).checks] == [Verdict.FAIL, Verdict.PASS]
    assert decided(evidence(), spec=shown).kind is Kind.ADVANCE
    only = policy({"checks": [CHECK | {"gating": False}]})
    for nothing in (None, unreadable_since(50), silent_since(50)):
        assert decided(nothing, spec=only).kind is Kind.ADVANCE


def test_evidence_of_another_stage_is_none() -> None:
    other = evidence(stage_since=BEGUN - HOUR)
    assert [c.verdict for c in judge(policy(), rollout(), other)] == [Verdict.NO_DATA]
    assert decided(other).sentence == "no error_rate from the candidate since 11:00 UTC"


def test_what_was_heard_long_ago_is_no_data_of_today() -> None:
    """The endpoint fell silent: five good minutes do not make a stage, however long one reads on."""
    found = decided(evidence(heard={"error_rate": NOW - 20 * MINUTE}))
    assert found.kind is Kind.HOLD
    assert found.checks[0].verdict is Verdict.NO_DATA
    assert found.checks[0].sentence == (
        "error_rate: no data since 11:40 UTC; until then error_rate 0 % <= 1 % (0 of 500 requests)"
    )
    assert decided(evidence(heard={"error_rate": NOW - 15 * MINUTE})).kind is Kind.ADVANCE, "a window is borne"


def test_harm_that_was_heard_long_ago_is_harm() -> None:
    assert decided(evidence(500, 60, heard={"error_rate": NOW - 20 * MINUTE})).kind is Kind.ROLL_BACK


# Harm, and people


def test_certain_harm_rolls_back_with_every_sentence_of_it() -> None:
    found = decided(evidence(250, 31))
    assert (found.kind, found.sentence) == (Kind.ROLL_BACK, "error_rate 12.4 % > 1 % (31 of 250 requests)")


@pytest.mark.parametrize("changes", [{"hold": HOLD}, {"approved": True}], ids=["pause", "approval"])
def test_harm_beats_a_pause_and_an_approval(changes: dict[str, Any]) -> None:
    assert decided(evidence(250, 31), rollout(**changes)).kind is Kind.ROLL_BACK


def test_a_stop_rolls_back_whatever_the_checks_say() -> None:
    stop = Stop(Phase.SUPERSEDED, "v3 is newer", "churn-v3-00000c", NOW)
    found = decided(evidence(), rollout(stop=stop, hold=HOLD))
    assert (found.kind, found.sentence) == (Kind.ROLL_BACK, "stopped by churn-v3-00000c: v3 is newer")


def test_a_paused_rollout_stands_still() -> None:
    found = decided(evidence(), rollout(hold=HOLD))
    assert (found.kind, found.sentence) == (Kind.HOLD, "paused by ann@example.com: lunch")


def test_an_approval_goes_on_at_once() -> None:
    early = evidence(30, judged_until=BEGUN + 2 * MINUTE)
    assert decided(early, rollout(approved=True)).kind is Kind.ADVANCE
    assert decided(early, rollout(approved=True, stage=1)).kind is Kind.PROMOTE


def test_a_pause_after_an_approval_is_the_last_word() -> None:
    """The approval would have lifted a pause that came before it."""
    assert decided(evidence(), rollout(approved=True, hold=HOLD)).kind is Kind.HOLD


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.DEPLOYING, Phase.PROMOTED, Phase.ROLLED_BACK])
def test_what_has_no_traffic_of_ours_is_not_judged(phase: Phase) -> None:
    assert decided(evidence(250, 31), rollout(phase, sentence="as it was")) == Decision(Kind.HOLD, "as it was")


# Patience


OUTCOMES = [("hold", Kind.HOLD), ("pause", Kind.PAUSE), ("roll_back", Kind.ROLL_BACK)]


@pytest.mark.parametrize(("then", "kind"), OUTCOMES)
def test_silence_is_borne_as_long_as_the_policy_says(then: str, kind: Kind) -> None:
    spec = policy({"no_data": {"after": "30m", "then": then}})
    borne = decided(silent_since(33), spec=spec)
    assert (borne.kind, borne.sentence) == (Kind.HOLD, "55m of 15m judged at 10 %; error_rate: no data")
    lost = decided(silent_since(34), spec=spec)
    assert (lost.kind, lost.sentence) == (kind, "no error_rate from the candidate since 11:26 UTC")


@pytest.mark.parametrize(("then", "kind"), OUTCOMES)
def test_a_failing_provider_is_borne_as_long_as_the_policy_says(then: str, kind: Kind) -> None:
    spec = policy({"provider_error": {"after": "30m", "then": then}})
    assert decided(unreadable_since(29), spec=spec).kind is Kind.HOLD
    lost = decided(unreadable_since(30), spec=spec)
    assert (lost.kind, lost.sentence) == (kind, "metrics could not be read for 30m: 503 from Monitoring")


@pytest.mark.parametrize(("then", "kind"), OUTCOMES)
def test_a_stage_has_as_long_as_the_policy_says(then: str, kind: Kind) -> None:
    spec = policy({"deadline": {"after": "1h", "then": then}})
    assert decided(evidence(30), spec=spec, later=-MINUTE).kind is Kind.HOLD
    lost = decided(evidence(30), spec=spec)
    assert (lost.kind, lost.sentence) == (kind, "the stage has not ended within 1h")
    assert decided(evidence(), spec=spec).kind is Kind.ADVANCE, "one that has passed goes on"


def test_a_patience_that_only_holds_does_not_hide_the_deadline() -> None:
    spec = policy({"no_data": {"after": "30m", "then": "hold"}, "deadline": {"after": "1h", "then": "pause"}})
    assert decided(silent_since(40), spec=spec, later=-MINUTE).kind is Kind.HOLD
    assert decided(silent_since(40), spec=spec).kind is Kind.PAUSE


def test_a_metric_that_nobody_writes_is_missed_although_requests_flow() -> None:
    """A misspelt name, a reporter that was forgotten: the silence of one check is not the noise of another."""
    spec = policy({"checks": [CHECK, TOKENS]})
    found = decided(evidence(), spec=spec)
    assert [c.verdict for c in found.checks] == [Verdict.PASS, Verdict.NO_DATA]
    assert (found.kind, found.sentence) == (Kind.PAUSE, "no tokens from the candidate since 11:00 UTC")


def test_what_was_borne_before_a_person_resumed_is_not_held_against_it_again() -> None:
    resumed = rollout(resumed_at=NOW - 20 * MINUTE)
    for seen in (silent_since(50), unreadable_since(50)):
        assert decided(seen).kind is Kind.PAUSE
        assert decided(seen, resumed).kind is Kind.HOLD
        assert decided(seen, resumed, later=15 * MINUTE).kind is Kind.PAUSE
    late = policy({"deadline": {"after": "1h", "then": "pause"}})
    assert decided(evidence(30), resumed, late).kind is Kind.HOLD


# The watch


def watched(**changes: Any) -> Rollout:
    """All the traffic since an hour, of a watch of one hour."""
    return rollout(Phase.WATCHING, **changes)


WATCH = {"standby": {"hold": "30m", "for": "1h"}}


def test_the_watch_ends_when_its_time_is_over_and_nothing_speaks_against_it() -> None:
    early = decided(evidence(), watched(), policy(WATCH), later=-MINUTE)
    assert (early.kind, early.sentence) == (Kind.HOLD, "watching until 2026-03-02 12:00 UTC")
    found = decided(evidence(), watched(), policy(WATCH))
    assert (found.kind, found.sentence) == (Kind.FINISH, "the watch of 1h passed without harm")


def test_harm_in_the_watch_rolls_back() -> None:
    assert decided(evidence(250, 31), watched(), policy(WATCH)).kind is Kind.ROLL_BACK


def test_the_watch_has_no_control_arm() -> None:
    """All the traffic is the candidate's; what the former stable served is of another day."""
    spec = policy(WATCH | {"checks": [CHECK | {"at_most": "20%", "margin": "1.5x"}]})
    seen = evidence(500, 60)
    assert decided(seen, rollout(), spec).kind is Kind.ROLL_BACK
    assert decided(seen, watched(), spec).kind is Kind.FINISH


@pytest.mark.parametrize(
    ("seen", "patient"),
    [(silent_since(20), 34), (unreadable_since(20), 30)],
    ids=["silence", "unreadable"],
)
def test_silence_does_not_end_a_watch_and_is_borne_from_its_end_on(seen: Evidence, patient: int) -> None:
    found = decided(seen, watched(), policy(WATCH))
    assert found.kind is Kind.HOLD
    assert found.sentence.startswith("the watch of 1h is over and cannot be judged: error_rate: ")
    assert decided(seen, watched(), policy(WATCH), later=patient * MINUTE - MINUTE).kind is Kind.HOLD
    assert decided(seen, watched(), policy(WATCH), later=patient * MINUTE).kind is Kind.PAUSE


def test_a_paused_watch_keeps_its_fallback() -> None:
    assert decided(evidence(), watched(hold=HOLD), policy(WATCH)).kind is Kind.HOLD


def test_a_watch_without_checks_ends_by_the_clock() -> None:
    assert decided(None, watched(), policy(WATCH | {"checks": []})).kind is Kind.FINISH
