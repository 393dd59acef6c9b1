"""What a person changes about a rollout: begin again what never had traffic, judge by another policy, put a saving back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from local.identity import Issuer
from local.stepped import PROJECT, REGION
from shared.events.model import ModelUploaded, model_uploaded_message
from shared.events.rollout import RolloutDue, rollout_due_message
from shared.rollout.record import Phase, Rollout
from shared.rollout.statistics.process import e_value
from shared.store.savings import StoredSaving
from tests.functional.functions.harness import AUDIENCE, Cloud
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
    assert (status, "only what ended without the traffic" in answer["error"]) == (409, True)


def taken_back(cloud: Cloud, **changes: Any) -> Rollout:
    """Version 2 was rolled back from its first share; whatever was on the way has arrived."""
    cloud.apply(judged(**changes))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(5, errors={"2": 0.3})
    assert cloud.split() == {"1": 100}
    first = cloud.rollout("2")
    assert first.phase is Phase.ROLLED_BACK
    return first


def refused(cloud: Cloud, rollout: Rollout, **more: Any) -> str:
    """What is answered to who wants it again."""
    status, answer = cloud.command({"command": "retry", "rollout": rollout.id, **more})
    assert status == 409, answer
    return str(answer["error"])


def come_to_its_first_share(cloud: Cloud) -> None:
    for _ in range(3):
        cloud.advance(minutes=11)
        cloud.tick("assess_rollouts")
        cloud.settle()


def test_what_was_taken_back_gets_a_second_trial_only_from_who_says_why(cloud: Cloud, signed: Issuer) -> None:
    first = taken_back(cloud)
    said = refused(cloud, first)
    assert f"`rollouts retry {first.id} --again --reason WHY`" in said
    assert "say with --reason why" in refused(cloud, first, again=True)
    cloud.minutes(12, requests=0)
    assert cloud.split() == {"1": 100}, "nothing tries it again by itself"
    assert cloud.world.store.unsettled_rollouts() == []
    status, answer = cloud.command(
        {"command": "retry", "rollout": first.id, "again": True, "reason": "the feature store was down"}
    )
    assert (status, answer["phase"]) == (200, "queued")
    assert answer["rollout"] != first.id
    assert answer["sentence"].startswith("ann@example.com begins v2 again (it was rolled back: ")
    assert answer["sentence"].endswith(": the feature store was down")
    assert cloud.split() == {"1": 100}, "a second trial begins without traffic"
    assert f"was begun again as {answer['rollout']}, which is queued" in refused(cloud, first, again=True, reason="x")
    come_to_its_first_share(cloud)
    assert cloud.split() == {"1": 90, "2": 10}
    assert cloud.rollout("2").id == answer["rollout"]
    kept = cloud.world.store.get_rollout(first.id)
    assert kept is not None
    assert replace(kept.rollout, aliases_due=True) == first, "the first trial stays as it ended"
    pointer = cloud.world.store.ledger(rollout=first.id)[-1]
    assert pointer.sentence == f"Begun again as {answer['rollout']} by ann@example.com: the feature store was down"
    cloud.minutes(16)
    assert cloud.split() == {"2": 100}
    assert cloud.aliases()["champion"] == "2"


def test_nothing_that_was_said_of_the_first_trial_moves_the_second(cloud: Cloud, signed: Issuer) -> None:
    first = taken_back(cloud)
    alert = cloud.alarm(rollout=first.id, deployed_model=first.deployed_id)
    cloud.tell("retry", "2", again=True, reason="the feature store was down")
    come_to_its_first_share(cloud)
    assert cloud.split() == {"1": 90, "2": 10}
    second = cloud.rollout("2")
    uploaded = ModelUploaded(PROJECT, REGION, MODEL, "2", None, None)
    for event, function in (
        (alert, "roll_back"),
        (cloud.alarm(rollout=first.id), "roll_back"),
        (rollout_due_message(RolloutDue(first.id)), "advance_rollout"),
        (model_uploaded_message(uploaded), "start_rollout"),
    ):
        assert cloud.wake(function, event) == 200
        cloud.settle()
    assert cloud.split() == {"1": 90, "2": 10}
    assert cloud.rollout("2") == second
    cloud.minutes(5, errors={"2": 0.3})
    assert cloud.split() == {"1": 100}, "the second is taken back like any other"
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    third = cloud.tell("retry", "2", again=True, reason="and once more")
    assert third.startswith("ann@example.com begins v2 again")
    assert len({r.id for r in cloud.world.store.rollouts_of_model(MODEL) if r.version == "2"}) == 3


def test_a_trial_that_a_newer_version_has_overtaken_is_not_begun_again(cloud: Cloud, signed: Issuer) -> None:
    first = taken_back(cloud)
    cloud.deploy("run-3")
    assert cloud.split() == {"1": 90, "3": 10}
    cloud.minutes(16)
    assert cloud.split() == {"3": 100}
    said = refused(cloud, first, again=True, reason="v3 is odd")
    assert said.startswith("v3 is newer than v2 and has the traffic of ")
    assert "an older version comes back as a new upload" in refused(
        cloud, cloud.rollout("1"), again=True, reason="v1 was good"
    )


def test_only_operators_give_a_second_trial_and_an_observer_gives_none(cloud: Cloud, signed: Issuer) -> None:
    first = taken_back(cloud, access={"operators": ["bob@example.com"]})
    body = {"command": "retry", "rollout": first.id, "again": True, "reason": "please"}
    assert cloud.command(body)[0] == 403
    cloud.apply(judged(mode="observe", access={"operators": ["ann@example.com"]}))
    assert cloud.command(body)[0] == 403, "those whom the policy of the rollout names"
    status, answer = cloud.command(body, signed.mint("bob@example.com", AUDIENCE))
    assert (status, "only observed" in answer["error"]) == (409, True)
    assert [r.id for r in cloud.world.store.rollouts_of_model(MODEL) if r.version == "2"] == [first.id]


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


def test_changed_checks_in_the_middle_of_a_stage_judge_what_is_served_from_then_on(
    cloud: Cloud, signed: Issuer
) -> None:
    """Eight errors in a thousand: fine by the first policy, harm by the second."""
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(4, errors={"2": 0.008}, requests=20_000)
    cloud.apply(judged(rollout={"checks": [{"metric": "error_rate", "at_most": "0.1%"}]}))
    cloud.minutes(1, errors={"2": 0.008}, requests=20_000)
    assert cloud.rollout("2").policy_version == 1, "an open rollout keeps the policy it began with"
    assert cloud.rollout("2").phase is Phase.CANARY
    cloud.tell("set-policy", "2", reason="stricter")
    assert cloud.split() == {"1": 90, "2": 10}, "what was served under the former checks is no evidence of the new ones"
    cloud.minutes(2, errors={"2": 0.008}, requests=20_000)
    assert cloud.rollout("2").phase is Phase.CANARY, "the change settles as a shift does, and metrics come late"
    cloud.minutes(3, errors={"2": 0.008}, requests=20_000)
    assert cloud.split() == {"1": 100}
    ended = cloud.rollout("2")
    assert ended.phase is Phase.ROLLED_BACK
    assert "error_rate 0.8 % > 0.1 % (16 of 2000 requests)" in ended.sentence, (
        "of one minute, the first under the new ones"
    )


def test_a_check_that_is_taken_away_in_the_middle_of_a_stage_is_not_asked_any_more(
    cloud: Cloud, signed: Issuer
) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(3, errors={"2": 0.3})  # would fail with the next minute
    cloud.apply(judged(rollout={"checks": [{"metric": "error_rate", "at_most": "50%"}]}))
    cloud.tell("set-policy", "2", reason="the errors are known, and are the client's")
    begun = cloud.rollout("2").stage_since
    cloud.minutes(5, errors={"2": 0.3})
    assert cloud.split() == {"1": 90, "2": 10}, "its bake time began anew"
    assert cloud.rollout("2").stage_since == begun
    cloud.minutes(3, errors={"2": 0.3})
    assert cloud.split() == {"1": 50, "2": 50}


def test_evidence_of_former_checks_neither_advances_nor_condemns_under_others(cloud: Cloud, signed: Issuer) -> None:
    """By evidence, what was proven outlives a stage: but not the checks that it is about."""
    proving = {"advance": "evidence", "confidence": {"harm": 0.01, "no_harm": 0.05}}
    cloud.apply(judged(rollout=proving))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.minutes(5, requests=9000)
    id_ = cloud.rollout("2").id
    before = cloud.world.store.evidence.of(id_)
    assert before is not None
    assert before.proof.policy == 1
    shown = e_value(before.proof.plain["0/under"])
    assert shown > 20, "below 1 %: enough for a stage to end once it has baked"
    cloud.apply(judged(rollout={**proving, "checks": [{"metric": "error_rate", "at_most": "0.01%"}]}))
    cloud.tell("set-policy", "2")
    cloud.minutes(5, requests=9000)
    after = cloud.world.store.evidence.of(id_)
    assert after is not None
    assert after.proof.policy == 2
    assert e_value(after.proof.plain["0/under"]) < 20, "as many requests do not show that they are below 0.01 %"
    assert cloud.split() == {"1": 90, "2": 10}


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
