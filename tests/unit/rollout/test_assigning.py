"""Whose a key is: each place as often, no key moves but those of an arm that is dropped, and the documented lines agree with ours."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rollout.assigning import (
    POSITIONS,
    as_group,
    digest_of,
    place_of,
    position_of,
    read_slots,
    slot_at,
    told,
    write_slots,
)
from shared.rollout.labels import STICKY
from shared.rollout.observed import Assignment, DeployedModel, Endpoint, Slot, TargetRef
from tests.documented import documented_object, endpoint_of

EXPERIMENT = "churn-v3-0a1b2c"
MAIN = TargetRef("p", "r", "serving")
CHI_SQUARE = {99: 148.23, 24: 51.18}
"""By degrees of freedom: what one in a thousand fair dealings exceeds."""
LABELS = {"vr-model": "churn", "vr-rollout": EXPERIMENT, "vr-stable": "10", "vr-ttl": "30"}

shares = st.lists(st.integers(1, 30), min_size=1, max_size=5).filter(lambda found: sum(found) <= 90)
keys = st.lists(st.text(max_size=40), max_size=30)


def slots_of(widths: list[int]) -> tuple[Slot, ...]:
    return tuple(Slot(f"arm{n}", str(100 + n), f"arm-{n}", width) for n, width in enumerate(widths))


def arm_of(key: str, slots: tuple[Slot, ...]) -> str:
    """Which endpoint a client asks by the documented lines."""
    return endpoint_of()(key, told(MAIN, EXPERIMENT, slots, LABELS)).rpartition("/")[2]


@pytest.mark.parametrize("kind", ["user-{}", "{:x}", "{}@example.com"])
def test_every_place_is_as_probable_as_the_others(kind: str) -> None:
    number = 100_000
    seen = Counter(place_of(digest_of(EXPERIMENT, kind.format(n))) for n in range(number))
    expected = number / 100
    statistic = sum((seen[place] - expected) ** 2 / expected for place in range(100))
    assert set(seen) == set(range(100))
    assert statistic < CHI_SQUARE[99], "fixed keys: this never changes"


def test_two_experiments_deal_the_same_keys_independently() -> None:
    number = 40_000
    other = EXPERIMENT.replace("v3", "v4")
    pairs = Counter(
        (place_of(digest_of(EXPERIMENT, f"u{n}")) // 20, place_of(digest_of(other, f"u{n}")) // 20)
        for n in range(number)
    )
    expected = number / 25
    assert sum((pairs[i, j] - expected) ** 2 / expected for i in range(5) for j in range(5)) < CHI_SQUARE[24]


def test_where_a_key_is_remembered_says_nothing_of_its_arm() -> None:
    number = 40_000
    digests = [digest_of(EXPERIMENT, f"u{n}") for n in range(number)]
    pairs = Counter((place_of(one) // 20, position_of(one) * 5 // POSITIONS) for one in digests)
    expected = number / 25
    assert sum((pairs[i, j] - expected) ** 2 / expected for i in range(5) for j in range(5)) < CHI_SQUARE[24]


@given(shares, keys, st.data())
def test_when_arms_are_dropped_their_keys_go_to_the_control_and_no_other_key_moves(
    widths: list[int], some: list[str], data: st.DataObject
) -> None:
    slots = slots_of(widths)
    out = data.draw(st.sets(st.sampled_from([slot.endpoint for slot in slots])))
    after = tuple(replace(slot, is_in=slot.endpoint not in out) for slot in slots)
    for key in some:
        before, now = arm_of(key, slots), arm_of(key, after)
        assert now == (MAIN.endpoint if before in out else before)


@given(shares, keys)
def test_the_documented_lines_agree_with_ours(widths: list[int], some: list[str]) -> None:
    slots = slots_of(widths)
    for key in some:
        slot = slot_at(place_of(digest_of(EXPERIMENT, key)), widths)
        assert arm_of(key, slots) == (MAIN.endpoint if slot is None else slots[slot].endpoint)


@given(shares)
def test_every_slot_is_as_wide_as_its_share(widths: list[int]) -> None:
    seen = Counter(slot_at(place, widths) for place in range(100))
    assert seen == Counter({n: width for n, width in enumerate(widths)} | {None: 100 - sum(widths)})


def test_the_documented_object_has_the_keys_that_are_written() -> None:
    shown = documented_object()
    written = told(MAIN, EXPERIMENT, slots_of([20, 20]), LABELS)
    assert list(shown) == list(written)
    assert [list(arm) for arm in shown["arms"]] == [list(arm) for arm in written["arms"]]


@given(shares, st.data())
def test_the_split_that_is_seen_sums_to_a_hundred(widths: list[int], data: st.DataObject) -> None:
    slots = tuple(replace(slot, is_in=data.draw(st.booleans())) for slot in slots_of(widths))
    own = data.draw(st.sampled_from([{"10": 100}, {"10": 99, "11": 1}, {"10": 50, "11": 50}]))
    main = Endpoint(MAIN, "e", {STICKY: EXPERIMENT, "team": "a"}, own, (DeployedModel("10", "churn", "1", 1, 1),))
    seen = as_group(main, (), Assignment(7, EXPERIMENT, slots, LABELS))
    assert sum(seen.split.values()) == 100
    assert all(seen.share(slot.deployed_id) == (slot.share if slot.is_in else 0) for slot in slots)
    assert seen.labels == LABELS | {"team": "a"}


def test_an_object_of_another_experiment_says_nothing() -> None:
    main = Endpoint(MAIN, "e", {STICKY: "churn-v9-0a1b2c"}, {"10": 100})
    seen = as_group(main, (), Assignment(7, EXPERIMENT, slots_of([20]), LABELS))
    assert dict(seen.split) == {"10": 100}
    assert seen.labels == main.labels


@pytest.mark.parametrize(
    "text",
    ["", "no json", "{}", "[1]", '[{"arm": "a"}]', '[{"arm":"a","deployed_id":"1","endpoint":"e","share":"many"}]'],
)
def test_slots_that_somebody_has_spoilt_read_as_none(text: str) -> None:
    assert read_slots(text) == ()


def test_slots_are_read_as_they_were_written() -> None:
    slots = (*slots_of([20, 30])[:1], replace(slots_of([20, 30])[1], is_in=False))
    assert read_slots(write_slots(slots)) == slots
