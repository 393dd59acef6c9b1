"""A rollout whose double fleet would exceed its budget is not started; a rollback asks for no budget."""

from __future__ import annotations

from local.identity import Issuer
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import judged


def test_a_rollout_over_its_budget_is_not_started_and_says_the_sum(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged(budget={"monthly_usd": 150}))
    cloud.deploy("run-1")
    assert cloud.split() == {"1": 100}, "one n1-standard-2 is 78.66 a month"
    cloud.deploy("run-2")
    refused = cloud.rollout("2")
    assert refused.phase is Phase.REJECTED
    assert refused.sentence == (
        "Refused v2: together they would cost $157.32 a month (v1 1 x n1-standard-2 at $0.10925 + v2 1 x n1-standard-2"
        " at $0.10925), over the budget of $150.00"
    )
    assert cloud.emulator.counts["DeployModel"] == 1
    assert cloud.split() == {"1": 100}


def test_a_budget_that_is_enough_holds_nothing_and_no_rollback(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged(budget={"monthly_usd": 158}))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    assert cloud.split() == {"1": 90, "2": 10}
    cloud.apply(judged(budget={"monthly_usd": 1}))
    cloud.minutes(8, errors={"2": 0.5})
    assert cloud.split() == {"1": 100}
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK


def test_what_is_left_of_a_rollback_is_waited_for(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged(budget={"monthly_usd": 160}))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.tell("abort", "2")
    cloud.deploy("run-3")
    assert cloud.rollout("3").phase is Phase.QUEUED
    cloud.advance(minutes=15)
    assert cloud.tick("retire_models") == 200
    cloud.advance(minutes=5)
    for minutes in (1, 11, 1, 1):
        cloud.tick("assess_rollouts")
        cloud.settle()
        cloud.advance(minutes=minutes)
    assert cloud.split() == {"1": 90, "3": 10}
