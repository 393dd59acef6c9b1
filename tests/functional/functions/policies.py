"""The policy that the stories use, and how it is varied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.policy.schema import Policy
from shared.policy.validation import parse_policy

MODEL, ENDPOINT = "churn", "churn-serving"
ERRORS = {"metric": "error_rate", "at_most": "1%", "margin": "2x"}
STAGES = [{"traffic": 10, "bake": "5m"}, {"traffic": 50, "bake": "5m"}, {"traffic": 100}]
ROLLOUT: dict[str, Any] = {
    "advance": "bake",  # the stories say themselves when a stage may end; test_life has one that waits for evidence
    "stages": STAGES,
    "metrics": {"lag": "2m", "settle": "1m", "window": "10m"},
    "standby": {"hold": "1h", "for": "2h", "replicas": 1},
}


def policy(**changes: Any) -> Policy:
    """A small policy; keyword arguments replace keys of the whole, ``rollout`` is merged over ours."""
    document: dict[str, Any] = {
        "model": MODEL,
        "targets": [{"region": "us-central1", "endpoint": ENDPOINT}],
        "register": {"from": {"message": True}, "container": {"image": "sim/churn:1"}},
        "machine": {"type": "n1-standard-2", "replicas": {"min": 1, "max": 4}},
        "notify": ["webhook://ops"],
    }
    rollout: Mapping[str, Any] = ROLLOUT | dict(changes.pop("rollout", {}))
    return parse_policy(document | changes | {"rollout": dict(rollout)}, "the story's policy")


def judged(**changes: Any) -> Policy:
    """The same with a check of the error rate, so that a stage needs evidence."""
    rollout = {"checks": [ERRORS], **changes.pop("rollout", {})}
    return policy(rollout=rollout, **changes)
