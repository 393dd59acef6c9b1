"""The list filter, ordering and paging (AIP-160 as Vertex AI's list methods document it)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertex_emulator.errors import ApiError
from vertex_emulator.filters import Fields, Value, compile_filter, order, page

NAMES = ("display_name", "state", "labels", "create_time", "done")
JOB: dict[str, Value] = {
    "display_name": "train-arr-coc",
    "state": "JOB_STATE_SUCCEEDED",
    "labels": {"model": "arr-coc", "team": "ml"},
    "create_time": datetime(2026, 3, 1, 12, tzinfo=UTC),
    "done": True,
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        'display_name="train-arr-coc"',
        "displayName=train-arr-coc",
        'display_name:"train-*"',
        "state!=JOB_STATE_FAILED",
        "labels.model=arr-coc",
        'labels.model="arr-coc" AND labels.team:*',
        "labels:team",
        "labels.model!=other",
        'create_time>"2026-03-01T11:59:59Z"',
        'create_time<="2026-03-01T12:00:00Z" AND create_time>="2026-03-01T13:00:00+01:00"',
        "state=JOB_STATE_FAILED OR labels.team=ml",
        "NOT state=JOB_STATE_FAILED",
        "(state=JOB_STATE_FAILED OR done=true) AND NOT (labels.team=other)",
        "done=true labels.team=ml",
    ],
)
def test_a_filter_that_holds(text: str) -> None:
    assert compile_filter(text, NAMES)(JOB.get)


@pytest.mark.parametrize(
    "text",
    [
        'display_name="train"',
        "labels.absent:*",
        "labels:absent",
        "labels.model=other",
        'create_time<"2026-03-01T12:00:00Z"',
        "state=JOB_STATE_FAILED AND labels.team=ml",
        "done=false",
        "NOT done=true",
        'display_name:"x*"',
    ],
)
def test_a_filter_that_does_not_hold(text: str) -> None:
    assert not compile_filter(text, NAMES)(JOB.get)


@pytest.mark.parametrize(
    "text",
    [
        *("display_name", "display_name=", "=x", "(done=true", "done=true)", "AND done=true", "unknown=1", 'a"'),
        *("state>x", 'create_time>"yesterday"', "labels=x", "labels.k>1", "NOT", "done=true OR"),
    ],
)
def test_a_filter_that_cannot_be_read_is_an_invalid_argument(text: str) -> None:
    with pytest.raises(ApiError, match="Invalid filter"):
        compile_filter(text, NAMES)


def _fields(item: str) -> Fields:
    return {"display_name": item}.get


def test_items_are_ordered_both_ways_and_unknown_fields_refused() -> None:
    assert order(["b", "a", "c"], "display_name", _fields, NAMES) == ["a", "b", "c"]
    assert order(["b", "a", "c"], "displayName desc", _fields, NAMES) == ["c", "b", "a"]
    assert order(["b", "a"], "", _fields, NAMES) == ["b", "a"]
    for wrong in ("other", "display_name sideways", "display_name desc desc"):
        with pytest.raises(ApiError, match="order_by"):
            order(["a"], wrong, _fields, NAMES)


@given(count=st.integers(0, 40), size=st.integers(1, 45))
def test_pages_follow_each_other_without_gap_or_repetition(count: int, size: int) -> None:
    seen: list[int] = []
    token = ""
    while True:
        shown, token = page(range(count), size, token)
        seen += shown
        if not token:
            break
    assert seen == list(range(count))


def test_a_foreign_page_token_and_a_negative_size_are_refused() -> None:
    for size, token in ((0, "***"), (-1, "")):
        with pytest.raises(ApiError):
            page([1], size, token)
