"""How long is waited after the first, the second and the tenth refusal."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.rollout.back_off import LONGEST, back_off

FIRST = timedelta(minutes=2)


@given(st.text(max_size=20), st.integers(1, 1000))
def test_each_wait_is_between_half_and_all_of_twice_the_one_before_and_never_longer_than_an_hour(
    rollout: str, tries: int
) -> None:
    full = min(FIRST * 2 ** min(tries - 1, 16), LONGEST)
    assert full / 2 <= back_off(rollout, tries, FIRST) <= full
    assert back_off(rollout, tries, FIRST) == back_off(rollout, tries, FIRST), "the same question has the same answer"


def test_those_that_were_refused_together_do_not_come_again_together() -> None:
    seconds = [back_off(f"churn-v{n}", 1, FIRST).total_seconds() for n in range(100)]
    assert {int(s // 10) for s in seconds} == set(range(6, 12)), "spread over the whole minute between one and two"
