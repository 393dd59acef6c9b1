"""What a policy means: units, rules, and that it is stored and read back as the same policy."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.policy.loading import load_policies
from shared.policy.problems import PolicyError
from shared.policy.schema import Check, Policy
from shared.policy.units import Duration, Factor, Share, format_share
from shared.policy.validation import parse_policy
from tests.unit.policy.files import EXAMPLES

POLICIES = {one.policy.model: one.policy for one in load_policies([EXAMPLES])}


def plain(policy: Policy) -> Any:
    return json.loads(policy.model_dump_json())


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES.keys())
def test_a_stored_policy_is_read_back_as_the_same(policy: Policy) -> None:
    assert parse_policy(plain(policy), "store") == policy
    assert plain(parse_policy(plain(policy), "store")) == plain(policy)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("15m", 900), ("1h30m", 5_400), ("7d", 604_800), ("0s", 0), (45, 45), (60.0, 60)],
)
def test_a_duration_is_written_as_a_person_writes_it(written: str | float, seconds: int) -> None:
    assert TypeAdapter(Duration).validate_python(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "15",
        "m",
        "1.5h",
        "-5m",
        "15 m",
        "\u0665m",
        True,
        None,
        -1,
        0.5,
        float("nan"),
        float("inf"),
        10**30,
        "9" * 39 + "d",
    ],
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(written)


@pytest.mark.parametrize("written", ["5 %", "101%", "-1%", 1.5, True, None, "one", float("nan"), "1e-3"])
def test_what_is_no_share_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Share).validate_python(written)


@pytest.mark.parametrize("written", ["0.9x", "x", 0, True, "1001x", float("inf")])
def test_what_is_no_factor_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Factor).validate_python(written)


@given(st.floats(0, 1))
@example(1 / 3)
@example(0.07)
@example(5e-324)
def test_a_share_is_stored_exactly(share: float) -> None:
    adapter = TypeAdapter(Share)
    assert adapter.validate_json(adapter.dump_json(share)) == share


@given(st.floats(1, 1_000))
@example(1.2)
def test_a_factor_is_stored_exactly(factor: float) -> None:
    adapter = TypeAdapter(Factor)
    assert adapter.validate_json(adapter.dump_json(factor)) == factor


@given(st.integers(0, 3_650 * 86_400))
def test_a_duration_is_stored_exactly(seconds: int) -> None:
    adapter = TypeAdapter(Duration)
    duration = timedelta(seconds=seconds)
    assert adapter.validate_json(adapter.dump_json(duration)) == duration


def test_shares_are_stored_as_a_person_would_write_them() -> None:
    stored = [json.loads(TypeAdapter(Share).dump_json(share)) for share in (0.01, 0.005, 0.07, 1.0, 0.0)]
    assert stored == ["1%", "0.5%", "7%", "100%", "0%"]
    assert format_share(1 / 3) == "33.33%"


@pytest.mark.parametrize(
    ("limits", "is_absolute"),
    [
        ({"metric": "error_rate", "at_most": 0}, True),
        ({"metric": "drift", "mean_at_least": 0}, True),
        ({"metric": "tokens", "share_above": {350: "5%"}}, True),
        ({"metric": "tokens", "range": [64, 400], "margin": "2x"}, True),
        ({"metric": "latency_ms", "margin": "1.2x"}, False),
    ],
)
def test_a_check_is_absolute_when_it_needs_no_stable_beside_it(limits: dict, is_absolute: bool) -> None:
    assert Check.model_validate(limits).is_absolute is is_absolute


def test_a_policy_built_in_code_is_refused_with_the_same_words() -> None:
    with pytest.raises(ValidationError, match="at_most cannot limit latency_ms"):
        Check(metric="latency_ms", at_most=0)


def test_a_policy_that_came_as_json_is_refused_without_a_line() -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy({**plain(POLICIES["churn-tabular"]), "mode": "watch"}, "request")
    assert str(refused.value) == "request: mode: 'watch' is not one of the choices; allowed: enforce, observe"


SCALAR = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["15m", "1%", "2x"])
)
KEY = (
    st.text(max_size=8)
    | st.integers(0, 500)
    | st.sampled_from([*sorted(Policy.model_fields), "traffic", "bake", "metric"])
)
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=4), max_leaves=10
)


def _damage(draw: st.DrawFn, value: Any) -> Any:
    if draw(st.integers(0, 19)) == 0:
        return draw(VALUE)
    if isinstance(value, dict):
        kept = {key: _damage(draw, item) for key, item in value.items() if draw(st.integers(0, 19))}
        return kept if draw(st.integers(0, 9)) else {**kept, draw(KEY): draw(SCALAR)}
    return [_damage(draw, item) for item in value] if isinstance(value, list) else value


@st.composite
def _damaged(draw: st.DrawFn) -> Any:
    return _damage(draw, plain(POLICIES["arr-coc-relevance"]))


@given(VALUE | _damaged())
def test_anything_whatever_is_a_policy_or_a_list_of_problems(value: Any) -> None:
    try:
        parse_policy(value, "file")
    except PolicyError as error:
        assert error.problems
        assert all(problem.message for problem in error.problems)
