"""What has been measured: each minute once, small however long a stage lasts."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.policy.schema import Metrics
from shared.rollout.evidence import EVIDENCE, Evidence, could_not_look, gather, looked_until, merge_arms
from shared.rollout.observed import ArmMinute, Histogram, Minute
from tests.unit.rollout.worlds import CANDIDATE, MINUTE, NOW, STABLE, TRIAL, latencies, minute, served

SPEC = Metrics()
"""A window of ten minutes, of which the first after the shift is dropped."""
FIRST = NOW + 2 * MINUTE
"""The end of the first whole minute after the shift has settled."""


def gathered(minutes: list[Minute], before: Evidence | None = None, since: datetime = NOW) -> Evidence:
    return gather(before, TRIAL, since, minutes, CANDIDATE, SPEC)


def steady(count: int, first: datetime = FIRST) -> list[Minute]:
    """A minute is told by its number of requests: 1, 2, 4, ... so that a sum tells which were counted."""
    return [minute(first + n * MINUTE, served(2**n), served(2**n)) for n in range(count)]


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10), st.integers()), max_size=8))
def test_a_minute_is_counted_once_however_often_and_in_whatever_pieces_it_comes(
    ticks: list[tuple[int, int, int]],
) -> None:
    """A tick reads on from where the last one ended, or from earlier; its minutes come in any order."""
    minutes = steady(10)
    evidence: Evidence | None = None
    read = 0
    for back, further, seed in [*ticks, (3, 10, 0)]:
        batch = minutes[max(read - back, 0) : read + further]
        random.Random(seed).shuffle(batch)
        evidence = gathered(batch, evidence)
        read = min(read + further, 10)
        assert evidence.arm(CANDIDATE).requests == 2**read - 1
        assert evidence.arm(STABLE).requests == 2**read - 1


def test_a_repeated_or_overlapping_tick_changes_nothing() -> None:
    minutes = steady(8)
    once = gathered(minutes)
    assert gathered(minutes, once) == once
    assert gathered(minutes[5:], once) == once
    assert gathered(minutes, gathered(minutes[:5])) == once


def test_minutes_before_the_shift_has_settled_are_dropped() -> None:
    """A minute that began before has cold caches in it, or two splits."""
    minutes = [minute(NOW + n * MINUTE, served(2**n)) for n in range(5)]
    assert gathered(minutes).arm(CANDIDATE).requests == 4 + 8 + 16


def test_another_stage_starts_anew() -> None:
    before = gathered(steady(5))
    later = NOW + 30 * MINUTE
    after = gathered([minute(later + 2 * MINUTE, served(1))], before, since=later)
    assert (after.stage_since, after.arm(CANDIDATE).requests) == (later, 1)


def test_what_is_judged_is_the_last_one_to_two_windows() -> None:
    minutes = [minute(FIRST + n * MINUTE, served(1)) for n in range(200)]
    evidence = None
    for one in minutes:
        evidence = gathered([one], evidence)
        seen = evidence.arm(CANDIDATE).requests
        assert seen == minutes.index(one) + 1 or 10 < seen <= 20


def test_after_a_silence_what_was_before_it_is_forgotten() -> None:
    before = gathered([minute(FIRST, served(7))])
    assert gathered([minute(FIRST + 15 * MINUTE, served(1))], before).arm(CANDIDATE).requests == 8
    assert gathered([minute(FIRST + 40 * MINUTE, served(1))], before).arm(CANDIDATE).requests == 1


def test_the_last_word_of_each_metric_is_remembered() -> None:
    """Requests may flow while a metric of the user's own is silent."""
    both = served(5, tokens=latencies(12))
    evidence = gathered(
        [minute(FIRST, both), minute(FIRST + MINUTE, served(5)), minute(FIRST + 2 * MINUTE, None, served(5))]
    )
    assert evidence.heard_of("tokens") == FIRST
    assert evidence.heard_of("error_rate") == FIRST + MINUTE
    assert evidence.last_data == FIRST + MINUTE
    assert evidence.heard_of("never_written") == NOW


def test_evidence_of_the_version_before_told_metrics_not_apart() -> None:
    assert Evidence(TRIAL, NOW, last_data=FIRST).heard_of("tokens") == FIRST
    assert Evidence(TRIAL, NOW).heard_of("tokens") == NOW


def test_an_arm_that_served_nothing_says_nothing() -> None:
    evidence = gathered([minute(FIRST, ArmMinute(), served(5)), minute(FIRST + MINUTE, served(tokens=Histogram()))])
    assert evidence.last_data is None
    assert evidence.arm(CANDIDATE).requests == 0
    assert evidence.arm("4000000000") == ArmMinute()


def test_what_was_looked_at_in_vain_is_not_looked_at_again() -> None:
    looked = looked_until(Evidence(TRIAL, NOW), FIRST)
    assert looked.judged_until == FIRST
    assert looked_until(looked, FIRST - MINUTE) == looked
    assert gathered([minute(FIRST, served(5))], looked) == looked


def test_a_failing_provider_teaches_nothing_and_its_beginning_is_kept() -> None:
    failing = could_not_look(gathered(steady(2)), NOW + 5 * MINUTE, "503")
    again = could_not_look(failing, NOW + 9 * MINUTE, "504")
    assert (again.error_since, again.error) == (NOW + 5 * MINUTE, "504")
    assert again.judged_until == FIRST + MINUTE
    assert looked_until(again, FIRST + 9 * MINUTE).error_since is None
    assert gathered(steady(4), again).error_since is None


MINUTES = st.builds(
    served,
    st.integers(0, 50),
    st.integers(0, 5),
    latency_ms=st.lists(st.integers(0, 700).map(float), max_size=5).map(lambda v: latencies(*v)),
)


@given(MINUTES, MINUTES, MINUTES)
def test_merging_arms_is_associative(one: ArmMinute, two: ArmMinute, three: ArmMinute) -> None:
    left, right = merge_arms([merge_arms([one, two]), three]), merge_arms([one, merge_arms([two, three])])
    assert (left.requests, left.errors) == (right.requests, right.errors)
    assert left.values["latency_ms"].counts == right.values["latency_ms"].counts
    assert left.values["latency_ms"].mean == pytest.approx(right.values["latency_ms"].mean)


@given(st.lists(MINUTES, min_size=1, max_size=30), st.integers(0, 2**32))
@settings(max_examples=30)
def test_evidence_is_read_back_as_it_was_written(arms: list[ArmMinute], seed: int) -> None:
    gaps = random.Random(seed)
    at, minutes = FIRST, []
    for arm in arms:
        minutes.append(minute(at, arm, arm if gaps.random() < 0.5 else None))
        at += timedelta(minutes=gaps.choice([1, 1, 1, 7, 30]))
    evidence = could_not_look(gathered(minutes), at, "quota")
    assert EVIDENCE.validate_json(EVIDENCE.dump_json(evidence)) == evidence


def test_it_stays_small_however_long_a_stage_lasts() -> None:
    """Three metrics of sixty buckets for two arms, in two generations: up to a hundred rollouts share a document of 1 MiB."""
    edges = tuple(1.3**n for n in range(60))
    busy = Histogram(edges, tuple(1_000 + n for n in range(61)), 123.456789, 98765.4321)
    arm = served(100_000, 1_234, latency_ms=busy, tokens_per_image=busy, queue_ms=busy)
    evidence = gathered([minute(FIRST + n * MINUTE, arm, arm) for n in range(100)])
    assert {CANDIDATE, STABLE} == set(evidence.newer) == set(evidence.older)
    assert len(EVIDENCE.dump_json(evidence)) < 16_000


def test_edges_are_shortened_where_that_tells_them_apart_still() -> None:
    near = (1_000_000.1, 1_000_000.2)
    seen = served(3, tokens=Histogram(near, (0, 3, 0), 1e6), latency_ms=Histogram((1 / 3, 2 / 3), (0, 3, 0), 0.5))
    found = gathered([minute(FIRST, seen)]).arm(CANDIDATE)
    assert (found.values["tokens"].edges, found.values["latency_ms"].edges) == (near, (0.333333, 0.666667))
