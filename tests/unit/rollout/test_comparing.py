"""Two answers, held beside each other in each way that a policy can name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy.shadow import SAME_SCHEMA, Comparison
from shared.rollout.comparing import compare_answers, does_agree, have_same_schema, select

HITS = [{"id": 1234567, "score": 2.0}, {"id": 9, "score": 1.0}]
PREDICTION: dict[str, Any] = {"label": "cat", "scores": {"cat": 0.7, "dog": 0.3}, "hits": HITS}


def comparison(kind: str, path: str = "$", **options: Any) -> Comparison:
    return Comparison.model_validate({"name": "same", "kind": kind, "path": path, "at_least": 0.9, **options})


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [PREDICTION]),
        ("$.label", ["cat"]),
        ("$['label']", ["cat"]),
        ("$.hits[0].id", [1234567]),
        ("$.hits[*].score", [2.0, 1.0]),
        ("$.scores[*]", [0.7, 0.3]),
        ("$.hits[7].id", []),
        ("$.label.deeper", []),
    ],
)
def test_a_path_selects_what_is_there_in_order(path: str, found: list[Any]) -> None:
    assert select(path, PREDICTION) == found


@pytest.mark.parametrize(
    ("kind", "options", "stable", "candidate", "agrees"),
    [
        ("exact", {}, {"a": [1, "x", None]}, {"a": [1.0, "x", None]}, True),
        ("exact", {}, {"a": [1, "x"]}, {"a": [1, "y"]}, False),
        ("exact", {}, 0.1234567, 0.1234568, True),
        ("exact", {}, 0.12345, 0.12346, False),
        ("exact", {}, True, 1, False),
        ("exact", {}, float("nan"), float("nan"), True),
        ("numeric", {"tolerance": 0.05}, [1.0, 2.0], [1.04, 1.96], True),
        ("numeric", {"tolerance": 0.05}, [1.0, 2.0], [1.06, 2.0], False),
        ("numeric", {"relative": 0.1}, 200.0, 215.0, True),
        ("numeric", {"relative": 0.1}, 200.0, 225.0, False),
        ("numeric", {"tolerance": 0.05}, {"n": 1.0, "s": "a"}, {"n": 1.0, "s": "b"}, False),
        ("label", {}, "cat", "cat", True),
        ("label", {}, {"cat": 0.7, "dog": 0.3}, {"cat": 0.51, "dog": 0.49}, True),
        ("label", {}, {"cat": 0.7, "dog": 0.3}, {"cat": 0.4, "dog": 0.6}, False),
        ("label", {}, [0.1, 0.9], [0.4, 0.6], True),
        ("label", {}, 1234567, 1234567.0, True),
        ("label", {}, 1234567, 1234568, False),
        ("ranking", {"top": 3}, ["a", "b", "c", "d"], ["a", "c", "b", "x"], True),
        ("ranking", {"top": 3}, ["a", "b", "c"], ["b", "a", "c"], False),
        ("ranking", {"top": 4, "overlap": 0.5}, ["a", "b", "c", "d"], ["a", "b", "x", "y"], True),
        ("ranking", {"top": 4, "overlap": 0.75}, ["a", "b", "c", "d"], ["a", "b", "x", "y"], False),
        ("ranking", {"top": 2}, [0.9, 0.1], [0.8, 0.3], True),  # scores by position
        ("ranking", {}, [], [], True),
        ("ranking", {}, ["a"], [], False),
    ],
)
def test_each_kind_agrees_as_the_document_says(
    kind: str, options: dict[str, Any], stable: Any, candidate: Any, agrees: bool
) -> None:
    assert does_agree(comparison(kind, **options), stable, candidate) is agrees


def test_a_part_that_only_one_of_the_two_has_does_not_agree() -> None:
    assert not does_agree(comparison("exact", "$.label"), PREDICTION, {"scores": {}})


def test_ranked_items_may_be_selected_one_by_one() -> None:
    turned = {**PREDICTION, "hits": HITS[::-1]}
    near = {**PREDICTION, "hits": [{"id": 1234568.0, "score": 2.0}, HITS[1]]}
    assert does_agree(comparison("ranking", "$.hits[*].id"), PREDICTION, PREDICTION)
    assert not does_agree(comparison("ranking", "$.hits[*].id"), PREDICTION, turned)
    assert not does_agree(comparison("ranking", "$.hits[*].id"), PREDICTION, near)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1}, {"a": 2.5}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": None}, {"a": "x"}, True),
        ([1, 2], [1], True),
        ([1, 2], ["1"], False),
        ([], ["x"], True),
    ],
)
def test_a_schema_is_keys_and_types(one: Any, other: Any, same: bool) -> None:
    assert have_same_schema(one, other) is same


def test_an_answer_of_another_length_agrees_in_nothing() -> None:
    assert compare_answers([comparison("exact")], [1, 2], [1]) == {SAME_SCHEMA: (2, 2), "same": (2, 2)}


def test_predictions_are_counted_one_by_one_and_another_schema_agrees_in_nothing() -> None:
    found = compare_answers([comparison("exact")], [{"a": 1}, {"a": 2}, {"a": 3}], [{"a": 1}, {"a": 9}, {"b": 3}])
    assert found == {SAME_SCHEMA: (3, 1), "same": (3, 2)}


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values, st.sampled_from(["exact", "numeric", "label", "ranking"]))
def test_every_answer_agrees_with_itself(value: Any, kind: str) -> None:
    assert does_agree(comparison(kind), value, value)


@given(values, values, st.sampled_from(["exact", "numeric", "label", "ranking"]))
def test_no_two_answers_are_too_strange_to_be_compared(one: Any, other: Any, kind: str) -> None:
    assert does_agree(comparison(kind), one, other) in (True, False)
    assert have_same_schema(one, other) == have_same_schema(other, one) or isinstance(one, list | dict)
