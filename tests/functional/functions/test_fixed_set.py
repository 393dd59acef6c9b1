"""The offline gate by a batch prediction job on a fixed set, candidate against champion, through the real functions."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

import grpc

from local.identity import Issuer
from local.storage import StorageError
from shared import topics
from shared.events.rollout import RolloutDue, rollout_due_message
from shared.policy.schema import Policy
from shared.rollout.answers import BatchJob
from shared.rollout.record import Phase
from shared.view.next_step import next_step
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import MODEL, policy
from tests.functional.functions.shadows import behave
from vertex_emulator.serving.profile import Output
from vertex_emulator.serving.simulated import SimulatedServer

SET, SIZE = "gs://golden/churn/*.jsonl", 60
TABLE = "bq://local-project.golden.churn"
FIXED: dict[str, Any] = {
    "instances": SET,
    "output": "gs://answers/churn",
    "truth": "score",
    "metrics": [
        {
            "name": "error",
            "kind": "mean_absolute_error",
            "path": "$.score",
            "at_most": 0.05,
            "not_above_champion_by": 0.01,
        },
        {"name": "mean_score", "kind": "mean", "path": "$.score", "at_least": 0.3, "at_most": 0.7},
    ],
    "compare": [{"name": "same_score", "kind": "numeric", "path": "$.score", "tolerance": 0.05, "at_least": "90%"}],
    "deadline": "2h",
}
JOBS = ("CreateBatchPredictionJob", "CancelBatchPredictionJob")


def examined(fixed: Mapping[str, Any] | None = None, **changes: Any) -> Policy:
    return policy(gate={"fixed_set": FIXED | dict(fixed or {})}, **changes)


def write_set(cloud: Cloud, by: float = 0.0) -> None:
    """Instances whose truth is what a sound model answers, ``by`` beside it; in two objects and a table."""
    from vertex_emulator.serving.profile import Profile

    instances = [{"customer": f"c{number}"} for number in range(SIZE)]
    answers = SimulatedServer(lambda: Profile(latency_ms=0), 1).predict(instances, 0.0).predictions or []
    lines = [json.dumps({**one, "score": made["score"] + by}) for one, made in zip(instances, answers, strict=True)]
    for part, some in enumerate((lines[: SIZE // 2], lines[SIZE // 2 :])):
        cloud.storage.insert("golden", f"churn/part-{part}.jsonl", "\n".join(some).encode(), {}, None)
    table = f"{TABLE.removeprefix('bq://')}.jsonl"
    cloud.storage.insert("bq", table, "\n".join(lines).encode(), {}, None)


def jobs(cloud: Cloud) -> list[BatchJob]:
    found = cloud.world.batch_jobs._listed("local-project", "us-central1", "labels.vr-gate:*")
    return sorted(found, key=lambda job: job.label)


def minutes(cloud: Cloud, number: int) -> None:
    for _ in range(number):
        cloud.advance(minutes=1)
        assert cloud.tick("assess_rollouts") == 200
        cloud.settle()


def until_judged(cloud: Cloud, version: str) -> None:
    """A job takes eleven minutes; its answers are written by a thread, which needs a moment of its own."""
    minutes(cloud, 12)
    for _ in range(2000):
        if not cloud.world.batch_jobs.under_way("local-project", "us-central1"):
            break
        time.sleep(0.02)
        cloud.advance(seconds=1)
    for _ in range(8):
        if cloud.rollout(version).examined or not cloud.rollout(version).phase.is_open:
            return
        minutes(cloud, 1)
    raise AssertionError([e.sentence for e in cloud.ledger(version)])


def begin(cloud: Cloud, run: str, **profile: Any) -> str:
    """From a training run to the question; the version."""
    cloud.register(run)
    version = max(cloud.versions(), key=int)
    behave(cloud, version, **profile)
    cloud.settle()
    return version


def first(cloud: Cloud, **changes: Any) -> None:
    """v1 has passed by its floors and has all the traffic."""
    write_set(cloud)
    cloud.apply(examined(**changes))
    version = begin(cloud, "run-1")
    until_judged(cloud, version)
    minutes(cloud, 14)
    assert cloud.split() == {"1": 100}, [e.sentence for e in cloud.ledger("1")]


def test_nothing_is_asked_that_the_budget_does_not_allow(cloud: Cloud, signed: Issuer) -> None:
    """GIVEN a stable and a candidate of 78.66 a month each WHEN a job of two hours comes on top, at most 0.22 THEN
    it is not asked for over the budget, is within it, and waits for as long as what has lost its traffic still costs.
    """
    first(cloud)
    cloud.apply(examined(budget={"monthly_usd": 157.4}))
    with cloud.cost() as calls:
        begin(cloud, "run-2")
    assert not calls["CreateBatchPredictionJob"]
    assert cloud.rollout("2").phase is Phase.REJECTED
    assert cloud.rollout("2").sentence == (
        "Refused v2: together they would cost $157.54 a month (v1 1 x n1-standard-2 at $0.10925 + v2 1 x n1-standard-2 at $0.10925"
        " + the batch prediction of v2 1 x n1-standard-2 at $0.10925 for at most 2h), over the budget of $157.40"
    )
    cloud.apply(examined(budget={"monthly_usd": 157.6}))
    begin(cloud, "run-3")
    until_judged(cloud, "3")
    minutes(cloud, 13)
    assert cloud.split() == {"1": 90, "3": 10}
    cloud.tell("abort", "3")
    with cloud.cost() as calls:
        begin(cloud, "run-4")
        minutes(cloud, 2)
    assert not calls["CreateBatchPredictionJob"]
    assert cloud.rollout("4").phase is Phase.QUEUED
    cloud.advance(minutes=15)
    assert cloud.tick("retire_models") == 200
    minutes(cloud, 6)
    assert jobs(cloud)[-1].label.startswith("churn-v4"), [job.label for job in jobs(cloud)]


def test_a_version_whose_answers_to_the_fixed_set_are_the_champions_goes_on(cloud: Cloud) -> None:
    """GIVEN a champion that has answered the set WHEN a version answers as well THEN it goes on, and the champion was not asked again."""
    with cloud.cost() as calls:
        first(cloud)
    assert calls["CreateBatchPredictionJob"] == 1
    assert "there is no champion to compare with" in passed(cloud, "1")
    with cloud.cost() as calls:
        begin(cloud, "run-2")
        assert cloud.rollout("2").sentence == f"Asking v2 for the answers to {SET} in a batch prediction, at most 2h"
        minutes(cloud, 3)
        said = next_step(cloud.rollout("2"), examined(), None, "", cloud.now)
        assert said == f"it is deployed once its answers to {SET} have passed the gate"
        assert cloud.rollout("2").phase is Phase.QUEUED, "nothing waits, and nothing is deployed meanwhile"
        until_judged(cloud, "2")
    assert calls["CreateBatchPredictionJob"] == 1, "the champion's answers are those of its own gate"
    said = passed(cloud, "2")
    assert re.fullmatch(
        r"v2 passes the gate: error (\S+) <= 0\.05; error \1 <= 0\.01 \(champion \1\); mean_score (\S+) >= 0\.3; mean_score \2 <= 0\.7;"
        r" same_score 100 % >= 90 % \(60 of 60 answers agree with the champion's\) on 60 instances of gs://golden/churn/\*\.jsonl",
        said,
    ), said
    minutes(cloud, 14)
    assert cloud.rollout("2").phase is Phase.CANARY, cloud.rollout("2").sentence
    assert [job.state for job in jobs(cloud)] == ["SUCCEEDED", "SUCCEEDED"]


def passed(cloud: Cloud, version: str) -> str:
    (said,) = [e for e in cloud.ledger(version) if "passes the gate" in e.sentence]
    assert {c.metric for c in said.checks} >= {"error", "mean_score"}
    return said.sentence


def test_a_version_that_answers_otherwise_is_rejected_with_the_numbers_before_any_machine_serves_it(
    cloud: Cloud,
) -> None:
    first(cloud)
    begin(cloud, "run-2", noise=1.5)
    until_judged(cloud, "2")
    rollout = cloud.rollout("2")
    assert rollout.phase is Phase.REJECTED
    assert rollout.sentence.startswith("Rejected v2 by the gate: error 0.")
    assert "> 0.05; error 0." in rollout.sentence
    assert "> 0.01 (champion " in rollout.sentence
    assert f"answers agree with the champion's) on {SIZE} instances of {SET}" in rollout.sentence
    entry = cloud.ledger("2")[-1]
    assert entry.decision == "reject"
    limits = {(c.metric, c.limit) for c in entry.checks if c.verdict == "fail"}
    assert {("error", 0.05), ("same_score", 0.9)} <= limits
    minutes(cloud, 3)
    assert cloud.split() == {"1": 100}
    assert cloud.emulator.counts["DeployModel"] == 1, "the champion's alone"
    assert cloud.aliases()["champion"] == "1"


def test_what_the_call_answered_may_be_lost_and_the_job_is_found_again_by_its_label(cloud: Cloud) -> None:
    """GIVEN a champion WHEN the answer of the call is lost, and functions begin anew THEN there is one job, and it is judged."""
    first(cloud)
    cloud.emulator.faults.lose_answer("CreateBatchPredictionJob")
    begin(cloud, "run-2")
    cloud.open()  # a crash: another process goes on, with the store and Vertex AI alone
    until_judged(cloud, "2")
    assert [job.label[:8] for job in jobs(cloud)] == ["churn-v1", "churn-v2"]
    minutes(cloud, 14)
    assert cloud.rollout("2").phase is Phase.CANARY, cloud.rollout("2").sentence


def test_every_call_may_fail_once_and_only_delays(cloud: Cloud) -> None:
    """GIVEN a champion WHEN the question does not arrive, and each kind of reading fails once THEN one job has made the answers."""
    first(cloud)
    seen: list[str] = []

    def fail(method: str, name: str) -> None:
        kind = f"{method} {name.partition('/')[0]}"
        if method in ("list", "get") and kind not in seen:
            seen.append(kind)
            raise StorageError(503, "Backend Error")

    cloud.emulator.faults.fail("CreateBatchPredictionJob", grpc.StatusCode.UNAVAILABLE)
    cloud.emulator.faults.fail("ListBatchPredictionJobs", grpc.StatusCode.UNAVAILABLE)
    begin(cloud, "run-2")
    minutes(cloud, 4)
    assert len(jobs(cloud)) == 1, "nothing is known to have begun, so it is looked for before it is asked again"
    minutes(cloud, 8)
    assert len(jobs(cloud)) == 2
    cloud.emulator.faults.fail("GetBatchPredictionJob", grpc.StatusCode.UNAVAILABLE)
    cloud.storage.before = fail
    until_judged(cloud, "2")
    assert {"list churn", "get churn"} <= set(seen), seen
    assert "passes the gate" in " ".join(entry.sentence for entry in cloud.ledger("2"))
    assert [job.state for job in jobs(cloud)] == ["SUCCEEDED", "SUCCEEDED"]


def test_two_steps_at_the_same_moment_ask_once(cloud: Cloud) -> None:
    """GIVEN a queued version WHEN a second step is taken in the middle of the first one's look THEN one of the two has asked."""
    first(cloud)
    cloud.register("run-2")
    behave(cloud, "2")
    cloud.deliver(topics.MODEL_UPLOADED)
    due = rollout_due_message(RolloutDue(cloud.rollout("2").id))
    inside: list[int] = []

    def step_in(method: str, _: str) -> None:
        if method == "list" and not inside:
            inside.append(0)
            inside[0] = cloud.wake("advance_rollout", due)

    cloud.storage.before = step_in
    assert cloud.wake("advance_rollout", due) == 500, "it is decided again"
    assert inside == [200]
    assert cloud.wake("advance_rollout", due) == 200
    assert [job.label[:8] for job in jobs(cloud)] == ["churn-v1", "churn-v2"]
    assert sum("Asking v2" in entry.sentence for entry in cloud.ledger("2")) == 1


def test_a_rollout_that_ends_takes_its_job_with_it(cloud: Cloud, signed: Issuer) -> None:
    first(cloud)
    begin(cloud, "run-2")
    minutes(cloud, 3)
    assert [job.state for job in jobs(cloud)] == ["SUCCEEDED", "RUNNING"]
    assert cloud.tick("retire_models") == 200
    assert jobs(cloud)[1].state == "RUNNING", "somebody waits for it"
    cloud.tell("abort", "2")
    assert cloud.tick("retire_models") == 200
    assert [job.state for job in jobs(cloud)] == ["SUCCEEDED", "CANCELLED"]
    said = [e.sentence for e in cloud.world.store.ledger(model=MODEL) if e.actor == "retire_models"]
    assert said == [f"Cancelled the batch prediction of v2 on {SET}: no rollout waits for it any more"]
    assert cloud.split() == {"1": 100}


def test_a_job_that_fails_means_what_the_policy_says_and_is_asked_again_when_a_person_says_so(
    cloud: Cloud, signed: Issuer
) -> None:
    first(cloud)
    cloud.storage.delete("golden", "churn/part-1.jsonl", None)
    cloud.storage.insert("golden", "churn/part-1.jsonl", b"no JSON", {}, None)
    begin(cloud, "run-2")
    assert "Asking v2 and the champion v1" in cloud.rollout("2").sentence, "it is another set now"
    until_judged(cloud, "2")
    rejected = cloud.rollout("2")
    assert rejected.phase is Phase.REJECTED
    assert f"the batch prediction of v2 on {SET} failed: " in rejected.sentence
    assert "is not JSON" in rejected.sentence
    write_set(cloud)
    cloud.tell("retry", "2")
    until_judged(cloud, "2")
    assert cloud.rollout("2").phase is not Phase.REJECTED, cloud.rollout("2").sentence


def test_a_job_beyond_its_deadline_is_given_up_and_cancelled_and_may_pass(cloud: Cloud) -> None:
    write_set(cloud)
    cloud.apply(examined({"deadline": "5m", "failed": "pass"}))
    begin(cloud, "run-1")
    minutes(cloud, 7)
    said = next(e.sentence for e in cloud.ledger("1") if "passes the gate" in e.sentence)
    assert f"v1 on {SET} failed: it did not end within 5m; the policy lets it pass" in said
    assert cloud.tick("retire_models") == 200
    assert [job.state for job in jobs(cloud)] == ["CANCELLED"]


def test_the_set_may_be_a_table_and_a_model_that_refuses_instances_fails(cloud: Cloud) -> None:
    write_set(cloud)
    cloud.apply(examined({"instances": TABLE, "compare": []}))
    begin(cloud, "run-1", outputs={"score": Output(0.5, 0.15, 0, 1)})
    until_judged(cloud, "1")
    assert f"on {SIZE} instances of {TABLE}" in passed(cloud, "1")
    begin(cloud, "run-2", error_rate=1.0)
    until_judged(cloud, "2")
    assert f"answered 0 % < 100 % (0 of {SIZE} instances)" in cloud.rollout("2").sentence
