"""Several endpoints of one model: delivered in order, each with its own trial, stopped by the first failure."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from local.stepped import PROJECT, REGION
from rollouts_cli.main import app
from shared.policy.schema import Policy
from shared.rollout.observed import TargetRef
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.journeys import Errors, Journey
from tests.functional.functions.policies import ENDPOINT, judged

FIRST, SECOND, THIRD = ALL = tuple(
    TargetRef(PROJECT, REGION, name) for name in (ENDPOINT, "churn-second", "churn-third")
)
STAGES = [{"traffic": 20, "bake": "5m"}, {"traffic": 100}]


def in_order(**rollout: object) -> Policy:
    """Three endpoints, one stage before all the traffic, a watch of twenty minutes."""
    targets = [{"region": REGION, "endpoint": ref.endpoint} for ref in ALL]
    standby = {"hold": "10m", "for": "20m", "replicas": 1}
    return judged(targets=targets, rollout={"stages": STAGES, "standby": standby, **rollout})


class InOrder(Journey):
    """All rules of the order are held in each minute."""

    def minutes(self, number: int, errors: Errors | None = None) -> None:
        for _ in range(number):
            super().minutes(1, errors)
            for version in self.cloud.versions():
                under_way = [p for p in self.phases(version) if p.is_open and p is not Phase.QUEUED]
                assert len(under_way) <= 1, f"v{version} is under way on two endpoints at once"


def delivered_everywhere(cloud: Cloud) -> Journey:
    """Version 1, which nobody judges, has all the traffic of all three endpoints; what comes after it is judged."""
    journey = InOrder(cloud, ALL)
    cloud.apply(in_order(checks=[]))
    cloud.register("run-1")
    cloud.settle()
    journey.deliver_unjudged("1")
    cloud.apply(in_order())
    return journey


def test_a_version_goes_from_target_to_target_and_is_champion_after_the_last(cloud: Cloud) -> None:
    journey = delivered_everywhere(cloud)
    cloud.register("run-2")
    cloud.settle()
    champions = []
    for number, ref in enumerate(ALL):
        while journey.on(ref, "2").phase is not Phase.WATCHING:
            journey.minutes(1)
            assert [cloud.split(later) for later in ALL[number + 1 :]] == [{"1": 100}] * (2 - number), "not their turn"
        champions.append(cloud.aliases()["champion"])
        while journey.on(ref, "2").phase is Phase.WATCHING:
            journey.minutes(1)
    assert champions == ["1", "1", "2"], "the alias moves with the last target, not with the first"
    assert journey.phases("2") == [Phase.PROMOTED] * 3
    assert journey.splits() == [{"2": 100}] * 3
    for ref in ALL:
        trial = [entry for entry in journey.told(ref, "2") if entry.decision == "promote"]
        assert len(trial) == 1
        assert "error_rate 0 % <= 1 %" in trial[0].sentence, "each target judges what it has served itself"


def test_a_failure_on_the_second_target_is_undone_there_and_never_reaches_the_third(cloud: Cloud) -> None:
    journey = delivered_everywhere(cloud)
    cloud.register("run-2")
    cloud.settle()
    journey.until_settled("2", {SECOND: {"2": 0.2}})
    assert journey.phases("2") == [Phase.PROMOTED, Phase.ROLLED_BACK, Phase.REJECTED]
    assert journey.splits() == [{"2": 100}, {"1": 100}, {"1": 100}]
    stopped = journey.told(THIRD, "2")[-1]
    assert (stopped.decision, stopped.traffic_after) == ("reject", None)
    assert f"Stopped v2: on target {SECOND} it was rolled_back" in stopped.sentence
    assert "error_rate" in stopped.sentence, "why, with the numbers of the target that failed"
    journey.minutes(2)
    assert cloud.aliases()["champion"] == "1", "a version that one target refused is no champion"
    third = cloud.endpoint(THIRD)
    assert third is not None
    assert [d.version for d in third.deployed] == ["1"], "no machine was paid for it there"
    asked = journey.on(SECOND, "2").id
    shown = CliRunner().invoke(app, ["get", asked]).stdout
    assert shown[shown.index("\nTargets") :].splitlines()[1:4] == [
        f"Targets   us-central1/{FIRST.endpoint}  ✔ promoted  2/2  {journey.on(FIRST, '2').id}",
        f"          us-central1/{SECOND.endpoint}  ✖ rolled back  1/2  (this one)",
        f"          us-central1/{THIRD.endpoint}  ✖ rejected  0/2  {journey.on(THIRD, '2').id}",
    ]
    told_of = json.loads(CliRunner().invoke(app, ["get", asked, "--json"]).stdout)["targets"]
    assert [(one["target"]["endpoint"], one["state"]) for one in told_of] == [
        (FIRST.endpoint, "promoted"),
        (SECOND.endpoint, "rolled_back"),
        (THIRD.endpoint, "rejected"),
    ]


def test_a_newer_version_and_a_restart_in_between_targets_lose_nothing(cloud: Cloud) -> None:
    """GIVEN v2 promoted on the first of three WHEN every function starts anew and v3 comes THEN
    v3 has everything in the end, each target promoted it once, and nothing of v2 is left open.
    """
    journey = delivered_everywhere(cloud)
    cloud.register("run-2")
    cloud.settle()
    journey.until(FIRST, "2", Phase.PROMOTED)
    cloud.published("rollout-due")  # hints that are lost
    cloud.open()  # another process: nothing is remembered but what is stored
    cloud.register("run-3")
    cloud.settle()
    journey.until_settled("3")
    journey.minutes(2)
    assert journey.phases("3") == [Phase.PROMOTED] * 3
    assert not any(phase.is_open for phase in journey.phases("2"))
    assert journey.splits() == [{"3": 100}] * 3
    assert cloud.aliases()["champion"] == "3"
    for ref in ALL:
        decisions = [entry.decision for entry in journey.told(ref, "3")]
        assert decisions.count("promote") == 1, f"promoted once on {ref}, not {decisions}"
