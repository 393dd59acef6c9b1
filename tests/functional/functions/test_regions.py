"""Targets in several regions and projects: the version is copied to each in its turn, and is one version everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.stepped import NUMBER, PROJECT, REGION
from shared.policy.schema import Policy
from shared.rollout.names import rollout_id
from shared.rollout.observed import TargetRef
from shared.rollout.record import LedgerEntry, Phase, Rollout
from tests.functional.functions.harness import ONLINE, Cloud
from tests.functional.functions.policies import ENDPOINT, MODEL, judged, policy
from vertex_emulator.metrics import Resource

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


def on(cloud: Cloud, ref: TargetRef, version: str) -> Rollout:
    stored = cloud.world.store.get_rollout(rollout_id(MODEL, version, ref))
    assert stored is not None, f"no rollout of v{version} on {ref}"
    return stored.rollout


def phases(cloud: Cloud, version: str) -> list[Phase]:
    return [on(cloud, ref, version).phase for ref in ALL]


def split(cloud: Cloud, ref: TargetRef) -> dict[str, int]:
    """Version to percent, each by its number at home."""
    found = cloud.world.endpoints.get(ref)
    return {d.version: found.share(d.id) for d in found.deployed if found.share(d.id)} if found else {}


def registered(cloud: Cloud, ref: TargetRef) -> dict[str, str]:
    """Number in that place to the artifact."""
    return {v.version: v.artifact_uri for v in cloud.world.registry.versions(ref.project, ref.region, MODEL)}


def champion(cloud: Cloud, ref: TargetRef) -> str:
    """The artifact of the version that has the alias there, and ``default`` with it."""
    found = {a: v for v in cloud.world.registry.versions(ref.project, ref.region, MODEL) for a in v.aliases}
    assert found["champion"] == found["default"], f"two aliases of {ref} name two versions"
    return found["champion"].artifact_uri


def serve(cloud: Cloud, ref: TargetRef, errors: Mapping[str, float]) -> None:
    """What the present split of an endpoint serves in a minute."""
    found = cloud.world.endpoints.get(ref)
    labels = {"resource_container": NUMBER, "location": ref.region, "endpoint_id": ref.endpoint}
    resource = Resource("aiplatform.googleapis.com/Endpoint", labels)
    for deployed in found.deployed if found else ():
        served = 300 * found.share(deployed.id) // 100 if found else 0
        failed = round(served * errors.get(deployed.version, 0.0))
        for code, count in (("2xx", served - failed), ("5xx", failed)):
            metric = {"deployed_model_id": deployed.id, "response_code": code, "spot": "false"}
            if count:
                cloud.monitoring.sink.add(f"{ONLINE}response_count", metric, resource, count)


def pass_minutes(cloud: Cloud, number: int, errors: Mapping[TargetRef, Mapping[str, float]] | None = None) -> None:
    """So many minutes with traffic everywhere; ``errors`` is the share of failed requests by endpoint and version."""
    for _ in range(number):
        for ref in ALL:
            serve(cloud, ref, (errors or {}).get(ref, {}))
        cloud.advance(minutes=1)
        assert cloud.tick("assess_rollouts") == 200
        cloud.settle()


def until_settled(
    cloud: Cloud, version: str, errors: Mapping[TargetRef, Mapping[str, float]] | None = None, limit: int = 60
) -> None:
    for _ in range(limit):
        if not any(phase.is_open for phase in phases(cloud, version)):
            return
        pass_minutes(cloud, 5, errors)
    raise AssertionError(f"v{version} did not come to an end: {[on(cloud, ref, version).sentence for ref in ALL]}")


def delivered_everywhere(cloud: Cloud) -> None:
    """A first version, which nobody judges, in all regions, after one that the gate refuses: numbers differ between regions from here on."""
    cloud.apply(around_the_world(checks=[], stages=[{"traffic": 100}], standby={"hold": "1m", "for": "1m"}))
    cloud.upload(new=True, artifact_uri="gs://models/by-hand")
    cloud.published("model-uploaded")  # nobody delivers it: whoever uploaded it has no policy for it yet
    cloud.register("run-2")
    cloud.settle()
    for _ in range(60):
        if not any(phase.is_open for phase in phases(cloud, "2")):
            break
        cloud.advance(minutes=4)
        assert cloud.tick("assess_rollouts") == 200
        cloud.settle()
    assert [split(cloud, ref) for ref in ALL] == [{"2": 100}] * 3
    assert [registered(cloud, ref) for ref in ALL[1:]] == [{"1": "gs://models/run-2"}] * 2, (
        "one copy, with a number of its own"
    )
    cloud.apply(around_the_world())


def told(cloud: Cloud, ref: TargetRef, version: str) -> list[LedgerEntry]:
    return cloud.world.store.ledger(rollout=on(cloud, ref, version).id)


def test_a_version_goes_around_the_world_and_is_champion_everywhere_after_the_last_region(cloud: Cloud) -> None:
    delivered_everywhere(cloud)
    cloud.register("run-3")
    cloud.settle()
    for number, ref in enumerate(ALL):
        while on(cloud, ref, "3").phase is not Phase.WATCHING:
            pass_minutes(cloud, 1)
            assert [split(cloud, later) for later in ALL[number + 1 :]] == [{"2": 100}] * (2 - number), "not its turn"
            assert all("gs://models/run-3" not in registered(cloud, later).values() for later in ALL[number + 1 :])
        pass_minutes(cloud, 1)
        run = "run-3" if ref is LAST else "run-2"
        assert [champion(cloud, one) for one in ALL] == [f"gs://models/{run}"] * 3, (
            "it moves everywhere with the last region"
        )
        while on(cloud, ref, "3").phase is Phase.WATCHING:
            pass_minutes(cloud, 1)
    assert phases(cloud, "3") == [Phase.PROMOTED] * 3
    assert [split(cloud, ref) for ref in ALL] == [{"3": 100}] * 3
    copied = {"1": "gs://models/run-2", "2": "gs://models/run-3"}
    assert [registered(cloud, ref) for ref in ALL[1:]] == [copied] * 2
    for ref in ALL:
        (trial,) = [entry for entry in told(cloud, ref, "3") if entry.decision == "promote"]
        assert "error_rate 0 % <= 1 %" in trial.sentence, "each region judges what it has served itself"
    sentences = " ".join(entry.sentence for entry in told(cloud, AWAY, "3"))
    assert "Copying v3 from us-central1 to europe-west4" in sentences
    assert "Deploying v3 (v2 in europe-west4) beside v2" in sentences
    assert cloud.emulator.counts["CopyModel"] == 4, "each version once to each region"


def test_a_failure_in_the_watch_of_the_last_region_moves_the_champion_back_everywhere(cloud: Cloud) -> None:
    delivered_everywhere(cloud)
    cloud.register("run-3")
    cloud.settle()
    while on(cloud, LAST, "3").phase is not Phase.WATCHING:
        pass_minutes(cloud, 1)
    pass_minutes(cloud, 2)
    assert [champion(cloud, ref) for ref in ALL] == ["gs://models/run-3"] * 3
    until_settled(cloud, "3", {LAST: {"3": 0.2}})
    assert phases(cloud, "3") == [Phase.PROMOTED, Phase.PROMOTED, Phase.ROLLED_BACK]
    pass_minutes(cloud, 2)
    assert [split(cloud, ref) for ref in ALL] == [{"3": 100}, {"3": 100}, {"2": 100}]
    assert [champion(cloud, ref) for ref in ALL] == ["gs://models/run-2"] * 3
    cloud.register("run-4")
    cloud.settle()
    until_settled(cloud, "4", {AWAY: {"4": 0.2}})
    assert phases(cloud, "4") == [Phase.PROMOTED, Phase.ROLLED_BACK, Phase.REJECTED]
    stopped = told(cloud, LAST, "4")[-1]
    assert f"Stopped v4: on target {AWAY} it was rolled_back" in stopped.sentence
    assert "gs://models/run-4" not in registered(cloud, LAST).values(), (
        "nothing was copied for a region that was not reached"
    )
    assert [split(cloud, ref) for ref in ALL] == [{"4": 100}, {"3": 100}, {"2": 100}]


def test_a_copy_whose_answer_is_lost_and_a_newer_version_meanwhile_make_no_second_copy(cloud: Cloud) -> None:
    """GIVEN v3 on its way to the second region WHEN the answer of CopyModel is lost, every function starts anew and v4 comes THEN
    the copy is found again by what it says of itself, each version is there once, and the newest has everything in the end.
    """
    delivered_everywhere(cloud)
    cloud.register("run-3")
    cloud.settle()
    cloud.emulator.faults.lose_answer("CopyModel")
    while on(cloud, HOME, "3").phase is not Phase.PROMOTED:
        pass_minutes(cloud, 1)
    pass_minutes(cloud, 1)
    lost = on(cloud, AWAY, "3").operation
    assert lost is not None
    assert (lost.kind, lost.name) == ("copy", ""), "the intent is recorded, the answer is not"
    cloud.published("rollout-due")  # hints that are lost
    cloud.open()  # another process: nothing is remembered but what is stored
    cloud.register("run-4")
    cloud.settle()
    until_settled(cloud, "4")
    pass_minutes(cloud, 2)
    assert phases(cloud, "4") == [Phase.PROMOTED] * 3
    assert not any(phase.is_open for phase in phases(cloud, "3"))
    assert [split(cloud, ref) for ref in ALL] == [{"4": 100}] * 3
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
    assert (split(cloud, HOME), split(cloud, far)) == ({"2": 100}, {"2": 100})
    assert (champion(cloud, HOME), champion(cloud, far)) == ("gs://models/run-2", "gs://models/run-2")
    (copied,) = cloud.world.registry.versions(OTHER, REGION, MODEL)
    assert (copied.version, copied.artifact_uri) == ("1", "gs://models/run-2")
    assert copied.labels["vr-run"] == "message-run-2", "the lineage goes with it"
    assert len(cloud.world.store.rollouts_of_model(MODEL)) == 2, "the upload of the copy is no new version"
    assert not [entry for entry in cloud.world.store.ledger(model=MODEL) if entry.decision == "note"]
