"""What of a policy does not go with compressed time: hours pass in minutes, requests stay as many as they are."""

from __future__ import annotations

from shared.policy.schema import Policy


def by_bake_time(policy: Policy) -> Policy:
    """The same policy, advancing by bake time: a compressed minute has too few requests for evidence of anything."""
    return policy.model_copy(update={"rollout": policy.rollout.model_copy(update={"advance": "bake"})})
