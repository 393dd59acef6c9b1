"""``rollouts adopt`` through the real function on a local Vertex AI: labels and a record, and nothing else."""

from __future__ import annotations

import json

import pytest

from shared.policy.schema import Container, Machine, Target
from shared.rollout.labels import TrialLabels, read_labels, write_labels
from shared.rollout.observed import Endpoint, TargetRef
from shared.rollout.record import Phase
from shared.vertex.endpoints import DeploySpec
from shared.vertex.registry import UploadSpec
from shared.wiring import world
from tests.contract.vertex.local_vertex import PROJECT, REGION
from tests.functional.cli.town import ADA, Town
from tests.unit.cli.recorded import policy
from tests.unit.policy.files import HEAD

REF = TargetRef(PROJECT, REGION, "churn-serving")
FIRST, SECOND = "1000000001", "1000000002"
ADOPTED = f"Adopted endpoint {REF}: v1 (deployed model {FIRST}) has all the traffic and is the stable"


def read(town: Town) -> Endpoint:
    endpoint = town.vertex.endpoints.get(REF)
    assert endpoint is not None
    return endpoint


@pytest.fixture
def lived(town: Town) -> Town:
    """An endpoint that lived before us: one version, all the traffic, a label of its own."""
    world().store.put_policy(policy(town.folder, HEAD), ADA, world().now())
    vertex = town.vertex
    spec = UploadSpec(
        PROJECT, REGION, "churn", True, "Churn", Container(image="churn"), "gs://b/m", {}, ("default",), "", None
    )
    operation = vertex.registry.upload(spec)
    vertex.after(120)
    assert vertex.registry.operation(REGION, operation).done
    vertex.finish(vertex.endpoints.create(REF, Target(region=REGION, endpoint="churn-serving"), {"team": "search"}))
    for id_ in (FIRST, SECOND):
        machine = Machine.model_validate({"type": "n1-standard-2"})
        deploy = DeploySpec(id_, PROJECT, REGION, "churn", "1", "v1", machine, None, False, 1)
        vertex.finish(vertex.endpoints.deploy(REF, deploy))
    endpoint = read(town)
    vertex.endpoints.write_traffic(endpoint, {FIRST: 100}, endpoint.labels)
    return town


def test_the_version_with_all_the_traffic_becomes_the_stable(lived: Town) -> None:
    ran = lived.rollouts("adopt", "churn")
    assert (ran.code, ran.out, ran.err) == (0, f"churn: {ADOPTED}\n", "")
    endpoint = read(lived)
    assert endpoint.split == {FIRST: 100}
    assert endpoint.labels["team"] == "search"
    assert (read_labels(endpoint.labels).model, read_labels(endpoint.labels).stable) == ("churn", FIRST)
    (champion,) = world().store.rollouts_of_model("churn")
    assert (champion.version, champion.phase, champion.deployed_id) == ("1", Phase.PROMOTED, FIRST)
    again = json.loads(lived.rollouts("adopt", "churn", "--json").out)
    assert again == {"model": "churn", "sentences": [f"endpoint {REF} is under the policy of churn already"]}
    (entry,) = world().store.ledger(model="churn")
    assert (entry.decision, entry.actor) == ("adopt", ADA)


def test_an_adoption_that_broke_off_after_the_labels_is_finished_by_the_next(lived: Town) -> None:
    endpoint = read(lived)
    lived.vertex.endpoints.write_labels(
        endpoint, write_labels(endpoint.labels, TrialLabels(model="churn", stable=FIRST))
    )
    assert lived.rollouts("adopt", "churn").out == f"churn: {ADOPTED}\n"
    (champion,) = world().store.rollouts_of_model("churn")
    assert champion.deployed_id == FIRST


def test_an_ambiguous_endpoint_is_refused_with_the_choices(lived: Town) -> None:
    endpoint = read(lived)
    lived.vertex.endpoints.write_traffic(endpoint, {FIRST: 60, SECOND: 40}, endpoint.labels)
    ran = lived.rollouts("adopt", "churn", "--json")
    told = json.loads(ran.out)
    assert (ran.code, told["status"]) == (1, 409)
    assert f"several models share its traffic (churn v1 ({FIRST}) 60 %, churn v1 ({SECOND}) 40 %)" in told["error"]
    assert read(lived).labels == {"team": "search"}
    assert world().store.rollouts_of_model("churn") == []


def test_an_endpoint_that_is_not_there_yet_and_a_model_without_a_policy_are_told(town: Town) -> None:
    absent = town.rollouts("adopt", "churn")
    assert (absent.code, absent.err) == (1, "error: there is no policy for churn; `rollouts apply` one first\n")
    world().store.put_policy(policy(town.folder, HEAD), ADA, world().now())
    assert (
        town.rollouts("adopt", "churn").out == f"churn: endpoint {REF} does not exist; the first rollout creates it\n"
    )
