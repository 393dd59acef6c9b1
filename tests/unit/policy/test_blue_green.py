"""What a policy of blue-green may say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.errors import PermanentError
from shared.policy.schema import Policy
from shared.policy.validation import parse_policy


def parsed(rollout: dict[str, Any], **changes: Any) -> Policy:
    whole = {
        "model": "churn",
        "targets": [{"region": "us-central1", "endpoint": "churn-serving"}],
        "register": {"from": {"message": True}, "container": {"image": "sim/churn:1"}},
        "machine": {"type": "n1-standard-2"},
        "rollout": {"strategy": "blue_green", **rollout},
    }
    return parse_policy(whole | changes, "policy")


def test_a_switch_has_one_stage_and_a_time_to_live_without_saying_so() -> None:
    rollout = parsed({}).rollout
    assert [stage.traffic for stage in rollout.stages] == [100]
    assert rollout.blue_green is not None
    assert rollout.blue_green.ttl == timedelta(seconds=30)


def test_what_is_stored_is_read_again() -> None:
    policy = parsed({"blue_green": {"ttl": "10s"}})
    assert parse_policy(policy.model_dump(mode="json", by_alias=True), "store") == policy


@pytest.mark.parametrize(
    ("rollout", "said"),
    [
        ({"stages": [{"traffic": 10}, {"traffic": 100}]}, "two endpoints cannot share the traffic"),
        ({"blue_green": {"ttl": "1h"}}, "1h is too long"),
        ({"strategy": "canary", "blue_green": {"ttl": "10s"}}, "blue_green stands beside strategy: canary"),
        (
            {"checks": [{"metric": "error_rate", "at_most": "1%"}, {"metric": "latency_ms", "margin": "1.2x"}]},
            "latency_ms is only compared with the stable",
        ),
        ({"standby": {"hold": "10s", "for": "20s"}}, "the watch is over before all clients have followed"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(rollout: dict[str, Any], said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        parsed(rollout)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mode": "observe"}, "a switch of endpoints cannot be observed"),
        ({"targets": [{"region": "us-central1", "endpoint": "a" * 60}]}, "too long a name"),
        ({"targets": [{"region": "us-central1", "endpoint": "x-green"}]}, "named like the second endpoint of another"),
    ],
)
def test_a_policy_that_cannot_have_two_endpoints_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        parsed({}, **changes)


def test_a_margin_is_judged_in_the_shadow() -> None:
    checks = [{"metric": "error_rate", "at_most": "1%"}, {"metric": "latency_ms", "margin": "1.2x"}]
    assert parsed({"checks": checks, "shadow": {"bake": "20m"}}).rollout.shadow is not None
