"""Targets in several regions and projects: the version is copied to each in its turn, and is one version everywhere."""

from __future__ import annotations

from typing import Any

from local.stepped import PROJECT, REGION
from shared.policy.schema import Policy
from shared.rollout.observed import TargetRef
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.journeys import Journey
from tests.functional.functions.policies import ENDPOINT, MODEL, judged, policy

EUROPE, ASIA, OTHER = "europe-west4", "asia-east1", "other-project"
HOME = TargetRef(PROJECT, REGION, ENDPOINT)
AWAY = TargetRef(PROJECT, EUROPE, ENDPOINT)
LAST = TargetRef(PROJECT, ASIA, ENDPOINT)
ALL = (HOME, AWAY, LAST)
SHORT = {
    "stages": [{"traffic": 20, "bake": "5m"}, {"traffic": 100}],
    "standby": {"hold": "10m", "for": "20m", "replicas": 1},
}


def around_the_world(**rollout: Any) -> Policy:
    """One endpoint in each of three regions, all of one name."""
    return judged(targets=[{"region": ref.region, "endpoint": ENDPOINT} for ref in ALL], rollout={**SHORT, **rollout})


def registered(cloud: Cloud, ref: TargetRef) -> dict[str, str]:
    """Number in that place to the artifact."""
    return {v.version: v.artifact_uri for v in cloud.world.registry.versions(ref.project, ref.region, MODEL)}


def champion(cloud: Cloud, ref: TargetRef) -> str:
    """The artifact of the version that has the alias there, and ``default`` with it."""
    found = {a: v for v in cloud.world.registry.versions(ref.project, ref.region, MODEL) for a in v.aliases}
    assert found["champion"] == found["default"], f"two aliases of {ref} name two versions"
    return found["champion"].artifact_uri


def delivered_everywhere(cloud: Cloud) -> Journey:
    """A first version, which nobody judges, in all regions, after one that the gate refuses: numbers differ between regions from here on."""
    cloud.apply(around_the_world(checks=[], stages=[{"traffic": 100}], standby={"hold": "1m", "for": "1m"}))
    cloud.upload(new=True, artifact_uri="gs://models/by-hand")
    cloud.published("model-uploaded")  # nobody delivers it: whoever uploaded it has no policy for it yet
    cloud.register("run-2")
    cloud.settle()
    journey = Journey(cloud, ALL)
    journey.deliver_unjudged("2")
    assert [registered(cloud, ref) for ref in ALL[1:]] == [{"1": "gs://models/run-2"}] * 2, (
        "one copy, with a number of its own"
    )
    cloud.apply(around_the_world())
    return journey


def test_a_version_goes_around_the_world_and_is_champion_everywhere_after_the_last_region(cloud: Cloud) -> None:
    journey = delivered_everywhere(cloud)
    cloud.register("run-3")
    cloud.settle()
    for number, ref in enumerate(ALL):
        while journey.on(ref, "3").phase is not Phase.WATCHING:
            journey.minutes(1)
            assert [cloud.split(later) for later in ALL[number + 1 :]] == [{"2": 100}] * (2 - number), "not its turn"
            assert all("gs://models/run-3" not in registered(cloud, later).values() for later in ALL[number + 1 :])
        journey.minutes(1)
        run = "run-3" if ref is LAST else "run-2"
        assert [champion(cloud, one) for one in ALL] == [f"gs://models/{run}"] * 3, (
            "it moves everywhere with the last region"
        )
        while journey.on(ref, "3").phase is Phase.WATCHING:
            journey.minutes(1)
    assert journey.phases("3") == [Phase.PROMOTED] * 3
    assert journey.splits() == [{"3": 100}] * 3
    copied = {"1": "gs://models/run-2", "2": "gs://models/run-3"}
    assert [registered(cloud, ref) for ref in ALL[1:]] == [copied] * 2
    for ref in ALL:
        (trial,) = [entry for entry in journey.told(ref, "3") if entry.decision == "promote"]
        assert "error_rate 0 % <= 1 %" in trial.sentence, "each region judges what it has served itself"
    sentences = " ".join(entry.sentence for entry in journey.told(AWAY, "3"))
    assert "Copying v3 from us-central1 to europe-west4" in sentences
    assert "Deploying v3 (v2 in europe-west4) beside v2" in sentences
    assert cloud.emulator.counts["CopyModel"] == 4, "each version once to each region"


def test_a_failure_in_the_watch_of_the_last_region_moves_the_champion_back_everywhere(cloud: Cloud) -> None:
    journey = delivered_everywhere(cloud)
    cloud.register("run-3")
    cloud.settle()
    journey.until(LAST, "3", Phase.WATCHING)
    journey.minutes(2)
    assert [champion(cloud, ref) for ref in ALL] == ["gs://models/run-3"] * 3
    journey.until_settled("3", {LAST: {"3": 0.2}})
    assert journey.phases("3") == [Phase.PROMOTED, Phase.PROMOTED, Phase.ROLLED_BACK]
    journey.minutes(2)
    assert journey.splits() == [{"3": 100}, {"3": 100}, {"2": 100}]
    assert [champion(cloud, ref) for ref in ALL] == ["gs://models/run-2"] * 3
    cloud.register("run-4")
    cloud.settle()
    journey.until_settled("4", {AWAY: {"4": 0.2}})
    assert journey.phases("4") == [Phase.PROMOTED, Phase.ROLLED_BACK, Phase.REJECTED]
    stopped = journey.told(LAST, "4")[-1]
    assert f"Stopped v4: on target {AWAY} it was rolled_back" in stopped.sentence
    assert "gs://models/run-4" not in registered(cloud, LAST).values(), (
        "nothing was copied for a region that was not reached"
    )
    assert journey.splits() == [{"4": 100}, {"3": 100}, {"2": 100}]


def test_a_copy_whose_answer_is_lost_and_a_newer_version_meanwhile_make_no_second_copy(cloud: Cloud) -> None:
    """GIVEN v3 on its way to the second region WHEN the answer of CopyModel is lost, every function starts anew and v4 comes THEN
    the copy is found again by what it says of itself, each version is there once, and the newest has everything in the end.
    """
    journey = delivered_everywhere(cloud)
    cloud.register("run-3")
    cloud.settle()
    cloud.emulator.faults.lose_answer("CopyModel")
    copies = cloud.emulator.counts["CopyModel"]
    while cloud.emulator.counts["CopyModel"] == copies:
        journey.serve()
        cloud.advance(minutes=1)
        cloud.tick("assess_rollouts")
        while cloud.emulator.counts["CopyModel"] == copies and (hints := cloud.published("rollout-due")):
            for hint in hints:
                cloud.wake("advance_rollout", hint.data)
                if cloud.emulator.counts["CopyModel"] > copies:
                    break
    lost = journey.on(AWAY, "3").operation
    assert lost is not None
    assert (lost.kind, lost.name) == ("copy", ""), "the intent is recorded, the answer is not"
    cloud.published("rollout-due")  # hints that are lost
    cloud.open()  # another process: nothing is remembered but what is stored
    cloud.register("run-4")
    cloud.settle()
    journey.until_settled("4")
    journey.minutes(2)
    assert journey.phases("4") == [Phase.PROMOTED] * 3
    assert not any(phase.is_open for phase in journey.phases("3"))
    assert journey.splits() == [{"4": 100}] * 3
    assert [champion(cloud, ref) for ref in ALL] == ["gs://models/run-4"] * 3
    for ref in ALL[1:]:
        artifacts = list(registered(cloud, ref).values())
        assert len(artifacts) == len(set(artifacts)), f"a version is twice in {ref.region}: {artifacts}"


def test_a_version_is_uploaded_once_more_in_another_project_and_starts_nothing_there(cloud: Cloud) -> None:
    far = TargetRef(OTHER, REGION, ENDPOINT)
    targets = [{"region": REGION, "endpoint": ENDPOINT}, {"project": OTHER, "region": REGION, "endpoint": ENDPOINT}]
    short = {"stages": [{"traffic": 100}], "standby": {"hold": "1m", "for": "1m"}}
    cloud.apply(policy(targets=targets, rollout=short))
    cloud.upload(new=True, artifact_uri="gs://models/by-hand")
    cloud.published("model-uploaded")
    cloud.register("run-2")
    cloud.settle()
    for _ in range(30):
        cloud.advance(minutes=4)
        assert cloud.tick("assess_rollouts") == 200
        cloud.settle()
    assert (cloud.split(HOME), cloud.split(far)) == ({"2": 100}, {"2": 100})
    assert (champion(cloud, HOME), champion(cloud, far)) == ("gs://models/run-2", "gs://models/run-2")
    (copied,) = cloud.world.registry.versions(OTHER, REGION, MODEL)
    assert (copied.version, copied.artifact_uri) == ("1", "gs://models/run-2")
    assert copied.labels["vr-run"] == "message-run-2", "the lineage goes with it"
    assert len(cloud.world.store.rollouts_of_model(MODEL)) == 2, "the upload of the copy is no new version"
    assert not [entry for entry in cloud.world.store.ledger(model=MODEL) if entry.decision == "note"]
