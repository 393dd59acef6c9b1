"""The offline gate: what a version must show before any machine is paid for."""

from __future__ import annotations

from google.protobuf.struct_pb2 import Value

from local.stepped import PARENT
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import MODEL, policy

GATE = {"metrics": [{"name": "auc", "at_least": 0.8, "not_below_champion_by": 0.01}], "wait": "2h"}


def evaluate(cloud: Cloud, version: str, auc: float) -> None:
    """Somebody imports an evaluation."""
    metrics = Value()
    metrics.struct_value.update({"auc": auc})
    cloud.models.import_model_evaluation(
        parent=f"{PARENT}/models/{MODEL}@{version}",
        model_evaluation={"metrics_schema_uri": "gs://schema/metrics.yaml", "metrics": metrics},
    )


def test_a_missing_evaluation_is_waited_for_and_then_judged(cloud: Cloud) -> None:
    cloud.apply(policy(gate=GATE))
    cloud.register("run-1", metrics=None)
    cloud.settle()
    cloud.minutes(30, requests=0)
    assert cloud.rollout("1").phase is Phase.QUEUED
    assert "waiting for the evaluation of auc (at most 2h)" in cloud.ledger("1")[-1].sentence
    assert cloud.emulator.counts["CreateEndpoint"] == 0
    evaluate(cloud, "1", 0.9)
    cloud.minutes(14, requests=0)
    assert cloud.split() == {"1": 100}


def test_an_evaluation_that_never_comes_rejects(cloud: Cloud) -> None:
    cloud.apply(policy(gate=GATE))
    cloud.register("run-1", metrics=None)
    cloud.settle()
    cloud.advance(minutes=121)
    cloud.minutes(1, requests=0)
    rollout = cloud.rollout("1")
    assert rollout.phase is Phase.REJECTED
    assert "no evaluation of auc came within 2h" in rollout.sentence


def test_an_evaluation_that_never_comes_may_pass_where_the_policy_says_so(cloud: Cloud) -> None:
    cloud.apply(policy(gate={**GATE, "missing": "pass"}))
    cloud.register("run-1", metrics=None)
    cloud.settle()
    cloud.advance(minutes=121)
    cloud.minutes(14, requests=0)
    assert cloud.split() == {"1": 100}


def test_a_version_below_the_floor_is_rejected_with_the_numbers(cloud: Cloud) -> None:
    cloud.apply(policy(gate=GATE))
    cloud.deploy("run-1", metrics={"auc": 0.71})
    rollout = cloud.rollout("1")
    assert rollout.phase is Phase.REJECTED
    entry = cloud.ledger("1")[-1]
    assert "auc 0.71 < 0.8" in entry.sentence
    assert (entry.decision, entry.checks[0].observed, entry.checks[0].limit) == ("reject", 0.71, 0.8)
    cloud.minutes(2, requests=0)
    assert cloud.emulator.counts["CreateEndpoint"] == 0
    assert "candidate" not in cloud.aliases()


def test_a_version_below_the_champion_is_rejected_with_both_numbers(cloud: Cloud) -> None:
    cloud.apply(policy(gate=GATE))
    cloud.deploy("run-1", metrics={"auc": 0.9})
    cloud.deploy("run-2", metrics={"auc": 0.88})
    assert cloud.rollout("2").phase is Phase.REJECTED
    assert "auc 0.88 < 0.89 (champion 0.9)" in cloud.ledger("2")[-1].sentence
    assert cloud.split() == {"1": 100}
    cloud.deploy("run-3", metrics={"auc": 0.895})
    assert cloud.split() == {"1": 90, "3": 10}


def test_a_version_without_a_required_label_is_rejected(cloud: Cloud) -> None:
    container = {"image": "sim/churn:1"}
    register = {"from": {"message": True}, "container": container, "required_labels": ["data-owner"]}
    cloud.apply(policy(register=register))
    cloud.deploy("run-1")
    assert cloud.rollout("1").phase is Phase.REJECTED
    assert "required labels are missing: data-owner" in cloud.rollout("1").sentence
    cloud.deploy("run-2", labels={"data-owner": "team-a"})
    assert cloud.split() == {"2": 100}
