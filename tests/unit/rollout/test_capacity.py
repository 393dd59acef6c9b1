"""Capacity before share."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy.schema import Machine
from shared.rollout.capacity import ReplicaChange, is_strong_enough, plan_candidate, plan_pin
from tests.unit.rollout.worlds import CANDIDATE, STABLE, deployed

MACHINE = Machine.model_validate({"type": "n1-standard-2", "replicas": {"min": 1, "max": 10}})


@pytest.mark.parametrize(
    ("carrying", "share", "needed"), [(4, 10, None), (4, 25, None), (4, 26, 2), (4, 50, 2), (4, 100, 4), (7, 51, 4)]
)
def test_the_candidate_gets_its_part_of_what_the_stable_has_now(carrying: int, share: int, needed: int | None) -> None:
    found = plan_candidate(deployed(CANDIDATE, "2"), deployed(STABLE, "1", 2, carrying), share, MACHINE)
    assert (found.minimum if found else None) == needed
    if found:
        assert found.why == f"{needed} replicas for {share} % of what {carrying} carry now"


def test_it_gets_no_more_than_the_policy_allows_and_keeps_what_it_has() -> None:
    small = Machine.model_validate({"type": "n1-standard-2", "replicas": {"min": 1, "max": 5}})
    found = plan_candidate(deployed(CANDIDATE, "2"), deployed(STABLE, "1", 8, 8), 100, small)
    assert found == ReplicaChange(CANDIDATE, 5, 5, 1, "5 replicas for 100 % of what 8 carry now")
    assert plan_candidate(deployed(CANDIDATE, "2", 5), deployed(STABLE, "1", 8, 8), 100, small) is None


def test_the_first_of_its_model_has_nobody_to_be_measured_by() -> None:
    assert plan_candidate(deployed(CANDIDATE, "2"), None, 100, MACHINE) is None


@given(st.integers(1, 10), st.integers(1, 100))
def test_what_was_asked_for_is_asked_for_once(carrying: int, share: int) -> None:
    stable = deployed(STABLE, "1", 1, carrying)
    found = plan_candidate(deployed(CANDIDATE, "2"), stable, share, MACHINE)
    if found:
        assert math.ceil(carrying * share / 100) == found.minimum <= found.maximum
        assert plan_candidate(deployed(CANDIDATE, "2", found.minimum), stable, share, MACHINE) is None


def test_the_stable_is_pinned_once_at_what_it_has_now() -> None:
    found = plan_pin(deployed(STABLE, "1", 1, 4), {})
    assert found is not None
    assert (found.minimum, found.maximum, found.before) == (4, 5, 1)
    assert "so that a rollback is no outage" in found.why
    assert plan_pin(deployed(STABLE, "1", 3, 4), {STABLE: 1}) is None, "a trial does not chase the autoscaler"
    assert plan_pin(deployed(STABLE, "1", 1, 4), {STABLE: 1}) == found, (
        "what was asked for and failed is asked for again"
    )
    assert plan_pin(deployed(STABLE, "1", 4, 4), {}) is None
    assert plan_pin(deployed(STABLE, "1", 2), {}) is None, "what is not known is taken to be the minimum"


def test_replicas_that_vertex_does_not_report_count_as_there() -> None:
    assert is_strong_enough(deployed(CANDIDATE, "2", 3))
    assert is_strong_enough(deployed(CANDIDATE, "2", 3, 3))
    assert not is_strong_enough(deployed(CANDIDATE, "2", 3, 2))
