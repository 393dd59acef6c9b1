"""Endpoints that lived before us: brought under a policy, or only observed."""

from __future__ import annotations

import pytest

from local.identity import Issuer
from local.stepped import PARENT
from shared.rollout.record import Phase
from tests.functional.functions.harness import WRITES, Cloud
from tests.functional.functions.policies import MODEL, judged, policy


def live(cloud: Cloud, model: str = MODEL, split: int = 100) -> str:
    """An endpoint and a model as people make them, with the ids that Vertex AI gives; the endpoint's."""
    cloud.upload(model, new=True)
    made = cloud.endpoints.create_endpoint(
        parent=PARENT, endpoint={"display_name": "old", "labels": {"team": "growth"}, "description": "by hand"}
    )
    cloud.advance(seconds=61)
    name = str(made.result(timeout=5).name)
    put(cloud, name.rpartition("/")[2], f"{model}@1", {"0": split} if split == 100 else {})
    return name.rpartition("/")[2]


def put(cloud: Cloud, endpoint: str, model: str, split: dict[str, int]) -> str:
    """Somebody deploys a model; the id that it gets."""
    resources = {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1, "max_replica_count": 2}
    deploying = cloud.endpoints.deploy_model(
        endpoint=f"{PARENT}/endpoints/{endpoint}",
        deployed_model={"model": f"{PARENT}/models/{model}", "dedicated_resources": resources},
        traffic_split=split,
    )
    cloud.advance(minutes=11)
    return str(deploying.result(timeout=5).deployed_model.id)


def under(cloud: Cloud, endpoint: str, **changes: object) -> None:
    cloud.apply(policy(targets=[{"region": "us-central1", "endpoint": endpoint}], **changes))


def test_an_endpoint_with_one_model_gets_labels_and_nothing_else_is_touched(cloud: Cloud, signed: Issuer) -> None:
    endpoint = live(cloud)
    assert len(endpoint) == 19
    under(cloud, endpoint)
    before = cloud.endpoint(endpoint)
    assert before is not None
    (stable,) = before.deployed
    assert len(stable.id) == 19
    with cloud.cost() as spent:
        status, answer = cloud.command({"command": "adopt", "model": MODEL})
    assert (status, len(answer["sentences"])) == (200, 1)
    assert {m: n for m, n in spent.items() if m in WRITES} == {"UpdateEndpoint": 1}
    after = cloud.endpoint(endpoint)
    assert after is not None
    assert after.labels["team"] == "growth"
    assert (after.labels["vr-stable"], after.labels["vr-model"]) == (stable.id, MODEL)
    assert (after.split, after.deployed, after.display_name) == (before.split, before.deployed, before.display_name)
    assert cloud.rollout("1").phase is Phase.PROMOTED
    assert cloud.ledger("1")[-1].actor == "ann@example.com"


def test_a_model_whose_id_is_a_number_of_vertex_ai_is_adopted_and_gets_its_next_version(
    cloud: Cloud, signed: Issuer
) -> None:
    version = {"display_name": "churn", "container_spec": {"image_uri": "sim/churn:1"}}
    made = cloud.models.upload_model({"parent": PARENT, "model": version})
    cloud.advance(seconds=61)
    model = str(made.result(timeout=5).model).rpartition("/")[2]
    assert model.isdigit()
    cloud.endpoints.create_endpoint({"parent": PARENT, "endpoint": {"display_name": "old"}, "endpoint_id": "old-1"})
    cloud.advance(seconds=61)
    put(cloud, "old-1", f"{model}@1", {"0": 100})
    under(cloud, "old-1", model=model)
    status, answer = cloud.command({"command": "adopt", "model": model})
    assert (status, len(answer["sentences"])) == (200, 1)
    cloud.register("run-2", model=model)
    cloud.settle()
    assert cloud.rollout("2", model).phase is Phase.DEPLOYING


def test_the_number_of_a_model_that_does_not_exist_is_refused_with_what_to_do(cloud: Cloud) -> None:
    cloud.apply(policy(model="1234567890"))
    assert cloud.wake("register_model", cloud.train("run-1", model="1234567890")) == 200
    (kept,) = cloud.dead_letters()
    assert "choose an id that begins with a letter" in kept.attributes["reason"]


def test_a_rollout_on_an_adopted_endpoint_works_and_can_be_rolled_back(cloud: Cloud, signed: Issuer) -> None:
    endpoint = live(cloud)
    under(cloud, endpoint)
    cloud.command({"command": "adopt", "model": MODEL})
    cloud.register("run-2")
    cloud.settle()
    cloud.minutes(13, requests=0)
    assert cloud.split(endpoint) == {"1": 90, "2": 10}
    cloud.minutes(6, requests=0)
    assert cloud.split(endpoint) == {"1": 50, "2": 50}
    assert cloud.aliases() == {"default": "1", "champion": "1", "candidate": "2"}
    cloud.tell("abort", "2")
    assert cloud.split(endpoint) == {"1": 100}


def test_adopting_again_says_so_and_changes_nothing(cloud: Cloud, signed: Issuer) -> None:
    endpoint = live(cloud)
    under(cloud, endpoint)
    cloud.command({"command": "adopt", "model": MODEL})
    with cloud.cost() as spent:
        status, answer = cloud.command({"command": "adopt", "model": MODEL})
    assert status == 200
    assert "already" in answer["sentences"][0]
    assert not WRITES & spent.keys()
    assert len(cloud.ledger("1")) == 1


def test_a_rollout_waits_until_the_endpoint_is_adopted(cloud: Cloud, signed: Issuer) -> None:
    endpoint = live(cloud)
    under(cloud, endpoint)
    cloud.register("run-2")
    cloud.settle()
    cloud.minutes(3, requests=0)
    assert cloud.rollout("2").phase is Phase.QUEUED
    cloud.command({"command": "adopt", "model": MODEL})
    cloud.minutes(13, requests=0)
    assert cloud.split(endpoint) == {"1": 90, "2": 10}


def test_an_endpoint_whose_traffic_several_models_share_is_refused_with_the_choices(
    cloud: Cloud, signed: Issuer
) -> None:
    endpoint = live(cloud)
    found = cloud.endpoint(endpoint)
    assert found is not None
    cloud.upload()
    put(cloud, endpoint, f"{MODEL}@2", {found.deployed[0].id: 50, "0": 50})
    under(cloud, endpoint)
    with cloud.cost() as spent:
        status, answer = cloud.command({"command": "adopt", "model": MODEL})
    assert status == 409
    assert "several models share its traffic" in answer["error"]
    assert "churn v1" in answer["error"]
    assert "churn v2" in answer["error"]
    assert not WRITES & spent.keys()


def test_an_endpoint_of_another_model_is_refused(cloud: Cloud, signed: Issuer) -> None:
    under(cloud, live(cloud, "fraud"))
    status, answer = cloud.command({"command": "adopt", "model": MODEL})
    assert status == 409
    assert "its traffic goes to fraud v1" in answer["error"]


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_an_endpoint_without_traffic_needs_no_adoption(cloud: Cloud, signed: Issuer, mode: str) -> None:
    under(cloud, live(cloud, split=0), mode=mode)
    status, answer = cloud.command({"command": "adopt", "model": MODEL})
    assert status == 200
    assert "has no traffic" in answer["sentences"][0]


def observed(cloud: Cloud) -> str:
    """Under a policy that only observes, somebody uploads version 2; the endpoint."""
    endpoint = live(cloud)
    cloud.apply(judged(targets=[{"region": "us-central1", "endpoint": endpoint}], mode="observe"))
    cloud.command({"command": "adopt", "model": MODEL})
    cloud.upload()
    cloud.settle()
    return endpoint


def watch(cloud: Cloud, minutes: int, endpoint: str, errors: float = 0.0) -> None:
    """Minutes in which only the functions act; they write nothing."""
    with cloud.cost() as spent:
        for _ in range(minutes):
            cloud.serve(300, {"2": errors}, endpoint)
            cloud.minutes(1, requests=0)
    assert not WRITES & spent.keys()


def test_observing_writes_nothing_and_says_once_what_it_would_have_done(cloud: Cloud, signed: Issuer) -> None:
    endpoint = observed(cloud)
    watch(cloud, 5, endpoint)
    said = [e.sentence for e in cloud.ledger("2")]
    assert said[0].startswith("Queued churn v2 (observing only)")
    assert said[1:] == ["Would have deployed v2"]
    found = cloud.endpoint(endpoint)
    assert found is not None
    assert not [key for key in found.labels if key.startswith("vr-")]
    put(cloud, endpoint, f"{MODEL}@2", {found.deployed[0].id: 90, "0": 10})
    watch(cloud, 10, endpoint)
    said = [e.sentence for e in cloud.ledger("2")][2:]
    assert said[0] == "Observed: v2 has 10 % of the traffic"
    assert said[1].startswith("Would have advanced v2: ")
    assert len(said) == 2, said


def test_observing_harm_says_that_it_would_have_rolled_back(cloud: Cloud, signed: Issuer) -> None:
    endpoint = observed(cloud)
    found = cloud.endpoint(endpoint)
    assert found is not None
    put(cloud, endpoint, f"{MODEL}@2", {found.deployed[0].id: 90, "0": 10})
    watch(cloud, 10, endpoint, errors=0.3)
    said = [e.sentence for e in cloud.ledger("2")]
    assert len([s for s in said if s.startswith("Would have rolled back v2: error_rate 30 % > 1 %")]) == 1, said
    assert cloud.split(endpoint) == {"1": 90, "2": 10}
    cloud.move({"1": 100}, endpoint)
    watch(cloud, 2, endpoint)
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    assert "v2 has lost its traffic" in cloud.ledger("2")[-1].sentence


def test_observing_follows_people_from_one_version_to_the_next(cloud: Cloud, signed: Issuer) -> None:
    endpoint = observed(cloud)
    found = cloud.endpoint(endpoint)
    assert found is not None
    put(cloud, endpoint, f"{MODEL}@2", {found.deployed[0].id: 90, "0": 10})
    watch(cloud, 2, endpoint)
    cloud.move({"2": 100}, endpoint)
    watch(cloud, 2, endpoint)
    assert cloud.rollout("2").phase is Phase.WATCHING
    cloud.upload()
    cloud.settle()
    put(cloud, endpoint, f"{MODEL}@3", {cloud.rollout("2").deployed_id: 90, "0": 10})
    watch(cloud, 2, endpoint)
    assert cloud.rollout("2").phase is Phase.PROMOTED
    assert cloud.rollout("2").sentence == "Observed: the watch of v2 ended with the first share of v3"
    cloud.move({"3": 100}, endpoint)
    watch(cloud, 2, endpoint)
    cloud.advance(hours=2)
    watch(cloud, 8, endpoint)
    assert cloud.rollout("3").phase is Phase.PROMOTED
    assert cloud.rollout("3").sentence.startswith("Would have ended the watch of v3: ")


def test_what_was_observed_to_its_end_costs_ticks_nothing(cloud: Cloud, signed: Issuer) -> None:
    endpoint = observed(cloud)
    found = cloud.endpoint(endpoint)
    assert found is not None
    put(cloud, endpoint, f"{MODEL}@2", {found.deployed[0].id: 90, "0": 10})
    watch(cloud, 1, endpoint)
    cloud.move({"1": 100}, endpoint)
    watch(cloud, 1, endpoint)
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    with cloud.cost() as spent:
        assert cloud.tick("assess_rollouts") == 200
    assert "publish:rollout-due" not in spent
    assert "ListEndpoints" not in spent
