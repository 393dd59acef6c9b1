"""Several endpoints of one model: delivered in order, each with its own trial, stopped by the first failure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from typer.testing import CliRunner

from local.stepped import PROJECT, REGION
from rollouts_cli.main import app
from shared.policy.schema import Policy
from shared.rollout.names import rollout_id
from shared.rollout.observed import TargetRef
from shared.rollout.record import LedgerEntry, Phase, Rollout
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ENDPOINT, MODEL, judged

SECOND, THIRD = "churn-second", "churn-third"
ALL = (ENDPOINT, SECOND, THIRD)
STAGES = [{"traffic": 20, "bake": "5m"}, {"traffic": 100}]


def in_order(**rollout: object) -> Policy:
    """Three endpoints, one stage before all the traffic, a watch of twenty minutes."""
    targets = [{"region": REGION, "endpoint": name} for name in ALL]
    standby = {"hold": "10m", "for": "20m", "replicas": 1}
    return judged(targets=targets, rollout={"stages": STAGES, "standby": standby, **rollout})


def on(cloud: Cloud, endpoint: str, version: str) -> Rollout:
    """A version's rollout on one endpoint."""
    stored = cloud.world.store.get_rollout(rollout_id(MODEL, version, TargetRef(PROJECT, REGION, endpoint)))
    assert stored is not None, f"no rollout of v{version} on {endpoint}"
    return stored.rollout


def phases(cloud: Cloud, version: str) -> list[Phase]:
    """Where a version is, endpoint by endpoint."""
    return [on(cloud, name, version).phase for name in ALL]


def pass_minutes(cloud: Cloud, number: int, errors: Mapping[str, Mapping[str, float]] | None = None) -> None:
    """So many minutes with traffic on every endpoint, all rules of the order held in each.

    ``errors`` is the share of failed requests by endpoint and version.
    """
    for _ in range(number):
        for name in ALL:
            cloud.serve(300, (errors or {}).get(name, {}), name)
        cloud.advance(minutes=1)
        assert cloud.tick("assess_rollouts") == 200
        cloud.settle()
        for version in cloud.versions():
            under_way = [p for p in phases(cloud, version) if p.is_open and p is not Phase.QUEUED]
            assert len(under_way) <= 1, f"v{version} is under way on two endpoints at once"


def until_settled(cloud: Cloud, version: str, errors: Mapping[str, Mapping[str, float]] | None = None) -> None:
    """Until a version's journey is over on every endpoint."""
    for _ in range(60):
        if not any(phase.is_open for phase in phases(cloud, version)):
            return
        pass_minutes(cloud, 5, errors)
    raise AssertionError(f"v{version} did not come to an end: {[on(cloud, name, version).sentence for name in ALL]}")


def delivered_everywhere(cloud: Cloud) -> None:
    """Version 1, which nobody judges, has all the traffic of all three endpoints; what comes after it is judged."""
    cloud.apply(in_order(checks=[]))
    cloud.register("run-1")
    cloud.settle()
    for _ in range(60):
        if not any(phase.is_open for phase in phases(cloud, "1")):
            break
        cloud.advance(minutes=4)
        assert cloud.tick("assess_rollouts") == 200
        cloud.settle()
    assert [cloud.split(name) for name in ALL] == [{"1": 100}] * 3
    cloud.apply(in_order())


def told(cloud: Cloud, endpoint: str, version: str) -> list[LedgerEntry]:
    return cloud.world.store.ledger(rollout=on(cloud, endpoint, version).id)


def test_a_version_goes_from_target_to_target_and_is_champion_after_the_last(cloud: Cloud) -> None:
    delivered_everywhere(cloud)
    cloud.register("run-2")
    cloud.settle()
    champions = []
    for number, name in enumerate(ALL):
        while on(cloud, name, "2").phase is not Phase.WATCHING:
            pass_minutes(cloud, 1)
            assert [cloud.split(later) for later in ALL[number + 1 :]] == [{"1": 100}] * (2 - number), "not their turn"
        champions.append(cloud.aliases()["champion"])
        while on(cloud, name, "2").phase is Phase.WATCHING:
            pass_minutes(cloud, 1)
    assert champions == ["1", "1", "2"], "the alias moves with the last target, not with the first"
    assert phases(cloud, "2") == [Phase.PROMOTED] * 3
    assert [cloud.split(name) for name in ALL] == [{"2": 100}] * 3
    for name in ALL:
        trial = [entry for entry in told(cloud, name, "2") if entry.decision == "promote"]
        assert len(trial) == 1
        assert "error_rate 0 % <= 1 %" in trial[0].sentence, "each target judges what it has served itself"


def test_a_failure_on_the_second_target_is_undone_there_and_never_reaches_the_third(cloud: Cloud) -> None:
    delivered_everywhere(cloud)
    cloud.register("run-2")
    cloud.settle()
    until_settled(cloud, "2", {SECOND: {"2": 0.2}})
    assert phases(cloud, "2") == [Phase.PROMOTED, Phase.ROLLED_BACK, Phase.REJECTED]
    assert [cloud.split(name) for name in ALL] == [{"2": 100}, {"1": 100}, {"1": 100}]
    stopped = told(cloud, THIRD, "2")[-1]
    assert (stopped.decision, stopped.traffic_after) == ("reject", None)
    assert f"Stopped v2: on target {PROJECT}/{REGION}/{SECOND} it was rolled_back" in stopped.sentence
    assert "error_rate" in stopped.sentence, "why, with the numbers of the target that failed"
    pass_minutes(cloud, 2)
    assert cloud.aliases()["champion"] == "1", "a version that one target refused is no champion"
    third = cloud.endpoint(THIRD)
    assert third is not None
    assert [d.version for d in third.deployed] == ["1"], "no machine was paid for it there"
    asked = on(cloud, SECOND, "2").id
    shown = CliRunner().invoke(app, ["get", asked]).stdout
    assert shown[shown.index("\nTargets") :].splitlines()[1:4] == [
        f"Targets   us-central1/{ENDPOINT}  ✔ promoted  2/2  {on(cloud, ENDPOINT, '2').id}",
        f"          us-central1/{SECOND}  ✖ rolled back  1/2  (this one)",
        f"          us-central1/{THIRD}  ✖ rejected  0/2  {on(cloud, THIRD, '2').id}",
    ]
    told_of = json.loads(CliRunner().invoke(app, ["get", asked, "--json"]).stdout)["targets"]
    assert [(one["target"]["endpoint"], one["state"]) for one in told_of] == [
        (ENDPOINT, "promoted"),
        (SECOND, "rolled_back"),
        (THIRD, "rejected"),
    ]


def test_a_newer_version_and_a_restart_in_between_targets_lose_nothing(cloud: Cloud) -> None:
    """GIVEN v2 promoted on the first of three WHEN every function starts anew and v3 comes THEN
    v3 has everything in the end, each target promoted it once, and nothing of v2 is left open.
    """
    delivered_everywhere(cloud)
    cloud.register("run-2")
    cloud.settle()
    while on(cloud, ENDPOINT, "2").phase is not Phase.PROMOTED:
        pass_minutes(cloud, 1)
    cloud.published("rollout-due")  # hints that are lost
    cloud.open()  # another process: nothing is remembered but what is stored
    cloud.register("run-3")
    cloud.settle()
    until_settled(cloud, "3")
    pass_minutes(cloud, 2)
    assert phases(cloud, "3") == [Phase.PROMOTED] * 3
    assert not any(phase.is_open for phase in phases(cloud, "2"))
    assert [cloud.split(name) for name in ALL] == [{"3": 100}] * 3
    assert cloud.aliases()["champion"] == "3"
    for name in ALL:
        decisions = [entry.decision for entry in told(cloud, name, "3")]
        assert decisions.count("promote") == 1, f"promoted once on {name}, not {decisions}"
