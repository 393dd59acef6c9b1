"""Endpoints in several regions and projects that lived before us: each model that stands there is known by its version at home."""

from __future__ import annotations

from typing import Any

import pytest

from local.identity import Issuer
from local.stepped import PROJECT, REGION
from shared.rollout.observed import TargetRef
from shared.rollout.record import Phase
from tests.functional.functions.harness import WRITES, Cloud
from tests.functional.functions.journeys import Journey
from tests.functional.functions.policies import ENDPOINT, MODEL, policy
from vertex_emulator.faults import Fault, Kind

EUROPE, OTHER = "europe-west4", "other-project"
HOME = TargetRef(PROJECT, REGION, ENDPOINT)
AWAY = TargetRef(PROJECT, EUROPE, ENDPOINT)
FAR = TargetRef(OTHER, REGION, ENDPOINT)
ADOPT = {"command": "adopt", "model": MODEL}
GOOD, OLDER = "gs://models/good", "gs://models/older"


def parent(ref: TargetRef) -> str:
    return f"projects/{ref.project}/locations/{ref.region}"


def upload(cloud: Cloud, ref: TargetRef, artifact: str, **model: Any) -> None:
    """Somebody registers a version where an endpoint is."""
    version = {"display_name": "churn", "container_spec": {"image_uri": "sim/churn:1"}, "artifact_uri": artifact}
    there = cloud.world.registry.versions(ref.project, ref.region, MODEL)
    where = {"parent_model": f"{parent(ref)}/models/{MODEL}"} if there else {"model_id": MODEL}
    cloud.models.upload_model({"parent": parent(ref), "model": version | model, **where})
    cloud.advance(seconds=61)
    cloud.published("model-uploaded")  # nobody delivers it: there is no policy yet


def copy(cloud: Cloud, version: str) -> None:
    """``gcloud ai models copy`` to the second region."""
    source = f"{parent(HOME)}/models/{MODEL}@{version}"
    cloud.models.copy_model({"parent": parent(AWAY), "source_model": source, "model_id": MODEL})
    cloud.advance(seconds=61)
    cloud.published("model-uploaded")


def live(cloud: Cloud, ref: TargetRef, *versions: str, share: int = 100) -> None:
    """An endpoint that people have made, with those versions as they are numbered there; the first one has the traffic, or a share of it."""
    name = f"{parent(ref)}/endpoints/{ref.endpoint}"
    cloud.endpoints.create_endpoint(
        {"parent": parent(ref), "endpoint": {"display_name": "old"}, "endpoint_id": ref.endpoint}
    )
    cloud.advance(seconds=61)
    resources = {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1, "max_replica_count": 2}
    ids: list[str] = []
    for number in versions:
        deployed = {"model": f"{parent(ref)}/models/{MODEL}@{number}", "dedicated_resources": resources}
        split = {"0": 100 - share, ids[0]: share} if ids else {"0": 100}
        deploying = cloud.endpoints.deploy_model(endpoint=name, deployed_model=deployed, traffic_split=split)
        cloud.advance(minutes=11)
        ids.append(str(deploying.result(timeout=5).deployed_model.id))


def under(cloud: Cloud, *refs: TargetRef, **rollout: Any) -> Journey:
    """A policy of those targets, in that order; without checks, so that no traffic is needed."""
    targets = [{"project": ref.project, "region": ref.region, "endpoint": ref.endpoint} for ref in refs]
    short = {"stages": [{"traffic": 20, "bake": "5m"}, {"traffic": 100}], "standby": {"hold": "1m", "for": "5m"}}
    cloud.apply(policy(targets=targets, rollout=short | rollout))
    return Journey(cloud, refs)


def lived(cloud: Cloud, *refs: TargetRef) -> Journey:
    """Versions 1 and 2 at home, the second one on the endpoint there."""
    upload(cloud, HOME, OLDER)
    upload(cloud, HOME, GOOD)
    live(cloud, HOME, "2")
    return under(cloud, HOME, *refs)


def adopted(cloud: Cloud) -> list[str]:
    status, answer = cloud.command(ADOPT)
    assert status == 200, answer
    return [str(sentence) for sentence in answer["sentences"]]


def refused(cloud: Cloud) -> str:
    """What is said where an adoption is refused; nothing is written anywhere then."""
    with cloud.cost() as spent:
        status, answer = cloud.command(ADOPT)
    assert status == 409, answer
    assert not WRITES & spent.keys()
    assert cloud.world.store.rollouts_of_model(MODEL) == []
    return str(answer["error"])


def champion(cloud: Cloud, ref: TargetRef) -> str:
    """The artifact of the version that has the alias there."""
    found = cloud.world.registry.versions(ref.project, ref.region, MODEL)
    return next(v.artifact_uri for v in found if "champion" in v.aliases)


def labels(cloud: Cloud, ref: TargetRef) -> dict[str, str]:
    found = cloud.endpoint(ref)
    assert found is not None
    return dict(found.labels)


def test_both_regions_are_adopted_and_the_next_version_goes_through_both(cloud: Cloud, signed: Issuer) -> None:
    """GIVEN v2 at home, and in another region its copy, which is v1 there WHEN the model is adopted and v3 comes THEN
    v2 is the stable in both, v3 takes its place in both, and the first way back, in the second region, leads to v2.
    """
    upload(cloud, HOME, OLDER)
    upload(cloud, HOME, GOOD)
    copy(cloud, "2")
    live(cloud, HOME, "2")
    live(cloud, AWAY, "1")
    journey = under(cloud, HOME, AWAY)
    here, there = adopted(cloud)
    assert here.startswith(f"Adopted endpoint {HOME}: v2 (deployed model ")
    assert there.startswith(f"Adopted endpoint {AWAY}: v2 (v1 in {EUROPE}, deployed model ")
    assert journey.splits() == [{"2": 100}, {"2": 100}]
    assert journey.phases("2") == [Phase.PROMOTED] * 2
    with cloud.cost() as spent:
        again = adopted(cloud)
    assert again == [f"endpoint {ref} is under the policy of {MODEL} already" for ref in (HOME, AWAY)]
    assert not WRITES & spent.keys()
    assert [len(journey.told(ref, "2")) for ref in (HOME, AWAY)] == [1, 1]
    cloud.minutes(2, requests=0)
    assert [champion(cloud, ref) for ref in (HOME, AWAY)] == [GOOD, GOOD]
    cloud.register("run-3")
    cloud.settle()
    while cloud.split(AWAY) != {"3": 20, "2": 80}:
        cloud.minutes(1, requests=0)
    assert "Deploying v3 (v2 in europe-west4) beside v2" in " ".join(e.sentence for e in journey.told(AWAY, "3"))
    cloud.command({"command": "abort", "rollout": journey.on(AWAY, "3").id})
    cloud.settle()
    assert journey.splits() == [{"3": 100}, {"2": 100}]
    assert "to churn v2" in journey.told(AWAY, "3")[-1].sentence, "by its number at home"
    cloud.register("run-4")
    cloud.settle()
    for _ in range(60):
        if not any(phase.is_open for phase in journey.phases("4")):
            break
        cloud.minutes(2, requests=0)
    assert journey.splits() == [{"4": 100}, {"4": 100}]
    cloud.minutes(2, requests=0)
    assert [champion(cloud, ref) for ref in (HOME, AWAY)] == ["gs://models/run-4"] * 2


@pytest.mark.parametrize("ref", [AWAY, FAR], ids=["region", "project"])
def test_a_version_that_was_uploaded_once_more_is_the_one_with_its_artifact(
    ref: TargetRef, cloud: Cloud, signed: Issuer
) -> None:
    """GIVEN the files of v2 registered again elsewhere, the answer of the labels' write lost WHEN it is adopted, twice THEN
    it is v2 there as well, and says so from now on; the second adoption has written what the first one could not.
    """
    journey = lived(cloud, ref)
    upload(cloud, ref, GOOD, labels={"team": "growth"})
    live(cloud, ref, "1")
    cloud.emulator.faults.plan(Fault(Kind.LOSE, "UpdateEndpoint", times=None, resource=parent(ref)))
    assert cloud.command(ADOPT)[0] == 503
    cloud.emulator.faults.clear()
    here, there = adopted(cloud)
    assert here == f"endpoint {HOME} is under the policy of {MODEL} already"
    assert there.startswith(f"Adopted endpoint {ref}: v2 (v1 in {ref.region}, deployed model ")
    (there_too,) = cloud.world.registry.versions(ref.project, ref.region, MODEL)
    assert there_too.labels["team"] == "growth"
    assert there_too.labels["vr-copy-of"].startswith(f"{REGION}-v2-")
    assert journey.phases("2") == [Phase.PROMOTED] * 2
    cloud.minutes(2, requests=0)
    assert [champion(cloud, one) for one in (HOME, ref)] == [GOOD, GOOD]


def test_only_the_second_region_has_an_endpoint(cloud: Cloud, signed: Issuer) -> None:
    upload(cloud, HOME, OLDER)
    copy(cloud, "1")
    live(cloud, AWAY, "1")
    journey = under(cloud, HOME, AWAY)
    here, there = adopted(cloud)
    assert here == f"endpoint {HOME} does not exist; the first rollout creates it"
    assert there.startswith(f"Adopted endpoint {AWAY}: v1 (v1 in {EUROPE}, deployed model ")
    cloud.register("run-2")
    cloud.settle()
    for _ in range(60):
        if not any(phase.is_open for phase in journey.phases("2")):
            break
        cloud.minutes(2, requests=0)
    assert journey.splits() == [{"2": 100}, {"2": 100}]


def test_an_adopted_endpoint_of_another_region_that_becomes_one_of_two_keeps_its_versions_number(
    cloud: Cloud, signed: Issuer
) -> None:
    lived(cloud)
    copy(cloud, "2")
    live(cloud, AWAY, "1")
    journey = under(cloud, HOME, AWAY, strategy="blue_green", blue_green={"ttl": "30s"}, stages=[{"traffic": 100}])
    adopted(cloud)
    cloud.register("run-3")
    cloud.settle()
    while cloud.split(AWAY) != {"3": 100}:
        cloud.minutes(1, requests=0)
    cloud.command({"command": "abort", "rollout": journey.on(AWAY, "3").id})
    cloud.settle()
    assert journey.splits() == [{"3": 100}, {"2": 100}]


def test_where_two_regions_serve_two_versions_the_last_ones_is_champion(cloud: Cloud, signed: Issuer) -> None:
    """As on the way of a version through its targets: it is champion when the last one has it."""
    journey = lived(cloud, AWAY)
    copy(cloud, "1")
    live(cloud, AWAY, "1")
    adopted(cloud)
    assert journey.splits() == [{"2": 100}, {"1": 100}]
    cloud.minutes(2, requests=0)
    assert cloud.aliases() == {"champion": "1", "default": "1", "previous": "2"}


def test_a_version_that_nothing_is_known_of_is_refused_and_the_first_region_is_not_adopted_either(
    cloud: Cloud, signed: Issuer
) -> None:
    lived(cloud, AWAY)
    upload(cloud, AWAY, "gs://models/of-their-own")
    live(cloud, AWAY, "1")
    assert refused(cloud).startswith(
        f"endpoint {AWAY} cannot be adopted: nothing says which version of {PROJECT}/{REGION} its churn v1 is; give the traffic to a copy"
    )
    assert "vr-model" not in labels(cloud, HOME)


def test_two_versions_with_one_artifact_are_not_guessed_between(cloud: Cloud, signed: Issuer) -> None:
    lived(cloud, AWAY)
    upload(cloud, HOME, GOOD)
    upload(cloud, AWAY, GOOD)
    live(cloud, AWAY, "1")
    assert f"its churn v1 may be v2 and v3 of {PROJECT}/{REGION}, which have one artifact" in refused(cloud)


def test_a_copy_of_what_is_not_at_home_is_refused(cloud: Cloud, signed: Issuer) -> None:
    """GIVEN a copy whose original somebody has deleted, and one of another region's version THEN each is said to be that."""
    journey = lived(cloud, AWAY)
    copy(cloud, "1")
    live(cloud, AWAY, "1")
    (first, _) = cloud.world.registry.versions(PROJECT, REGION, MODEL)
    cloud.world.registry.delete(first)
    cloud.advance(seconds=61)
    assert f"its churn v1 is a copy of v1, which is not in {PROJECT}/{REGION}" in refused(cloud)
    asia = TargetRef(PROJECT, "asia-east1", ENDPOINT)
    upload(cloud, asia, GOOD)
    live(cloud, asia, "1")
    under(cloud, asia, AWAY)
    assert f"is a copy of {REGION}/{MODEL}@1, and versions are registered in {PROJECT}/asia-east1" in refused(cloud)
    assert journey.splits() == [{"2": 100}, {"1": 100}]


def test_each_target_that_cannot_be_adopted_says_why(cloud: Cloud, signed: Issuer) -> None:
    """GIVEN two models on one endpoint, another policy's endpoint, and the number of none THEN one error names all three."""
    lived(cloud)
    copy(cloud, "2")
    live(cloud, AWAY, "1", "1", share=40)
    named = TargetRef(PROJECT, EUROPE, "churn-of-fraud")
    live(cloud, named, "1")
    found = cloud.endpoint(named)
    assert found is not None
    cloud.world.endpoints.write_labels(found, {"vr-model": "fraud", "vr-stable": found.deployed[0].id})
    under(cloud, HOME, AWAY, named, TargetRef(PROJECT, EUROPE, "4711"))
    said = refused(cloud)
    assert f"endpoint {AWAY} cannot be adopted: several models share its traffic (churn v1 (" in said
    assert f"endpoint {named} cannot be adopted for churn: it belongs to the policy of fraud;" in said
    assert f"endpoint {PROJECT}/{EUROPE}/4711 cannot be adopted: it does not exist, and only Vertex AI" in said
    assert "vr-model" not in labels(cloud, HOME)
