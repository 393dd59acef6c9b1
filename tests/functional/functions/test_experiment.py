"""Experiments through the real functions: the three scorers with a known best and with none, arms that do harm, interruptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from local.stepped import REGION
from shared.errors import PermanentError
from shared.events.quality import QualityReported, Reported, quality_reported_message
from shared.policy.schema import Policy
from shared.rollout.record import Phase, Rollout
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ENDPOINT, ERRORS, policy

EXPERIMENT: dict[str, Any] = {
    "by": "scorer",
    "arms": ["perspectival", "participatory"],
    "share": 20,
    "objective": {"metric": "relevance", "good_from": 0.7},
    "bake": "5m",
    "within": "25m",
}
CONTROL, PERSPECTIVAL, PARTICIPATORY = "1", "2", "3"
"""Versions, in the order in which their training runs end."""
BETTER = {CONTROL: 0.70, PERSPECTIVAL: 0.80, PARTICIPATORY: 0.50}
SAME = dict.fromkeys(BETTER, 0.7)


def ablation(drift: str = "pause", **changes: Any) -> Policy:
    stages = [{"traffic": 50, "bake": "5m"}, {"traffic": 100}]
    rollout = {"strategy": "experiment", "experiment": EXPERIMENT | changes, "stages": stages, "checks": [ERRORS]}
    rollout["drift"] = drift
    return policy(rollout=rollout)


def begin(cloud: Cloud, **changes: Any) -> Cloud:
    """The propositional scorer has the traffic; the two others are arms of an experiment beside it."""
    cloud.apply(ablation(**changes))
    cloud.deploy("run-1", labels={"scorer": "propositional"})
    cloud.register("run-2", labels={"scorer": "perspectival"})
    cloud.settle()
    cloud.minutes(3)
    assert cloud.rollout(PERSPECTIVAL).phase is Phase.QUEUED
    cloud.register("run-3", labels={"scorer": "participatory"})
    cloud.settle()
    for span in (1, 11, 1, 11, 1, 1):
        cloud.advance(minutes=span)
        cloud.tick("assess_rollouts")
        cloud.settle()
    assert cloud.split() == {CONTROL: 60, PERSPECTIVAL: 20, PARTICIPATORY: 20}, lead(cloud).sentence
    return cloud


@pytest.fixture
def scorers(cloud: Cloud) -> Cloud:
    return begin(cloud)


def lead(cloud: Cloud) -> Rollout:
    """The experiment's rollout."""
    found = [r for r in cloud.world.store.rollouts_of_model("churn") if r.arms]
    assert len(found) == 1
    return found[0]


def deployed(cloud: Cloud, version: str) -> str:
    endpoint = cloud.endpoint()
    assert endpoint is not None
    return next(d.id for d in endpoint.deployed if d.version == version)


def minutes(cloud: Cloud, number: int, good: Mapping[str, float], errors: Mapping[str, float] | None = None) -> None:
    """So many minutes in which each arm reports how relevant its answers were."""
    for _ in range(number):
        for version, share in cloud.split().items():
            images = 8 * share
            right = round(images * good[version])
            values = Reported("values", (0.9,) * right + (0.4,) * (images - right))
            report = QualityReported(
                REGION, ENDPOINT, f"{cloud.now}/{version}", deployed(cloud, version), {"relevance": values}
            )
            assert cloud.wake("record_quality", quality_reported_message(report)) == 200
        cloud.minutes(1, errors=errors)


def sentences(cloud: Cloud, decision: str) -> list[str]:
    return [e.sentence for e in cloud.world.store.ledger(rollout=lead(cloud).id) if e.decision == decision]


def test_the_best_scorer_wins_the_worst_is_dropped_early_and_its_share_goes_to_the_control(scorers: Cloud) -> None:
    shares = []
    for _ in range(40):
        minutes(scorers, 1, BETTER)
        shares.append(scorers.split())
        if lead(scorers).phase is Phase.WATCHING:
            break
    assert {CONTROL: 80, PERSPECTIVAL: 20} in shares, "what was dropped went to the control"
    assert {PERSPECTIVAL: 50, CONTROL: 50} in shares, "the winner went on by the stages"
    assert scorers.split() == {PERSPECTIVAL: 100}
    (dropped,) = sentences(scorers, "drop")
    assert "participatory v3 is worse than" in dropped
    won = next(s for s in sentences(scorers, "advance") if "is the best" in s)
    assert "perspectival v2 is the best: evidence" in won
    rollout = lead(scorers)
    assert (rollout.version, [bool(arm.out) for arm in rollout.arms]) == (PERSPECTIVAL, [False, True])
    scorers.minutes(1)
    assert scorers.aliases()["champion"] == PERSPECTIVAL
    scorers.advance(minutes=15)
    scorers.tick("retire_models")
    scorers.advance(minutes=5)
    endpoint = scorers.endpoint()
    assert endpoint is not None
    assert {d.version for d in endpoint.deployed} == {CONTROL, PERSPECTIVAL}, "the fallback stays, the loser goes"


def test_with_no_best_scorer_the_control_keeps_the_traffic(scorers: Cloud) -> None:
    minutes(scorers, 29, SAME)
    assert scorers.split() == {CONTROL: 100}
    rollout = lead(scorers)
    assert rollout.phase is Phase.ROLLED_BACK
    assert "no arm was shown to be the best within 25m" in rollout.sentence
    assert not sentences(scorers, "drop")


def test_an_arm_that_fails_is_dropped_and_when_both_do_the_control_has_everything_again(scorers: Cloud) -> None:
    for _ in range(6):
        minutes(scorers, 1, SAME, errors={PARTICIPATORY: 0.4})
    assert scorers.split() == {CONTROL: 80, PERSPECTIVAL: 20}
    (dropped,) = sentences(scorers, "drop")
    assert "participatory v3: error_rate 40 % > 1 %" in dropped
    for _ in range(9):
        minutes(scorers, 1, SAME, errors={PERSPECTIVAL: 0.5})
    assert scorers.split() == {CONTROL: 100}
    assert lead(scorers).phase is Phase.ROLLED_BACK
    assert scorers.world.store.busy(lead(scorers).target) == ""
    scorers.minutes(1)
    assert scorers.aliases() == {"champion": CONTROL, "default": CONTROL}


def test_an_arm_that_somebody_has_set_to_nothing_is_dropped_when_it_has_failed(cloud: Cloud) -> None:
    begin(cloud, drift="adopt")
    minutes(cloud, 2, SAME, errors={PARTICIPATORY: 0.4})
    cloud.move({CONTROL: 80, PERSPECTIVAL: 20})
    minutes(cloud, 5, SAME)
    (dropped,) = sentences(cloud, "drop")
    assert "participatory v3, which has no share any more: participatory v3: error_rate 40 % > 1 %" in dropped
    assert cloud.split() == {CONTROL: 80, PERSPECTIVAL: 20}
    minutes(cloud, 20, SAME)
    assert lead(cloud).phase is Phase.ROLLED_BACK, "the other is judged to the end"
    assert "no arm was shown to be the best" in lead(cloud).sentence
    assert len(sentences(cloud, "drop")) == 1


def test_an_alert_drops_the_arm_that_it_names_although_the_store_is_down(scorers: Cloud) -> None:
    minutes(scorers, 4, SAME)
    alert = scorers.alarm(deployed_model=deployed(scorers, PARTICIPATORY))
    with scorers.without_store():
        assert scorers.wake("roll_back", alert) == 500
        assert scorers.split() == {CONTROL: 80, PERSPECTIVAL: 20}
    assert scorers.wake("roll_back", alert) == 200
    scorers.minutes(1)
    assert [arm.name for arm in lead(scorers).arms if arm.out] == ["participatory"]
    assert len(sentences(scorers, "drop")) == 1, "found on the endpoint, written once"
    minutes(scorers, 3, SAME)
    assert lead(scorers).phase is Phase.EXPERIMENT


def test_an_alert_that_names_nobody_takes_every_arm_back(scorers: Cloud) -> None:
    minutes(scorers, 4, SAME)
    scorers.wake("roll_back", scorers.alarm())
    assert scorers.split() == {CONTROL: 100}
    assert lead(scorers).phase is Phase.ROLLED_BACK


def test_a_person_ends_an_experiment_and_a_newer_version_waits_meanwhile(scorers: Cloud, signed: object) -> None:
    scorers.register("run-4", labels={"scorer": "perspectival"})
    scorers.settle()
    minutes(scorers, 2, SAME)
    assert scorers.rollout("4").phase is Phase.QUEUED
    status, answer = scorers.command({"command": "abort", "rollout": lead(scorers).id, "reason": "not today"})
    assert status == 200, answer
    scorers.settle()
    assert scorers.split() == {CONTROL: 100}
    assert lead(scorers).phase is Phase.ROLLED_BACK
    scorers.minutes(2)
    assert scorers.rollout("4").phase is Phase.QUEUED, "its experiment waits for another arm"


def test_a_winner_that_a_person_has_to_agree_to_waits(cloud: Cloud, signed: object) -> None:
    begin(cloud, winner="ask")
    minutes(cloud, 16, BETTER)
    rollout = lead(cloud)
    assert rollout.hold is not None
    assert "perspectival v2 is the best" in rollout.hold.reason
    status, answer = cloud.command({"command": "promote", "rollout": rollout.id})
    assert status == 200, answer
    cloud.settle()
    cloud.minutes(2)
    assert cloud.split() == {PERSPECTIVAL: 50, CONTROL: 50}


def test_a_version_that_is_no_arm_is_rejected(scorers: Cloud) -> None:
    scorers.wake("roll_back", scorers.alarm())
    scorers.register("run-4", labels={"scorer": "procedural"})
    scorers.settle()
    scorers.minutes(1)
    assert scorers.rollout("4").sentence.startswith("Rejected v4: its label scorer names no arm of the experiment")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ["a", "b", "a"]}, "arm a is there twice"),
        ({"share": 50}, "2 arms of 50 % leave the control less than 10 %"),
        ({"objective": {"metric": "relevance"}}, "what is good of relevance is not said by one edge"),
        ({"objective": {"metric": "error_rate", "good_to": 1}}, "good_to cannot stand beside error_rate"),
        ({"within": "1m"}, "1m is too short to be judged"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        ablation(**changes)
