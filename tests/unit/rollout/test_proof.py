"""Trials judged by evidence, from minutes to decisions; seeds are fixed, so what is counted here is counted again tomorrow."""

from __future__ import annotations

import random
import statistics
from datetime import timedelta
from typing import Any

import pytest

from local.draws import ORDINARY, Behaviour
from shared.policy.schema import Policy
from shared.rollout.decide import Kind, judge
from shared.rollout.evidence import EVIDENCE, Evidence, Proving, gather, looked_until
from shared.rollout.observed import ArmMinute, Minute
from shared.rollout.proof import Proof, update_proof
from shared.rollout.record import Phase, Rollout, Verdict
from tests.unit.rollout.trials import (
    BEGAN,
    CANDIDATE,
    STABLE,
    begin_trial,
    draw_minute,
    evidence_policy,
    play,
)

ERRORS = {"metric": "error_rate", "at_most": "20%", "margin": "1.5x"}
LATENCY = {"metric": "latency_ms", "p99_at_most": 5000, "margin": "1.2x"}
TOKENS = {"metric": "tokens", "share_above": {350: "5%"}, "share_below": {80: "10%"}}
POLICY = evidence_policy([ERRORS, LATENCY, TOKENS])
RUNS = 24


def test_an_equal_candidate_is_promoted_and_never_taken_back() -> None:
    ends = [play(POLICY, seed) for seed in range(RUNS)]
    assert {end.kind for end in ends} == {Kind.PROMOTE}
    assert statistics.median(end.minutes for end in ends) <= 100


@pytest.mark.parametrize(
    ("candidate", "culprit", "within"),
    [
        (Behaviour(errors=0.05), "error_rate", 12),
        (Behaviour(slow=1.3), "latency_ms", 12),
        (Behaviour(tokens=1.6), "tokens", 12),
    ],
    ids=["errors", "latency", "tokens"],
)
def test_a_bad_candidate_is_taken_back_at_its_first_share_with_the_culprit_named(
    candidate: Behaviour, culprit: str, within: int
) -> None:
    ends = [play(POLICY, seed, candidate=candidate) for seed in range(RUNS)]
    assert {end.kind for end in ends} == {Kind.ROLL_BACK}
    assert statistics.median(end.minutes for end in ends) <= within
    assert all(culprit in end.last.sentence and "evidence of harm" in end.last.sentence for end in ends)


def test_a_candidate_at_the_margin_throughout_is_not_promoted() -> None:
    policy = evidence_policy([{"metric": "error_rate", "margin": "1.5x", "at_most": "90%", "floor": 0}])
    ends = [
        play(policy, seed, candidate=Behaviour(errors=0.15), stable=Behaviour(errors=0.1), minutes=120)
        for seed in range(RUNS)
    ]
    assert sum(end.kind is Kind.PROMOTE for end in ends) <= 3


def test_an_outage_of_both_arms_takes_nobody_back() -> None:
    down = Behaviour(errors=0.5)
    ends = [play(POLICY, seed, candidate=down, stable=down, minutes=60) for seed in range(RUNS)]
    assert Kind.ROLL_BACK not in {end.kind for end in ends}


def test_a_limit_that_the_stable_breaks_too_holds_and_takes_nobody_back() -> None:
    policy = evidence_policy([{"metric": "error_rate", "at_most": "1%"}])
    both = Behaviour(errors=0.04)
    ends = [play(policy, seed, candidate=both, stable=both, minutes=90) for seed in range(RUNS)]
    assert {end.kind for end in ends} == {None}


def test_a_limit_that_only_the_candidate_breaks_takes_it_back() -> None:
    policy = evidence_policy([{"metric": "error_rate", "at_most": "1%"}])
    end = play(policy, 1, candidate=Behaviour(errors=0.06), stable=Behaviour(errors=0.002))
    assert end.kind is Kind.ROLL_BACK


def test_requests_that_do_not_follow_the_split_hold_the_rollout() -> None:
    end = play(evidence_policy([ERRORS]), 3, real_share=0.16, minutes=150)
    assert end.kind is None
    assert "do not follow the split" in end.last.sentence


def test_a_mean_beside_the_stable_is_judged_in_both_directions() -> None:
    policy = evidence_policy([{"metric": "tokens", "margin": "1.15x", "share_above": {1000: "5%"}}])
    for tokens in (0.6, 1.5):
        end = play(policy, 5, candidate=Behaviour(tokens=tokens))
        assert end.kind is Kind.ROLL_BACK, tokens
    assert play(policy, 5).kind is Kind.PROMOTE


@pytest.mark.parametrize(
    ("limit", "tokens", "end"),
    [({"mean_at_most": 250}, 1.6, Kind.ROLL_BACK), ({"mean_at_least": 150}, 0.5, Kind.ROLL_BACK)],
)
def test_a_limit_of_the_mean_that_only_the_candidate_breaks_takes_it_back(
    limit: dict[str, int], tokens: float, end: Kind
) -> None:
    policy = evidence_policy([{"metric": "tokens", **limit}])
    assert play(policy, 1, candidate=Behaviour(tokens=tokens)).kind is end
    assert play(policy, 2).kind is Kind.PROMOTE


def test_a_mean_at_its_limit_is_neither_taken_back_nor_promoted() -> None:
    policy = evidence_policy([{"metric": "tokens", "mean_at_most": 202}])
    ends = [play(policy, seed, minutes=60) for seed in range(RUNS)]
    assert sum(end.kind is not None for end in ends) <= RUNS / 4


def test_a_minute_counts_once_in_whatever_order_and_however_often_it_is_delivered() -> None:
    generator = random.Random(7)
    minutes = [
        draw_minute(generator, BEGAN + timedelta(minutes=2 + k), 10, 0.1, Behaviour(), Behaviour(errors=0.03))
        for k in range(12)
    ]
    proving, metrics = Proving(POLICY.rollout, STABLE, 10), POLICY.rollout.metrics
    at_once = gather(None, "r", BEGAN, minutes, CANDIDATE, metrics, proving)
    shuffled = gather(None, "r", BEGAN, random.Random(1).sample(minutes * 2, 24), CANDIDATE, metrics, proving)
    one_by_one = None
    for minute in minutes:
        for _ in range(2):
            one_by_one = gather(one_by_one, "r", BEGAN, [minute], CANDIDATE, metrics, proving)
    assert at_once == shuffled == one_by_one


def test_what_was_proven_outlives_the_stage_and_is_stored_in_some_kilobytes() -> None:
    end = play(POLICY, 2)
    stored = EVIDENCE.dump_json(end.evidence)
    assert len(stored) < 24_000
    assert EVIDENCE.validate_json(stored) == end.evidence
    later = gather(end.evidence, end.evidence.rollout, BEGAN + timedelta(days=1), [], CANDIDATE, POLICY.rollout.metrics)
    assert later.proof == end.evidence.proof and later.newer == {}


def test_another_stable_begins_anew() -> None:
    before = Evidence("r", BEGAN, proof=Proof(control="another"))
    after = gather(before, "r", BEGAN, [], CANDIDATE, POLICY.rollout.metrics, Proving(POLICY.rollout, STABLE, 10))
    assert after.proof == Proof(control=STABLE)


def test_a_minute_with_one_arm_only_says_nothing() -> None:
    alone = Minute(BEGAN + timedelta(minutes=3), {CANDIDATE: ArmMinute(100, 90)})
    after = gather(None, "r", BEGAN, [alone], CANDIDATE, POLICY.rollout.metrics, Proving(POLICY.rollout, STABLE, 10))
    assert after.proof == Proof(control=STABLE)


def test_in_a_watch_only_a_limit_can_be_broken_and_no_stable_is_needed() -> None:
    rollout = begin_trial().moved(BEGAN, phase=Phase.WATCHING, stage=2, stage_since=BEGAN)
    evidence: Evidence | None = None
    generator = random.Random(11)
    for k in range(15):
        at = BEGAN + timedelta(minutes=2 + k)
        minute = draw_minute(generator, at, 10, 0.5, Behaviour(), Behaviour(errors=0.4))
        alone = Minute(at, {CANDIDATE: minute.arms[CANDIDATE]})
        evidence = looked_until(
            gather(
                evidence,
                rollout.id,
                BEGAN,
                [alone],
                CANDIDATE,
                POLICY.rollout.metrics,
                Proving(POLICY.rollout, "", 100),
            ),
            at,
        )
    verdicts = {c.metric: c.verdict for c in judge(POLICY, rollout, evidence)}
    assert verdicts["error_rate"] is Verdict.FAIL
    assert verdicts["latency_ms"] is not Verdict.FAIL


def test_a_check_that_decides_nothing_adds_nothing_to_the_evidence_of_harm() -> None:
    muted = evidence_policy([ERRORS, {**LATENCY, "gating": False}])
    assert play(muted, 1, candidate=Behaviour(slow=2.0), minutes=120).kind is Kind.PROMOTE


def test_a_first_minute_that_says_nothing_of_a_metric_fixes_nothing_of_it() -> None:
    quiet = ArmMinute(10, 0)
    proof = update_proof(Proof(control=STABLE), POLICY.rollout, quiet, quiet, 10)
    assert set(proof.frozen) == {"0"}


@pytest.mark.parametrize(
    "check",
    [{"metric": "error_rate", "margin": "1.5x"}, {**ERRORS, "floor": 0}, LATENCY, {**TOKENS, "margin": "1.2x"}],
    ids=["a margin alone", "errors with a limit", "latency with a limit", "a mean with limits"],
)
def test_a_watch_waits_for_nothing_that_only_a_stable_could_show(check: dict[str, Any]) -> None:
    policy = evidence_policy([check, TOKENS])
    assert {c.verdict for c in judge(policy, *watch(policy, 20))} == {Verdict.PASS}


def test_a_watch_still_waits_for_evidence_about_its_limits() -> None:
    policy = evidence_policy([{"metric": "error_rate", "margin": "1.5x", "at_most": "1.05%"}])
    (check,) = judge(policy, *watch(policy, 20))
    assert check.verdict is Verdict.INCONCLUSIVE and "evidence of no harm" in check.sentence


def watch(policy: Policy, minutes: int) -> tuple[Rollout, Evidence]:
    """An ordinary version that has all the traffic, and what was gathered of it."""
    generator = random.Random(9)
    times = [BEGAN + timedelta(minutes=2 + k) for k in range(minutes)]
    seen = [draw_minute(generator, at, 10, 0.9, ORDINARY, ORDINARY) for at in times]
    alone = [Minute(minute.at, {CANDIDATE: minute.arms[CANDIDATE]}) for minute in seen]
    proving = Proving(policy.rollout, "", 100)
    evidence = gather(None, begin_trial().id, BEGAN, alone, CANDIDATE, policy.rollout.metrics, proving)
    return begin_trial().moved(BEGAN, phase=Phase.WATCHING, stage=2), evidence
