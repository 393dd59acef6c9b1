"""What alerts from outside do: the rollback table, through the function."""

from __future__ import annotations

import grpc
import pytest

from local.identity import Issuer
from local.stepped import NUMBER
from shared import topics
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import policy


def begin(cloud: Cloud, **changes: object) -> None:
    """Version 2 has a tenth of the traffic, for longer than the metrics are late."""
    cloud.apply(policy(**changes))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.advance(minutes=3)


@pytest.fixture
def trial(cloud: Cloud) -> Cloud:
    begin(cloud)
    return cloud


def notes(cloud: Cloud) -> list[str]:
    """Entries that changed no record."""
    return [e.sentence for e in cloud.world.store.ledger() if e.id.startswith("alert-")]


def test_an_alert_about_the_candidate_takes_its_traffic(trial: Cloud) -> None:
    alert = trial.alarm(deployed_model=trial.rollout("2").deployed_id, project=NUMBER)
    assert trial.wake("roll_back", alert) == 200
    assert trial.split() == {"1": 100}
    entry = trial.ledger("2")[-1]
    assert entry.sentence.startswith("Rolled back churn v2 to churn v1: 5xx above 1 %: observed 0.3, limit 0.01")
    assert entry.began_at == trial.now


def test_the_same_alert_again_is_recorded_only(trial: Cloud) -> None:
    alert = trial.alarm(deployed_model=trial.rollout("2").deployed_id)
    for _ in range(3):
        assert trial.wake("roll_back", alert) == 200
    assert trial.decisions("2").count("roll_back") == 1
    assert len(notes(trial)) == 1
    assert trial.split() == {"1": 100}


def test_an_alert_that_names_nobody_takes_the_candidates_traffic(trial: Cloud) -> None:
    assert trial.wake("roll_back", trial.alarm()) == 200
    assert trial.split() == {"1": 100}


def test_an_alert_that_names_nobody_only_holds_where_the_policy_says_so(cloud: Cloud) -> None:
    begin(cloud, alerts={"unnamed": "hold"})
    assert cloud.wake("roll_back", cloud.alarm()) == 200
    assert cloud.split() == {"1": 90, "2": 10}
    assert "the policy says hold" in cloud.rollout("2").sentence


def test_an_alert_about_the_stable_during_a_trial_holds_until_a_person_resumes(trial: Cloud, signed: Issuer) -> None:
    alert = trial.alarm(deployed_model=trial.rollout("1").deployed_id)
    assert trial.wake("roll_back", alert) == 200
    hold = trial.rollout("2").hold
    assert hold is not None
    assert hold.by == f"alert {alert['id']}"
    assert "which is not the cause" in trial.rollout("2").sentence
    trial.minutes(10, requests=0)
    assert trial.split() == {"1": 90, "2": 10}
    trial.tell("resume", "2")
    assert trial.split() == {"1": 50, "2": 50}


def test_an_incident_from_before_the_trial_holds(trial: Cloud) -> None:
    began = trial.rollout("2").stage_since
    assert began is not None
    assert trial.wake("roll_back", trial.alarm(started_at=began.isoformat())) == 200
    assert trial.split() == {"1": 90, "2": 10}
    assert "began before what is on trial could be its cause" in trial.rollout("2").sentence


@pytest.mark.parametrize("state", ["closed", "test"])
def test_what_is_no_open_incident_is_recorded_only(trial: Cloud, state: str) -> None:
    with trial.cost() as spent:
        assert trial.wake("roll_back", trial.alarm(state=state)) == 200
    assert "UpdateEndpoint" not in spent
    assert "publish:rollout-changed" not in spent
    assert notes(trial) == [f"The alert is {state}: 5xx above 1 %: observed 0.3, limit 0.01"]


@pytest.mark.parametrize(
    ("endpoint", "sentence"),
    [("no-such-endpoint", "names a target that does not exist"), (None, "names no endpoint")],
)
def test_a_target_that_is_missing_calls_a_person(trial: Cloud, endpoint: str | None, sentence: str) -> None:
    trial.published(topics.ROLLOUT_CHANGED)
    assert trial.wake("roll_back", trial.alarm(endpoint=endpoint)) == 200
    (note,) = notes(trial)
    assert sentence in note
    assert len(trial.published(topics.ROLLOUT_CHANGED)) == 1
    assert trial.split() == {"1": 90, "2": 10}


def test_an_endpoint_that_is_not_ours_is_left_alone(cloud: Cloud) -> None:
    parent = "projects/local-project/locations/us-central1"
    cloud.endpoints.create_endpoint(parent=parent, endpoint={"display_name": "x"}, endpoint_id="churn-serving")
    cloud.advance(minutes=2)
    with cloud.cost() as spent:
        assert cloud.wake("roll_back", cloud.alarm()) == 200
    assert "UpdateEndpoint" not in spent
    assert "is not under a policy" in notes(cloud)[0]


def test_the_traffic_is_given_back_while_the_store_is_down_and_written_down_later(trial: Cloud) -> None:
    alert = trial.alarm(deployed_model=trial.rollout("2").deployed_id)
    with trial.without_store():
        assert trial.wake("roll_back", alert) == 500, "not acknowledged before it is written"
    assert trial.split() == {"1": 100}
    assert trial.rollout("2").phase is Phase.CANARY
    assert trial.wake("roll_back", alert) == 200
    assert trial.rollout("2").phase is Phase.ROLLED_BACK
    assert trial.decisions("2")[-1] == "roll_back"


def test_a_tick_writes_down_a_rollback_whose_event_was_lost(trial: Cloud) -> None:
    with trial.without_store():
        trial.wake("roll_back", trial.alarm())
    trial.minutes(1, requests=0)
    assert trial.rollout("2").phase is Phase.ROLLED_BACK
    assert "found on the endpoint's labels, the record was behind" in trial.rollout("2").sentence
    assert trial.split() == {"1": 100}


def test_a_tick_that_writes_down_a_rollback_says_why_it_was_asked_for(trial: Cloud, signed: Issuer) -> None:
    trial.tell("abort", "2", reason="complaints at noon")
    alert = trial.alarm(deployed_model=trial.rollout("2").deployed_id)
    with trial.without_store():
        assert trial.wake("roll_back", alert) == 500
    given_back = trial.now
    trial.minutes(1, requests=0)
    entry = trial.ledger("2")[-1]
    assert (entry.decision, entry.restored_at) == ("roll_back", given_back)
    assert "complaints at noon" in entry.sentence
    assert trial.decisions("2")[-2:] == ["roll_back", "roll_back"], "the wish, and that it was done"


def test_another_writer_at_the_same_moment_costs_another_pair(trial: Cloud) -> None:
    trial.emulator.faults.fail("UpdateEndpoint", grpc.StatusCode.ABORTED, times=2)
    with trial.cost() as spent:
        assert trial.wake("roll_back", trial.alarm()) == 200
    assert (spent["GetEndpoint"], spent["UpdateEndpoint"]) == (3, 3)
    assert trial.split() == {"1": 100}


def test_the_fallback_takes_over_when_the_stable_degrades_in_its_watch(trial: Cloud, signed: Issuer) -> None:
    trial.tell("promote", "2")
    trial.tell("promote", "2")
    trial.advance(minutes=3)
    assert trial.wake("roll_back", trial.alarm(deployed_model=trial.rollout("2").deployed_id)) == 200
    assert trial.split() == {"1": 100}
    assert trial.rollout("2").phase is Phase.ROLLED_BACK


def test_nothing_on_trial_and_nothing_in_reserve_calls_a_person(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.advance(minutes=5)
    with cloud.cost() as spent:
        assert cloud.wake("roll_back", cloud.alarm()) == 200
    assert "UpdateEndpoint" not in spent
    (note,) = notes(cloud)
    assert "nothing is on trial or in reserve" in note
    assert cloud.split() == {"1": 100}


def test_people_are_not_called_for_what_was_rolled_back_a_moment_ago(trial: Cloud) -> None:
    trial.wake("roll_back", trial.alarm())
    trial.published(topics.ROLLOUT_CHANGED)
    trial.advance(minutes=1)
    assert trial.wake("roll_back", trial.alarm()) == 200
    assert "Already rolled back" in notes(trial)[-1]
    assert trial.published(topics.ROLLOUT_CHANGED) == []


def test_the_traffic_is_given_back_while_pubsub_and_monitoring_are_down(trial: Cloud) -> None:
    trial.monitoring.calls.fail("MetricService/ListTimeSeries", grpc.StatusCode.UNAVAILABLE, times=100)
    alert = trial.alarm()
    trial.pubsub.stop()
    assert trial.wake("roll_back", alert) == 500
    assert trial.split() == {"1": 100}
    assert trial.rollout("2").phase is Phase.ROLLED_BACK
