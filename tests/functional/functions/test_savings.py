"""Saving without being asked: only where the policy says so, by halves, into the ledger, and undone by one command."""

from __future__ import annotations

import pytest

from local.identity import Issuer
from shared.actions.undoing import undo_saving
from shared.errors import PermanentError
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ENDPOINT, MODEL, policy
from tests.functional.functions.test_audit_costs import HOURS, use

MACHINE = {"type": "n1-standard-2", "replicas": {"min": 6, "max": 8}}


def idle(cloud: Cloud, savings: str) -> None:
    """Six replicas that are used by a sixth each, for eight days."""
    cloud.apply(policy(machine=MACHINE, savings=savings))
    cloud.deploy("run-1")
    own = cloud.endpoint()
    assert own is not None
    for _ in range(HOURS):
        use(cloud, ENDPOINT, own.deployed[0].id, cpu=0.15, memory=6.5 * 2**30, predictions=100)
        cloud.advance(hours=1)
    cloud.tick("assess_rollouts")  # the watch of the first version is long over
    cloud.settle()
    assert not cloud.rollout("1").phase.is_open


def minimum(cloud: Cloud) -> int:
    cloud.advance(minutes=10)
    found = cloud.endpoint()
    assert found is not None
    return found.deployed[0].min_replicas


def said(cloud: Cloud) -> list[str]:
    return [e.sentence for e in cloud.world.store.ledger(model=MODEL) if e.actor in ("audit_costs", "ann@example.com")]


def test_a_minimum_is_lowered_by_half_at_most_and_put_back_by_one_command(cloud: Cloud, signed: Issuer) -> None:
    idle(cloud, "apply")
    assert cloud.tick("audit_costs") == 200
    assert minimum(cloud) == 3
    (sentence,) = said(cloud)
    assert sentence.startswith(
        "Lowered the minimum of churn v1 from 6 to 3 replicas: the audit finds $314.64 a month too much; `rollouts undo-saving "
    )
    id_ = sentence.rpartition("undo-saving ")[2].partition("`")[0]
    put_back = "Put the minimum of churn v1 back to 6 replicas; it is not lowered again"
    assert undo_saving(cloud.world, id_, "ann@example.com") == put_back
    assert minimum(cloud) == 6
    assert cloud.tick("audit_costs") == 200
    assert minimum(cloud) == 6, "what a person has put back stays"
    assert said(cloud) == [sentence, put_back]


def test_the_default_only_suggests(cloud: Cloud, signed: Issuer) -> None:
    idle(cloud, "suggest")
    assert cloud.tick("audit_costs") == 200
    assert minimum(cloud) == 6
    assert cloud.emulator.counts["MutateDeployedModel"] == 0
    kept = cloud.world.store.audits.last()
    assert kept is not None
    assert [f["kind"] for f in kept.summary["findings"] if f["counted"]] == ["minimum_above_need"]


def test_an_id_under_which_nothing_was_saved_is_refused(cloud: Cloud) -> None:
    with pytest.raises(PermanentError, match="nothing was saved under the id 12345678"):
        undo_saving(cloud.world, "12345678", "ann@example.com")
