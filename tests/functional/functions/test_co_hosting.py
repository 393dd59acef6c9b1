"""Models that share machines, through the real functions: a pool is made, shared, emptied and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import PermanentError
from shared.policy.schema import Policy
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ERRORS, policy

POOL = "vr-team-a"
OTHER, OTHERS_ENDPOINT = "other", "other-serving"


def pooled(machine: str = "n1-standard-2", pool: str | None = "team-a", **changes: Any) -> Policy:
    shared = {"type": machine, "replicas": {"min": 1, "max": 4}, **({"pool": pool} if pool else {})}
    return policy(machine=shared, rollout={"checks": [ERRORS]}, **changes)


def other(**changes: Any) -> Policy:
    targets = [{"region": "us-central1", "endpoint": OTHERS_ENDPOINT}]
    return pooled(model=OTHER, targets=targets, **changes)


def pools(cloud: Cloud) -> list[str]:
    return cloud.world.pools.list("local-project", "us-central1")


def ticks(cloud: Cloud, *minutes: float) -> None:
    for span in minutes:
        cloud.advance(minutes=span)
        cloud.tick("assess_rollouts")
        cloud.settle()


def begin_other(cloud: Cloud) -> None:
    message = cloud.train("other-1", model=OTHER, metrics=None)
    cloud.wake("register_model", message)
    cloud.advance(seconds=61)
    cloud.wake("register_model", message)
    cloud.settle()
    ticks(cloud, 1, 1, 1, 11, 1)


def test_two_models_share_a_pool_which_goes_when_nobody_names_it_and_it_is_empty(cloud: Cloud) -> None:
    cloud.apply(pooled())
    cloud.apply(other())
    cloud.register("run-1")
    cloud.settle()
    ticks(cloud, 1, 1, 1, 11, 1)
    assert cloud.split() == {"1": 100}
    begin_other(cloud)
    assert pools(cloud) == [POOL], "made once"
    for name in ("churn-serving", OTHERS_ENDPOINT):
        endpoint = cloud.endpoint(name)
        assert endpoint is not None
        assert [d.pool for d in endpoint.deployed] == [POOL]
    cloud.deploy("run-2")
    cloud.minutes(16)
    assert cloud.split() == {"2": 100}, cloud.rollout("2").sentence
    assert not [e for e in cloud.ledger("2") if "replicas" in e.sentence], "a pool's replicas are nobody's own"
    # Both leave it: their next versions have machines of their own, and what was before is undeployed.
    cloud.apply(pooled(pool=None))
    cloud.apply(other(pool=None))
    for _ in range(2):
        assert cloud.tick("retire_models") == 200
        cloud.advance(minutes=10)
    assert pools(cloud) == [POOL], "it is in use"
    for name in ("churn-serving", OTHERS_ENDPOINT):
        endpoint = cloud.endpoint(name)
        assert endpoint is not None
        cloud.world.endpoints.write_traffic(endpoint, {}, endpoint.labels)
        for deployed in endpoint.deployed:
            cloud.world.endpoints.undeploy(endpoint.ref, deployed.id)
    cloud.advance(minutes=5)
    ticks(cloud, 1, 1)
    assert cloud.tick("retire_models") == 200
    cloud.advance(minutes=2)
    assert pools(cloud) == []
    sentences = [e.sentence for e in cloud.world.store.ledger() if e.actor == "retire_models"]
    assert any(s.startswith(f"Deleted pool {POOL} in local-project/us-central1: no policy names it") for s in sentences)


def test_a_version_on_a_pool_that_fails_is_rolled_back_and_undeployed_and_the_others_keep_their_machines(
    cloud: Cloud,
) -> None:
    cloud.apply(pooled())
    cloud.apply(other())
    cloud.register("run-1")
    cloud.settle()
    ticks(cloud, 1, 1, 1, 11, 1)
    begin_other(cloud)
    cloud.deploy("run-2")
    cloud.minutes(7, errors={"2": 0.5})
    assert cloud.split() == {"1": 100}
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    cloud.advance(minutes=15)
    cloud.tick("retire_models")
    cloud.advance(minutes=5)
    endpoint, others = cloud.endpoint(), cloud.endpoint(OTHERS_ENDPOINT)
    assert endpoint is not None
    assert others is not None
    assert [d.version for d in endpoint.deployed] == ["1"]
    assert [d.pool for d in (*endpoint.deployed, *others.deployed)] == [POOL, POOL]
    assert pools(cloud) == [POOL]


def test_the_answer_of_making_the_pool_may_be_lost_and_it_is_made_once(cloud: Cloud) -> None:
    cloud.apply(pooled())
    cloud.emulator.faults.lose_answer("CreateDeploymentResourcePool")
    cloud.register("run-1")
    cloud.settle()
    ticks(cloud, 1, 1, 1, 1, 11, 1)
    assert pools(cloud) == [POOL]
    assert cloud.split() == {"1": 100}, cloud.rollout("1").sentence


def test_a_pool_of_another_machine_is_refused_before_anything_is_deployed(cloud: Cloud) -> None:
    cloud.apply(pooled())
    cloud.register("run-1")
    cloud.settle()
    ticks(cloud, 1, 1, 1, 11, 1)
    cloud.apply(pooled(machine="n1-standard-8"))
    cloud.register("run-2")
    cloud.settle()
    rollout = cloud.rollout("2")
    assert (rollout.phase, rollout.sentence) == (
        Phase.REJECTED,
        "Refused v2: pool vr-team-a has n1-standard-2, the policy says n1-standard-8, and Vertex AI changes no pool's machine",
    )


@pytest.mark.parametrize("name", ["Upper", "x", "a-"])
def test_a_pool_needs_a_name_that_vertex_ai_takes(name: str) -> None:
    with pytest.raises(PermanentError, match=r"machine\.pool"):
        pooled(pool=name)
