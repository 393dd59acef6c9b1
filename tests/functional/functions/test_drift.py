"""Somebody else moves the traffic during a trial."""

from __future__ import annotations

from local.identity import Issuer
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import policy


def moved(cloud: Cloud, drift: str, share: int) -> None:
    """Version 2 has a tenth of the traffic, and somebody gives it another share."""
    cloud.apply(policy(rollout={"drift": drift}))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.move({"1": 100 - share, "2": share})
    cloud.minutes(1, requests=0)


def test_a_moved_share_pauses_and_is_left_alone(cloud: Cloud, signed: Issuer) -> None:
    moved(cloud, "pause", 30)
    assert cloud.split() == {"1": 70, "2": 30}
    rollout = cloud.rollout("2")
    assert rollout.hold is not None
    assert "somebody else has moved it" in rollout.sentence
    cloud.minutes(10, requests=0)
    assert cloud.split() == {"1": 70, "2": 30}
    assert cloud.decisions("2").count("pause") == 1
    cloud.move({"1": 90, "2": 10})
    cloud.tell("resume", "2")
    cloud.minutes(1, requests=0)
    assert cloud.split() == {"1": 50, "2": 50}


def test_resuming_while_the_share_is_still_moved_pauses_again(cloud: Cloud, signed: Issuer) -> None:
    moved(cloud, "pause", 30)
    cloud.tell("resume", "2")
    cloud.minutes(1, requests=0)
    assert cloud.rollout("2").hold is not None
    assert cloud.split() == {"1": 70, "2": 30}


def test_reasserting_lowers_a_raised_candidate(cloud: Cloud) -> None:
    moved(cloud, "reassert", 30)
    assert cloud.split() == {"1": 90, "2": 10}
    assert cloud.rollout("2").hold is None
    assert cloud.decisions("2")[-1] == "reassert"
    cloud.minutes(6, requests=0)
    assert cloud.split() == {"1": 50, "2": 50}


def test_reasserting_never_raises_a_candidate(cloud: Cloud) -> None:
    moved(cloud, "reassert", 3)
    assert cloud.split() == {"1": 97, "2": 3}
    assert cloud.rollout("2").hold is not None


def test_an_adopted_share_is_the_stage_until_the_next(cloud: Cloud) -> None:
    moved(cloud, "adopt", 30)
    assert cloud.split() == {"1": 70, "2": 30}
    assert cloud.rollout("2").hold is None
    cloud.minutes(6, requests=0)
    assert cloud.split() == {"1": 50, "2": 50}


def test_a_candidate_that_somebody_undeployed_has_failed(cloud: Cloud) -> None:
    moved(cloud, "pause", 0)
    name = "projects/local-project/locations/us-central1/endpoints/churn-serving"
    cloud.endpoints.undeploy_model(endpoint=name, deployed_model_id=cloud.rollout("2").deployed_id)
    cloud.advance(minutes=3)
    cloud.minutes(1, requests=0)
    assert "somebody has undeployed it" in cloud.rollout("2").sentence
    endpoint = cloud.endpoint()
    assert endpoint is not None
    assert "vr-rollout" not in endpoint.labels
    cloud.deploy("run-3")
    assert cloud.split() == {"1": 90, "3": 10}
