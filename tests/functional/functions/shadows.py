"""What the stories of shadows speak of: users who ask, callers who publish what was answered, and the policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

from local.stepped import PARENT, REGION
from shared.events.prediction import PredictionLogged, prediction_logged_message
from shared.policy.schema import Policy
from shared.rollout.names import shadow_target
from shared.rollout.observed import Endpoint
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ENDPOINT, MODEL, policy
from vertex_emulator.serving.profile import Profile

SHADOW: dict[str, Any] = {
    "bake": "5m",
    "per_minute": 600,
    "compare": [
        {
            "name": "same_score",
            "kind": "numeric",
            "path": "$.score",
            "tolerance": 0.05,
            "at_least": "95%",
            "min_samples": 20,
        }
    ],
}


def shadowed(shadow: Mapping[str, Any] | None = None, **changes: Any) -> Policy:
    """The stories' policy with a shadow of five minutes."""
    checks = [{"metric": "error_rate", "at_most": "5%", "min_samples": 20}]
    rollout = {"shadow": SHADOW | dict(shadow or {}), "checks": checks, **changes.pop("rollout", {})}
    return policy(rollout=rollout, **changes)


def behave(cloud: Cloud, version: str, **profile: Any) -> None:
    """How a version answers from now on."""
    cloud.emulator.profiles.override(f"{MODEL}@{version}", Profile(**{"latency_ms": 0, **profile}))


def asked(cloud: Cloud, number: int) -> PredictionLogged:
    """A user asks the production endpoint, and the caller keeps what was answered."""
    instance = json_format.ParseDict({"customer": f"c{number}"}, struct_pb2.Value())
    reply = cloud.predictions.predict(endpoint=f"{PARENT}/endpoints/{ENDPOINT}", instances=[instance], timeout=10)
    answers = [json_format.MessageToDict(p) for p in type(reply).pb(reply).predictions]
    return PredictionLogged(
        REGION,
        ENDPOINT,
        f"request-{number}",
        cloud.now,
        reply.deployed_model_id,
        ({"customer": f"c{number}"},),
        tuple(answers),
    )


def ask(cloud: Cloud, numbers: range) -> list[int]:
    """Users ask, and every answer reaches ``mirror_request``; what it answered."""
    return [cloud.wake("mirror_request", prediction_logged_message(asked(cloud, number))) for number in numbers]


def shadow_minutes(cloud: Cloud, number: int, requests: int = 12) -> None:
    """So many minutes in which users ask, each followed by a tick and all that it asks for."""
    for _ in range(number):
        begin = int(cloud.now.timestamp() % 10**6) * 1000
        assert set(ask(cloud, range(begin, begin + requests))) <= {200}
        cloud.advance(minutes=1)
        assert cloud.tick("assess_rollouts") == 200
        cloud.settle()


def into_the_shadow(cloud: Cloud, run: str = "run-2") -> str:
    """From a training run until its version answers in its shadow; the version."""
    cloud.register(run)
    cloud.settle()
    version = max(cloud.versions(), key=int)
    behave(cloud, version)
    for minutes in (0, 1, 1, 11, 1):
        cloud.advance(minutes=minutes)
        cloud.tick("assess_rollouts")
        cloud.settle()
    assert cloud.rollout(version).stage_since is not None, [e.sentence for e in cloud.ledger(version)]
    return version


def shadow_of(cloud: Cloud, version: str) -> Endpoint | None:
    """The version's shadow endpoint as it is now."""
    rollout = cloud.rollout(version)
    return cloud.world.endpoints.get(shadow_target(rollout.id, rollout.target))
