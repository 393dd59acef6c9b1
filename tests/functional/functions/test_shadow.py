"""A shadow through the real functions: it succeeds, it degrades and is taken back, it is interrupted."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest

from local.bigquery import BigQuery
from shared.errors import PermanentError
from shared.events.prediction import prediction_logged_message
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import MODEL, policy
from tests.functional.functions.shadows import (
    ask,
    asked,
    behave,
    into_the_shadow,
    shadow_minutes,
    shadow_of,
    shadowed,
)
from vertex_emulator.serving.profile import Output

OTHER = {"outputs": {"relevance": Output(0.5, 0.15, 0, 1)}}
"""A model whose answers have another key."""


@pytest.fixture
def stable(cloud: Cloud) -> Cloud:
    """v1 has all the traffic, and a policy with a shadow is in force."""
    cloud.apply(shadowed())
    cloud.deploy("run-1")
    assert cloud.split() == {"1": 100}, "the first version has nobody to be compared with, and no shadow"
    behave(cloud, "1")
    return cloud


def ticks(cloud: Cloud, *minutes: float) -> None:
    for span in minutes:
        cloud.advance(minutes=span)
        cloud.tick("assess_rollouts")
        cloud.settle()


def test_a_shadow_succeeds_and_is_gone_before_the_version_is_deployed(stable: Cloud) -> None:
    """GIVEN users who ask a stable WHEN a candidate answers them as well THEN its shadow ends, goes, and only then it is deployed."""
    before = stable.endpoint()
    version = into_the_shadow(stable)
    shadow_minutes(stable, 8)
    rollout = stable.rollout(version)
    assert (rollout.phase, rollout.shadowed) == (Phase.SHADOW, True)
    ended = stable.ledger(version)[-2]
    assert ended.decision == "advance"
    assert "same_schema 100 % >= 100 %" in ended.sentence
    assert "same_score 100 % >= 95 %" in ended.sentence
    assert {c.metric for c in ended.checks} == {"error_rate", "same_schema", "same_score"}
    # No user could notice: neither the split nor anything else of the endpoint that they ask was written.
    assert stable.endpoint() == before
    machines = set()
    for minutes in (1, 3, 1, 1, 5, 6, 1):
        ticks(stable, minutes)
        here, there = stable.endpoint(), shadow_of(stable, version)
        assert here is not None
        machines.add((len(here.deployed), len(there.deployed) if there else 0))
    assert machines <= {(1, 1), (1, 0), (2, 0)}, "never on both endpoints at once"
    assert shadow_of(stable, version) is None
    assert stable.split() == {"1": 90, "2": 10}
    ticks(stable, 1, 8)
    assert stable.rollout(version).phase is Phase.CANARY


def test_a_candidate_that_answers_in_another_schema_is_taken_back_before_any_user_meets_it(stable: Cloud) -> None:
    version = into_the_shadow(stable)
    behave(stable, version, **OTHER)
    shadow_minutes(stable, 5)
    rollout = stable.rollout(version)
    assert rollout.phase is Phase.ROLLED_BACK
    assert rollout.sentence.startswith(
        "Took v2 back in its shadow, before any user met it: same_schema 0 % < 100 % (0 of "
    )
    assert stable.split() == {"1": 100}
    assert stable.aliases() == {"default": "1", "champion": "1"}
    # What is left of it is cleared away by what clears everything away.
    for _ in range(2):
        assert stable.tick("retire_models") == 200
        stable.advance(minutes=10)
    assert shadow_of(stable, version) is None
    assert [e.sentence for e in stable.ledger(version) if e.actor == "retire_models"] == [
        f"Undeployed the shadow on {shadow}: its rollout {rollout.id} is rolled back"
        if number == 0
        else f"Deleted the shadow endpoint {shadow}: its rollout {rollout.id} is rolled back"
        for number, shadow in enumerate([_shadow_ref(stable, version)] * 2)
    ]


def _shadow_ref(cloud: Cloud, version: str) -> str:
    from shared.rollout.names import shadow_target

    rollout = cloud.rollout(version)
    return str(shadow_target(rollout.id, rollout.target))


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        ({"error_rate": 0.5}, "error_rate "),
        ({"noise": 1.5}, "same_score "),
    ],
    ids=["it fails", "it answers otherwise"],
)
def test_a_candidate_that_degrades_in_its_shadow_is_taken_back(
    stable: Cloud, profile: dict[str, float], why: str
) -> None:
    version = into_the_shadow(stable)
    behave(stable, version, **profile)
    shadow_minutes(stable, 7, requests=20)
    rollout = stable.rollout(version)
    assert rollout.phase is Phase.ROLLED_BACK
    assert why in rollout.sentence
    assert stable.split() == {"1": 100}


def test_a_shadow_that_a_person_ends_is_cleared_away(stable: Cloud, signed: object) -> None:
    version = into_the_shadow(stable)
    stable.tell("pause", version)
    shadow_minutes(stable, 8)
    assert stable.rollout(version).phase is Phase.SHADOW, "a pause keeps it where it is"
    stable.tell("abort", version, reason="not this one")
    rollout = stable.rollout(version)
    assert (rollout.phase, stable.world.store.busy(rollout.target)) == (Phase.ROLLED_BACK, "")
    assert set(ask(stable, range(1, 5))) == {200}, "what still arrives is nobody's"
    for _ in range(2):
        stable.tick("retire_models")
        stable.advance(minutes=10)
    assert shadow_of(stable, version) is None


def test_a_newer_version_takes_the_place_of_one_in_its_shadow(cloud: Cloud) -> None:
    cloud.apply(shadowed(rollout={"supersede": "replace"}))
    cloud.deploy("run-1")
    behave(cloud, "1")
    assert into_the_shadow(cloud) == "2"
    assert into_the_shadow(cloud, "run-3") == "3"
    assert cloud.rollout("2").phase is Phase.SUPERSEDED
    cloud.tick("retire_models")
    cloud.advance(minutes=10)
    cloud.tick("retire_models")
    cloud.advance(minutes=10)
    assert shadow_of(cloud, "2") is None
    assert shadow_of(cloud, "3") is not None
    assert cloud.split() == {"1": 100}


def test_a_person_can_end_the_shadow_early(stable: Cloud, signed: object) -> None:
    version = into_the_shadow(stable)
    stable.tell("promote", version, reason="seen enough")
    assert stable.rollout(version).shadowed
    ticks(stable, 3, 3, 1, 11, 1)
    assert stable.split() == {"1": 90, "2": 10}


def test_a_shadow_that_somebody_takes_away_fails_its_rollout(stable: Cloud) -> None:
    version = into_the_shadow(stable)
    found = shadow_of(stable, version)
    assert found is not None
    stable.world.endpoints.undeploy(found.ref, found.deployed[0].id)
    ticks(stable, 3)
    assert stable.rollout(version).sentence == "Failed v2: somebody has taken its shadow away"
    assert stable.split() == {"1": 100}


def test_silence_in_a_shadow_neither_advances_nor_takes_back(stable: Cloud) -> None:
    """Nobody publishes: ignorance is no evidence, and the policy's patience says what follows."""
    version = into_the_shadow(stable)
    ticks(stable, *[5] * 8)
    rollout = stable.rollout(version)
    assert rollout.phase is Phase.SHADOW
    assert rollout.hold is not None
    assert "from the candidate since" in rollout.hold.reason


def test_sample_budget_and_payload_are_kept_and_nothing_is_sent_twice(cloud: Cloud) -> None:
    cloud.apply(shadowed({"sample": "50%", "per_minute": 8, "payload_kib": 1}))
    cloud.deploy("run-1")
    behave(cloud, "1")
    into_the_shadow(cloud)
    one = [asked(cloud, number) for number in range(80)]
    before = cloud.emulator.counts["Predict"]
    for prediction in one:
        assert cloud.wake("mirror_request", prediction_logged_message(prediction)) == 200
    sent = cloud.emulator.counts["Predict"] - before
    assert 4 <= sent <= 8, "of 80 requests half are sampled, and eight a minute is all that there is"
    for prediction in one:
        cloud.wake("mirror_request", prediction_logged_message(prediction))
    assert cloud.emulator.counts["Predict"] - before == sent, "a second delivery sends nothing again"
    cloud.advance(minutes=1)
    large = replace(asked(cloud, 500), instances=("x" * 2000,))
    of_another = replace(asked(cloud, 501), deployed_model="123")
    of_yesterday = replace(asked(cloud, 502), at=cloud.now.replace(year=2025))
    before = cloud.emulator.counts["Predict"]
    for prediction in (large, of_another, of_yesterday):
        assert cloud.wake("mirror_request", prediction_logged_message(prediction)) == 200
    assert cloud.emulator.counts["Predict"] == before


def test_a_request_whose_function_died_half_way_is_asked_again_and_counted_once(stable: Cloud) -> None:
    version = into_the_shadow(stable)
    prediction = asked(stable, 1)
    stable.emulator.faults.fail("Predict", grpc.StatusCode.UNAVAILABLE)
    assert stable.wake("mirror_request", prediction_logged_message(prediction)) == 200
    assert stable.wake("mirror_request", prediction_logged_message(prediction)) == 200
    assert stable.wake("mirror_request", prediction_logged_message(prediction)) == 200
    minute = stable.now.replace(second=0)
    stable.advance(minutes=1)
    found = stable.world.store.mirrored.of_minute(minute.replace(minute=minute.minute + 1))
    assert [(c.rollout, c.counts["same_schema"]) for c in found] == [(stable.rollout(version).id, (1, 0))]


def test_logged_requests_are_replayed_from_bigquery(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN an endpoint that logs its requests WHEN its policy's shadow reads the log THEN nobody has to publish anything."""
    table = "bq://local-project.serving.requests"
    target = {"region": "us-central1", "endpoint": "churn-serving", "request_logging": {"table": table}}
    with BigQuery() as bigquery:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
        cloud.apply(shadowed({"source": "logged"}, targets=[target]))
        cloud.deploy("run-1")
        behave(cloud, "1")
        version = into_the_shadow(cloud)
        kept = len(cloud.emulator.logged_requests())
        for minute in range(10):
            for number in range(12):
                asked(cloud, 100 * minute + number)
            for row in cloud.emulator.logged_requests()[kept:]:
                bigquery.add(row)
            kept = len(cloud.emulator.logged_requests())
            cloud.advance(minutes=1)
            assert cloud.tick("replay_requests") == 200
            assert set(cloud.deliver("prediction-logged")) <= {200}
            ticks(cloud, 0)
        assert cloud.rollout(version).shadowed, cloud.rollout(version).sentence
        ended = next(e for e in cloud.ledger(version) if e.decision == "advance")
        assert "same_score 100 %" in ended.sentence
        assert "`local-project.serving.requests`" in bigquery.queries[0]
        asked_before = len(bigquery.queries)
        cloud.tick("replay_requests")
        assert len(bigquery.queries) == asked_before, "no shadow, no query"


def test_a_shadow_that_reads_a_log_needs_one() -> None:
    with pytest.raises(PermanentError, match="this target logs no requests"):
        policy(rollout={"shadow": {"source": "logged"}})
    assert shadowed().model == MODEL
