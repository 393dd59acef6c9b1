"""Somebody else moves the traffic during a trial."""

from __future__ import annotations

from local.identity import Issuer
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import judged, policy


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


def test_a_trial_that_somebody_has_set_to_nothing_ends_when_its_patience_does(cloud: Cloud) -> None:
    """Found by seed 1003 of the interleavings: an alert about a model at 0 % is only recorded, so an alert never ended it."""
    cloud.apply(
        judged(rollout={"drift": "adopt", "supersede": "queue", "no_data": {"after": "10m", "then": "roll_back"}})
    )
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.register("run-3")
    cloud.settle()
    cloud.move({"1": 100})
    cloud.minutes(14)
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    assert "which has no traffic any more: no error_rate from the candidate since" in cloud.rollout("2").sentence
    assert cloud.decisions("2").count("roll_back") == 1
    cloud.minutes(12)
    assert cloud.split() == {"1": 90, "3": 10}, "and what was queued behind it goes on"


NAME = "projects/local-project/locations/us-central1/endpoints/churn-serving"


def stranded(cloud: Cloud, choice: str) -> None:
    """Version 2 is on trial, and somebody gives it everything and takes the stable off the endpoint."""
    cloud.apply(policy(rollout={"stable_missing": choice, "drift": "adopt"}))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.move({"2": 100})
    cloud.endpoints.undeploy_model(endpoint=NAME, deployed_model_id=cloud.rollout("2").stable_id)
    cloud.advance(minutes=3)
    cloud.minutes(1, requests=0)


def test_without_its_stable_a_trial_pauses_and_an_abort_is_no_outage(cloud: Cloud, signed: Issuer) -> None:
    stranded(cloud, "pause")
    assert "has no way back" in cloud.rollout("2").sentence
    cloud.minutes(3, requests=0)
    assert cloud.decisions("2").count("pause") == 1
    cloud.tell("abort", "2")
    cloud.minutes(1, requests=0)
    assert cloud.split() == {"2": 100}
    assert cloud.rollout("2").phase is Phase.PROMOTED
    assert "without taking its traffic, which nobody else can carry" in cloud.rollout("2").sentence
    cloud.deploy("run-3")
    assert cloud.split() == {"2": 90, "3": 10}


def test_a_missing_stable_is_deployed_again_where_the_policy_says_so(cloud: Cloud, signed: Issuer) -> None:
    stranded(cloud, "redeploy")
    gone = cloud.rollout("2").stable_id
    assert cloud.split() == {"2": 100}, "until it is there"
    cloud.minutes(13, requests=0)
    assert cloud.split() in ({"1": 90, "2": 10}, {"1": 50, "2": 50})
    again = cloud.rollout("2").stable_id
    assert again != gone
    assert "v1 is there again as the stable beside v2" in " ".join(e.sentence for e in cloud.ledger("2"))
    assert cloud.wake("roll_back", cloud.alarm(deployed_model=cloud.rollout("2").deployed_id)) == 200
    cloud.minutes(1, requests=0)
    assert cloud.split() == {"1": 100}, "and a rollback finds it"
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK


def test_a_version_that_was_deleted_while_it_waited_is_rejected(cloud: Cloud) -> None:
    cloud.apply(policy(rollout={"supersede": "queue"}))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.register("run-3")
    cloud.settle()
    cloud.models.delete_model_version(name="projects/local-project/locations/us-central1/models/churn@3")
    cloud.advance(minutes=2)
    cloud.minutes(1, requests=0)
    assert cloud.rollout("3").phase is Phase.QUEUED, "it may only not be visible yet"
    cloud.advance(minutes=10)
    cloud.minutes(1, requests=0)
    rollout = cloud.rollout("3")
    assert rollout.phase is Phase.REJECTED
    assert rollout.sentence == "Rejected v3: it is not in the registry, somebody has deleted it"


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
