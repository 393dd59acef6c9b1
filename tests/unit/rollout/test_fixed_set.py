"""The gate's fixed set: what is computed of answers, what is done next, and the verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import PermanentError
from shared.policy.gate import FixedMetric, FixedSet
from shared.policy.shadow import Comparison
from shared.rollout.answers import (
    Answer,
    Answers,
    BatchJob,
    State,
    agreement_key,
    answers_id,
    compare,
    compute,
    is_answer_file,
    read_answers,
    set_digest,
)
from shared.rollout.fixed_set import Side, Work, plan_answers
from shared.rollout.gate import GateResult
from shared.rollout.record import Verdict
from tests.unit.rollout.worlds import HOUR, MINUTE, NOW, policy

ACCURACY = {"name": "accuracy", "kind": "accuracy", "path": "$.label", "at_least": 0.8, "not_below_champion_by": 0.05}
SAME = {"name": "same", "kind": "label", "path": "$.label", "at_least": "90%"}


def spec(**changes: Any) -> FixedSet:
    fixed = {"instances": "gs://golden/set.jsonl", "output": "gs://answers", "truth": "label", "metrics": [ACCURACY]}
    found = policy(gate={"fixed_set": fixed | changes}).gate.fixed_set
    assert found is not None
    return found


def made(version: str, accuracy: float = 0.9, **changes: Any) -> Answers:
    asked = Answers(
        f"churn-v{version}-set", "churn", version, "shop", "us-central1", "gs://golden/set.jsonl", NOW - HOUR
    )
    values = {"accuracy $.label": accuracy}
    done = replace(asked, state=State.MADE, job=f"jobs/{version}", answered=100, values=values, recipes=tuple(values))
    return replace(done, **changes)


def plan(candidate: Side, champion: Side | None = None, fixed: FixedSet | None = None) -> Work | GateResult:
    return plan_answers(fixed or spec(), candidate, champion, NOW - 2 * HOUR, NOW)


def side(answers: Answers | None, version: str = "2", job: BatchJob | None = None) -> Side:
    return Side(version, f"churn-v{version}-set", answers, job)


def metric(kind: str, path: str = "$") -> FixedMetric:
    return FixedMetric.model_validate({"name": kind, "kind": kind, "path": path, "at_least": 0})


def test_metrics_are_those_that_their_names_say() -> None:
    scored = [(0.9, 1), (0.8, 0), (0.7, 1), (0.7, 0), (0.1, 0)]
    answers = [Answer(None, score, truth) for score, truth in scored]
    kinds = ["auc", "mean_absolute_error", "mean_squared_error", "mean"]
    found = compute([metric(kind) for kind in kinds], answers)
    assert found["auc $"] == pytest.approx((3 + 1.5) / 6)
    assert found["mean_absolute_error $"] == pytest.approx((0.1 + 0.8 + 0.3 + 0.7 + 0.1) / 5)
    assert found["mean_squared_error $"] == pytest.approx((0.01 + 0.64 + 0.09 + 0.49 + 0.01) / 5)
    assert found["mean $"] == pytest.approx(0.64)
    labels = [
        Answer(None, {"label": "a"}, "a"),
        Answer(None, {"label": {"a": 0.1, "b": 0.9}}, "b"),
        Answer(None, {}, "a"),
    ]
    assert compute([metric("accuracy", "$.label")], labels) == {"accuracy $.label": pytest.approx(2 / 3)}


def test_a_metric_without_a_single_value_is_left_out() -> None:
    assert compute([metric("mean", "$.x"), metric("auc")], [Answer(None, {"y": 1}, 1)]) == {}


def test_the_truth_is_read_from_the_instance_or_from_beside_it_and_does_not_tell_two_instances_apart() -> None:
    lines = [
        {"instance": {"id": 1, "label": "a"}, "prediction": "a"},
        {"instance": {"id": 1}, "label": "a", "prediction": "b"},
    ]
    found = list(read_answers([json.dumps(line).encode() for line in lines] + [b""], "label"))
    assert [(a.instance, a.truth) for a in found] == [({"id": 1}, "a")] * 2
    with pytest.raises(ValueError, match="no prediction in"):
        list(read_answers([b'{"error": 3}'], None))


def test_answers_are_paired_by_their_instance_whatever_their_order() -> None:
    same = Comparison.model_validate(SAME | {"path": "$"})
    mine = [Answer({"id": n}, "a" if n else "b") for n in range(3)]
    others = [Answer({"id": n}, "a") for n in (2, 0, 1, 7)]
    assert compare([same], mine, others) == [(3, 2)]
    assert compare([same], [mine[1], mine[1]], [others[2], others[2]]) == [(2, 2)], "an instance may be there twice"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("p/prediction-churn-2026/prediction.results-00000-of-00002", True),
        ("p/prediction-churn-2026/predictions_0001.jsonl", True),
        ("p/prediction-churn-2026/prediction.errors_stats-00000-of-00001", False),
        ("p/prediction-churn-2026/errors_0001.jsonl", False),
    ],
)
def test_files_of_answers_are_known_by_both_documented_names(name: str, is_one: bool) -> None:
    assert is_answer_file(name) is is_one


def test_a_set_is_another_one_when_an_object_is_written_anew() -> None:
    one, other = set_digest(spec(), [("set.jsonl", 1)]), set_digest(spec(), [("set.jsonl", 2)])
    assert one != other
    assert set_digest(spec(deadline="1h"), [("set.jsonl", 1)]) == one, (
        "how it is judged does not make another set of it"
    )
    label = replace(made("123456"), id=answers_id("m" * 60, "123456", one), attempt=99).label
    assert len(label) <= 63


def test_both_are_asked_at_once_and_a_champion_that_has_answered_is_not() -> None:
    work = plan(side(None), side(None, "1"))
    assert isinstance(work, Work)
    assert [(t.action, t.version) for t in work.tasks] == [("ask", "2"), ("ask", "1")]
    assert work.sentence.startswith("Asking v2 and the champion v1 for the answers to gs://golden/set.jsonl")
    work = plan(side(None), side(made("1"), "1"))
    assert isinstance(work, Work)
    assert [(t.action, t.version) for t in work.tasks] == [("ask", "2")]


@pytest.mark.parametrize(
    ("asked_before", "job", "task"),
    [
        (HOUR, BatchJob("jobs/2", "x", "RUNNING"), ""),
        (HOUR, BatchJob("jobs/2", "x", "SUCCEEDED"), "read"),
        (HOUR, BatchJob("jobs/2", "x", "FAILED", error="no quota"), "fail"),
        (HOUR, None, "fail"),
        (7 * HOUR, BatchJob("jobs/2", "x", "RUNNING"), "fail"),
        (7 * HOUR, BatchJob("jobs/2", "x", "SUCCEEDED"), "read"),
    ],
    ids=["it runs", "it is there", "it failed", "it is gone", "it takes too long", "it came late and is there"],
)
def test_a_job_is_read_given_up_or_waited_for(asked_before: timedelta, job: BatchJob | None, task: str) -> None:
    asked = made("2", state=State.ASKED, asked_at=NOW - asked_before)
    work = plan(side(asked, job=job))
    assert isinstance(work, Work)
    assert [t.action for t in work.tasks] == ([task] if task else [])


def test_a_name_that_was_lost_is_looked_for() -> None:
    work = plan(side(made("2", state=State.ASKED, job="")))
    assert isinstance(work, Work)
    assert [t.action for t in work.tasks] == ["find"]


def test_what_failed_before_the_rollout_was_queued_is_asked_again() -> None:
    failed = made("2", state=State.FAILED, error="no quota", ended_at=NOW - 3 * HOUR)
    work = plan(side(failed))
    assert isinstance(work, Work)
    assert [t.action for t in work.tasks] == ["ask"]
    verdict = plan(side(replace(failed, ended_at=NOW - MINUTE)))
    assert verdict == GateResult(
        Verdict.FAIL,
        "the batch prediction of v2 on gs://golden/set.jsonl failed: no quota",
        (),
        examined="churn-v2-set-1",
    )


def test_another_metric_is_computed_of_the_answers_that_are_there() -> None:
    fixed = spec(metrics=[ACCURACY, {"name": "mean", "kind": "mean", "path": "$.score", "at_least": 0}])
    work = plan(side(made("2")), fixed=fixed)
    assert isinstance(work, Work)
    assert [t.action for t in work.tasks] == ["read"]


def test_the_verdict_has_the_numbers_of_both() -> None:
    found = plan(side(made("2", 0.91)), side(made("1", 0.93), "1"))
    assert isinstance(found, GateResult)
    assert (found.verdict, found.examined) == (Verdict.PASS, "churn-v2-set-1/churn-v1-set-1")
    assert found.sentence == (
        "accuracy 0.91 >= 0.8; accuracy 0.91 >= 0.88 (champion 0.93) on 100 instances of gs://golden/set.jsonl"
    )
    found = plan(side(made("2", 0.85)), side(made("1", 0.93), "1"))
    assert isinstance(found, GateResult)
    assert found.verdict is Verdict.FAIL
    assert found.sentence == "accuracy 0.85 < 0.88 (champion 0.93) on 100 instances of gs://golden/set.jsonl"


def test_answers_that_are_missing_count_against_it() -> None:
    found = plan(side(made("2", answered=98, unanswered=2)))
    assert isinstance(found, GateResult)
    assert (found.verdict, found.sentence.split(" on ")[0]) == (
        Verdict.FAIL,
        "answered 98 % < 100 % (98 of 100 instances)",
    )
    found = plan(side(made("2", answered=98, unanswered=2)), fixed=spec(answered="95%"))
    assert isinstance(found, GateResult)
    assert found.verdict is Verdict.PASS
    nothing = plan(side(made("2", answered=0, values={})))
    assert isinstance(nothing, GateResult)
    assert "no answer has a value at $.label" in nothing.sentence


def test_a_champion_whose_job_failed_counts_as_the_policy_says() -> None:
    lost = made("1", state=State.FAILED, error="no quota", ended_at=NOW)
    found = plan(side(made("2")), side(lost, "1"))
    assert isinstance(found, GateResult)
    assert (found.verdict, "the champion on gs://golden/set.jsonl failed: no quota" in found.sentence) == (
        Verdict.FAIL,
        True,
    )
    found = plan(side(made("2")), side(lost, "1"), spec(failed="pass"))
    assert isinstance(found, GateResult)
    assert found.verdict is Verdict.PASS
    assert found.sentence.endswith("no quota; the policy lets it pass")


def test_answers_are_compared_before_they_are_judged() -> None:
    fixed, champion = spec(compare=[SAME]), made("1")
    work = plan(side(made("2")), side(champion, "1"), fixed)
    assert isinstance(work, Work)
    assert [t.action for t in work.tasks] == ["compare"]
    agreed = {agreement_key(fixed.compare[0], champion): (100, 88)}
    found = plan(side(made("2", agreed=agreed)), side(champion, "1"), fixed)
    assert isinstance(found, GateResult)
    assert found.verdict is Verdict.FAIL
    assert found.sentence.startswith("same 88 % < 90 % (88 of 100 answers agree with the champion's)")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics": []}, "nothing is computed of the answers"),
        ({"truth": None}, "accuracy needs the right answers"),
        ({"instances": "golden.jsonl"}, "gs://BUCKET/OBJECT"),
        ({"instances": "bq://shop.golden.churn", "format": "csv"}, "is not of the format csv"),
        ({"format": "csv"}, "have no fields that could be kept from the model"),
        ({"compare": [SAME | {"name": "accuracy"}]}, r"accuracy is the name of metrics\[0\] already"),
        ({"metrics": [ACCURACY | {"name": "answered"}]}, "answered is the name of the check of how many were answered"),
        ({"metrics": [{"name": "x", "kind": "mean"}]}, "the metric x has no limit"),
        ({"output": "answers"}, "gs://BUCKET/FOLDER"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        spec(**changes)


def test_a_table_needs_no_format_and_what_is_stored_is_read_again() -> None:
    found = spec(instances="bq://shop.golden.churn")
    assert found.format == "bigquery"
    assert FixedSet.model_validate(found.model_dump(mode="json", by_alias=True)) == found
