"""A trial is held against its budget with both fleets, and ignorance refuses nothing."""

from __future__ import annotations

from typing import Any

import pytest

from shared.costs.budget import standing
from shared.costs.prices import shipped
from shared.rollout.observed import DeployedModel, Endpoint, TargetRef
from tests.functional.functions.policies import policy


def machine(version: str, replicas: int, **more: Any) -> DeployedModel:
    return DeployedModel(
        version, "churn", version, replicas, 4, machine_type=more.pop("machine", "n1-standard-4"), **more
    )


def endpoint(*deployed: DeployedModel, traffic: str = "1") -> Endpoint:
    return Endpoint(TargetRef("p", "us-central1", "churn-serving"), "", {}, {traffic: 100}, deployed)


def within(limit: float, *deployed: DeployedModel, **more: Any) -> Any:
    machines = {"type": "n1-standard-4", "replicas": {"min": 1, "max": 4}}
    ours = policy(machine=machines, budget={"monthly_usd": limit}, **more)
    return standing(ours, endpoint(*deployed) if deployed else None, "2", shipped())


def test_both_fleets_are_counted_with_the_replicas_that_the_stable_has_now() -> None:
    # Three and three, each 157.32 a month.
    assert within(943.92, machine("1", 3)).over == ""
    assert within(943.91, machine("1", 3)).over == (
        "together they would cost $943.92 a month (v1 3 x n1-standard-4 at $0.21850 + v2 3 x n1-standard-4 at $0.21850),"
        " over the budget of $943.91"
    )
    assert within(500, machine("1", 1, available_replicas=2)).over != "", "live replicas, not the minimum"


def test_the_first_version_is_held_against_it_too() -> None:
    assert within(157.32).over == ""
    assert within(157).over.startswith("together they would cost $157.32 a month (v2 1 x")


def test_what_is_at_0_percent_and_will_be_gone_is_waited_for() -> None:
    found = within(320, machine("1", 1), machine("0", 1))
    assert (found.over, found.unknown) == ("", "")
    assert found.waits.endswith("over the budget of $320.00; what is at 0 % will be gone")


FIXED = {
    "instances": "gs://golden/*.jsonl",
    "output": "gs://answers",
    "metrics": [{"name": "mean", "kind": "mean", "at_least": 0}],
}


def gated(limit: float, *asked: str, **fixed: Any) -> Any:
    """Two machines of 157.32 a month, and a job for each version that is asked."""
    machines = {"type": "n1-standard-4", "replicas": {"min": 1, "max": 4}}
    ours = policy(machine=machines, budget={"monthly_usd": limit}, gate={"fixed_set": FIXED | fixed})
    return standing(ours, endpoint(machine("1", 1)), "2", shipped(), "us-central1", asked)


def test_a_batch_prediction_of_the_gate_counts_for_as_long_as_it_may_take() -> None:
    # 314.64 for the machines that serve, 6 h of one at 0.2185 for each job.
    assert gated(314.64).over == "", "what has been asked is paid for already"
    assert gated(315.96, "2").over == ""
    assert gated(315.9, "2").over == (
        "together they would cost $315.95 a month (v1 1 x n1-standard-4 at $0.21850 + v2 1 x n1-standard-4 at $0.21850"
        " + the batch prediction of v2 1 x n1-standard-4 at $0.21850 for at most 6h), over the budget of $315.90"
    )
    assert gated(317, "2", "1").over.endswith("over the budget of $317.00")
    assert gated(316, "2", deadline="30m").over == ""


def test_its_own_machine_and_replicas_are_counted_and_a_machine_without_a_price_concludes_nothing() -> None:
    gpu = {"type": "n1-standard-4", "accelerator": {"type": "NVIDIA_TESLA_T4", "count": 2}, "replicas": 3}
    said = gated(314.65, "2", machine=gpu, deadline="1h").over
    assert "the batch prediction of v2 3 x n1-standard-4 + 2 x NVIDIA_TESLA_T4 at $" in said
    assert "for at most 1h), over the budget" in said
    found = gated(1, "2", machine={"type": "m9-standard-4"})
    assert (found.over, found.unknown) == ("", "no price of m9-standard-4 in us-central1 is known")


def test_without_a_price_nothing_is_concluded() -> None:
    found = within(1, machine("1", 1, machine="m9-standard-4"))
    assert (found.over, found.waits) == ("", "")
    assert found.unknown == "no price of m9-standard-4 in us-central1 is known"


def test_accelerators_and_spot_are_priced_as_they_are() -> None:
    found = within(700, machine("1", 1, accelerator="NVIDIA_TESLA_T4", accelerator_count=1))
    assert found.over == "" and found.waits == ""
    assert within(600, machine("1", 1, accelerator="NVIDIA_TESLA_T4", accelerator_count=1)).over


@pytest.mark.parametrize("limit", [float("inf"), 0, -1, 1e12])
def test_a_budget_is_an_amount(limit: float) -> None:
    with pytest.raises(Exception, match="monthly_usd"):
        within(limit)


def test_without_a_budget_nothing_is_asked() -> None:
    assert standing(policy(), endpoint(machine("1", 99)), "2", shipped()).over == ""
