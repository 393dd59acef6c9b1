"""What a person changes about a rollout: begin again what never had traffic, judge by another policy, put a saving back."""

from __future__ import annotations

from local.identity import Issuer
from shared.rollout.record import Phase
from shared.store.savings import StoredSaving
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import MODEL, judged


def test_what_was_refused_for_its_budget_begins_again_under_the_present_policy(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged(budget={"monthly_usd": 150}))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    assert cloud.rollout("2").phase is Phase.REJECTED
    cloud.apply(judged(budget={"monthly_usd": 160}))
    assert cloud.tell("retry", "2", reason="more money").startswith("ann@example.com begins v2 again (Refused v2: ")
    for _ in range(3):
        cloud.advance(minutes=11)
        cloud.tick("assess_rollouts")
        cloud.settle()
    assert cloud.split() == {"1": 90, "2": 10}
    status, answer = cloud.command({"command": "retry", "rollout": cloud.rollout("2").id})
    assert (status, "only what failed or was rejected" in answer["error"]) == (409, True)


def test_an_open_rollout_is_judged_by_another_version_from_now_on(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(3)
    same = {"command": "set-policy", "rollout": cloud.rollout("2").id}
    cloud.apply(judged(machine={"type": "n1-standard-8", "replicas": {"min": 1, "max": 2}}))
    status, answer = cloud.command(same)
    assert (status, "the machine differs, and it is deployed already" in answer["error"]) == (409, True)
    cloud.apply(judged(budget={"monthly_usd": 900}))
    assert cloud.command(same | {"version": 9})[0] == 409
    before = cloud.rollout("2")
    sentence = cloud.tell("set-policy", "2", reason="agreed")
    after = cloud.rollout("2")
    assert sentence == (
        "ann@example.com set version 3 of the policy for v2 (was 1); its stage is judged from now on: agreed"
    )
    assert after.policy_version == 3
    assert before.stage_since is not None
    assert after.stage_since is not None
    assert after.stage_since > before.stage_since
    cloud.minutes(12)
    assert cloud.split() == {"1": 50, "2": 50}


def test_a_saving_is_put_back_by_the_models_operators(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    own = cloud.endpoint()
    assert own is not None
    deployed = own.deployed[0]
    assert cloud.command({"command": "undo-saving", "saving": "none"})[0] == 400
    saving = StoredSaving("s-1", MODEL, "1", own.ref, deployed.id, (2, 4), (1, 4))
    cloud.world.store.savings.put(saving)
    status, answer = cloud.command({"command": "undo-saving", "saving": "s-1"})
    assert (status, answer["id"]) == (200, "s-1")
    assert answer["sentence"] == f"Put the minimum of {MODEL} v1 back to 2 replicas; it is not lowered again"
    assert cloud.world.store.savings.undone() == {"s-1"}
