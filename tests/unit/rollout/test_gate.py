"""The offline gate: before any machine is paid for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.rollout.gate import GateResult, judge_gate
from shared.rollout.observed import ModelVersion
from shared.rollout.record import Verdict
from tests.unit.rollout.worlds import HOUR, MINUTE, NOW, policy

AUC = {"name": "auc", "at_least": 0.8, "not_below_champion_by": 0.01}
LOSS = {"name": "loss", "at_most": 0.5, "not_above_champion_by": 0.1}


def judged(
    seen: dict[str, float] | None,
    champion: dict[str, float] | None = None,
    since: timedelta = MINUTE,
    labels: dict[str, str] | None = None,
    required: list[str] | None = None,
    **gate: Any,
) -> GateResult:
    register = {"from": {"message": True}, "container": {"image": "churn"}, "required_labels": required or []}
    spec = policy(register=register, gate={"metrics": [AUC, LOSS]} | gate)
    candidate = ModelVersion("shop", "us-central1", "churn", "2", labels=labels or {})
    return judge_gate(spec, candidate, seen, champion, NOW - since, NOW)


def test_a_policy_without_a_gate_lets_everything_pass() -> None:
    assert judged(None, metrics=[]) == GateResult(Verdict.PASS, "the policy has no gate")


def test_floors_and_no_regression_pass_with_the_numbers() -> None:
    found = judged({"auc": 0.81, "loss": 0.4}, {"auc": 0.82, "loss": 0.3})
    assert found.verdict is Verdict.PASS
    assert found.sentence == (
        "auc 0.81 >= 0.8; auc 0.81 >= 0.81 (champion 0.82); loss 0.4 <= 0.5; loss 0.4 <= 0.4 (champion 0.3)"
    )
    assert [c.stable for c in found.checks] == [None, 0.82, None, 0.3]


@pytest.mark.parametrize(
    ("metrics", "champion", "sentence"),
    [
        ({"auc": 0.79, "loss": 0.4}, None, "auc 0.79 < 0.8"),
        ({"auc": 0.81, "loss": 0.6}, None, "loss 0.6 > 0.5"),
        ({"auc": 0.81, "loss": 0.4}, {"auc": 0.85}, "auc 0.81 < 0.84 (champion 0.85)"),
        ({"auc": 0.9, "loss": 0.4}, {"loss": 0.2}, "loss 0.4 > 0.3 (champion 0.2)"),
        ({"auc": float("nan"), "loss": 0.4}, None, "auc nan < 0.8"),
        ({"auc": 0.1, "loss": 0.9}, None, "auc 0.1 < 0.8; loss 0.9 > 0.5"),
    ],
)
def test_one_limit_that_is_missed_rejects_with_what_was_missed(
    metrics: dict[str, float], champion: dict[str, float] | None, sentence: str
) -> None:
    found = judged(metrics, champion)
    assert (found.verdict, found.sentence) == (Verdict.FAIL, sentence)


def test_the_first_version_has_no_champion_to_be_compared_with() -> None:
    found = judged({"auc": 0.9}, None, metrics=[{"name": "auc", "not_below_champion_by": 0.01}])
    assert (found.verdict, found.sentence) == (Verdict.PASS, "no champion to compare with")


@pytest.mark.parametrize("metrics", [None, {}, {"auc": 0.9}])
def test_a_missing_evaluation_is_no_data_and_waited_for(metrics: dict[str, float] | None) -> None:
    found = judged(metrics, since=2 * HOUR - MINUTE)
    assert found.verdict is Verdict.NO_DATA
    assert found.sentence.endswith("loss (at most 2h)")


@pytest.mark.parametrize(("missing", "verdict"), [("reject", Verdict.FAIL), ("pass", Verdict.PASS)])
def test_then_the_policy_says_what_it_means(missing: str, verdict: Verdict) -> None:
    found = judged({"auc": 0.9}, since=2 * HOUR, missing=missing)
    assert found.verdict is verdict
    assert found.sentence.startswith("no evaluation of loss came within 2h")


def test_what_has_missed_its_floor_waits_for_nothing_and_is_never_let_pass() -> None:
    assert judged({"auc": 0.5}).verdict is Verdict.FAIL
    assert judged({"auc": 0.5}, since=3 * HOUR, missing="pass").verdict is Verdict.FAIL


def test_labels_that_governance_requires_are_asked_for_first() -> None:
    found = judged({"auc": 0.9, "loss": 0.1}, required=["team", "Data Class"], labels={"team": "growth"})
    assert (found.verdict, found.sentence) == (Verdict.FAIL, "required labels are missing: Data Class")
