"""Traffic arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rollout.observed import DeployedModel, TargetRef
from shared.rollout.split import canary_split, format_split, give_to, is_valid_split, same_split
from tests.unit.rollout.worlds import REF, on_trial


@given(st.integers(0, 100))
def test_a_canary_leaves_the_rest_to_the_stable_and_lists_nobody_with_0(share: int) -> None:
    split = canary_split("s", "c", share)
    assert is_valid_split(split)
    assert split.get("c", 0) == share
    assert 0 not in split.values()


def test_the_first_model_takes_all_the_traffic_or_none() -> None:
    assert canary_split("", "c", 100) == {"c": 100}
    with pytest.raises(ValueError, match="without a stable the first model takes all"):
        canary_split("", "c", 10)


@pytest.mark.parametrize("share", [-1, 101])
def test_a_share_beyond_the_whole_is_refused(share: int) -> None:
    with pytest.raises(ValueError, match="0 to 100 percent"):
        canary_split("s", "c", share)


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 50)))
def test_giving_moves_only_what_the_loser_had(split: dict[str, int]) -> None:
    given_to = give_to(split, "a", "b")
    assert sum(given_to.values()) == sum(split.values())
    assert "a" not in given_to
    assert {k: v for k, v in given_to.items() if k in "cd"} == {k: v for k, v in split.items() if v and k in "cd"}


def test_a_split_is_empty_or_sums_to_100() -> None:
    assert is_valid_split({})
    assert is_valid_split({"a": 100, "b": 0})
    assert not is_valid_split({"a": 99})
    assert not is_valid_split({"a": 110, "b": -10})


def test_an_entry_of_0_is_no_entry() -> None:
    assert same_split({"a": 100, "b": 0}, {"a": 100})
    assert not same_split({"a": 90, "b": 10}, {"a": 100})


def test_a_split_is_written_largest_first() -> None:
    assert format_split({"1": 10, "2": 90, "3": 0}, {"2": "v2"}) == "v2 90 %, 1 10 %"
    assert format_split({}) == "no traffic"


def test_a_target_is_written_and_read_by_its_ids() -> None:
    assert TargetRef.parse(str(REF)) == REF


def test_replicas_that_vertex_does_not_report_are_taken_to_be_the_minimum() -> None:
    assert DeployedModel("1", "churn", "1", 2, 5).present_replicas == 2
    assert DeployedModel("1", "churn", "1", 2, 5, available_replicas=4).present_replicas == 4


def test_a_model_that_is_still_deploying_is_not_seen() -> None:
    seen = on_trial(10)
    assert seen.find("4000000000") is None
    assert seen.find(None) is None
    assert seen.share(None) == 0
