"""More rollouts than one tick has time for: the tick is divided; after a pause it catches up by and by."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from shared import topics
from shared.actions import assess, served
from shared.rollout.evidence import Evidence
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ERRORS, judged

MODELS = [f"churn-{number}" for number in range(5)]


def endpoint(model: str) -> str:
    return f"{model}-serving"


@pytest.fixture
def watched(cloud: Cloud) -> Cloud:
    """Five first versions in their watch."""
    for model in MODELS:
        targets = [{"region": "us-central1", "endpoint": endpoint(model)}]
        cloud.apply(judged(model=model, targets=targets, rollout={"checks": [ERRORS]}))
        cloud.wake("register_model", cloud.train(model=model, run_id=model, metrics=None))
    cloud.advance(seconds=61)
    for model in MODELS:
        cloud.wake("register_model", cloud.train(model=model, run_id=model, metrics=None))
    cloud.settle()
    for minutes in (1, 11, 1):
        cloud.advance(minutes=minutes)
        cloud.tick("assess_rollouts")
        cloud.settle()
    return cloud


def serve_minutes(cloud: Cloud, minutes: int) -> None:
    for _ in range(minutes):
        cloud.advance(minutes=1)
        for model in MODELS:
            cloud.serve(10, {}, endpoint(model))


def gathered(cloud: Cloud, model: str) -> Evidence:
    found = cloud.world.store.evidence.of(cloud.rollout("1", model).id)
    assert found is not None
    return found


def requests(cloud: Cloud, model: str) -> int:
    return gathered(cloud, model).arm(cloud.rollout("1", model).deployed_id).requests


def test_a_tick_that_is_too_much_asks_for_several_and_each_judges_its_share(
    watched: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assess, "MOST", 2)
    serve_minutes(watched, 5)
    watched.advance(minutes=5)
    before = [requests(watched, model) for model in MODELS]
    assert watched.tick("assess_rollouts") == 200
    parts = watched.published(topics.SCHEDULE)
    assert [json.loads(part.data).get("shard") for part in parts] == [0, 1, 2]
    assert {part.attributes["job"] for part in parts} == {"assess_rollouts"}
    assert [requests(watched, model) for model in MODELS] == before, "the divided tick judges nothing itself"
    for part in parts:
        assert watched.wake("assess_rollouts", part.data) == 200
    assert [requests(watched, model) for model in MODELS] == [50] * len(MODELS)
    for part in parts:  # delivered again
        assert watched.wake("assess_rollouts", part.data) == 200
    assert [requests(watched, model) for model in MODELS] == [50] * len(MODELS)


def test_an_undivided_tick_goes_on_where_shards_have_ended(watched: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_minutes(watched, 2)
    watched.advance(minutes=5)
    monkeypatch.setattr(assess, "MOST", 2)
    watched.tick("assess_rollouts")
    for part in watched.published(topics.SCHEDULE):
        watched.wake("assess_rollouts", part.data)
    monkeypatch.setattr(assess, "MOST", 100)
    serve_minutes(watched, 3)
    watched.advance(minutes=5)
    assert watched.tick("assess_rollouts") == 200
    assert [requests(watched, model) for model in MODELS] == [50] * len(MODELS)


def test_a_shard_that_does_not_exist_is_refused(cloud: Cloud) -> None:
    message = {"schema": "tick/v1", "job": "assess_rollouts", "shard": 2, "shards": 2}
    assert cloud.wake("assess_rollouts", message) == 200
    (letter,) = cloud.published(topics.DEAD_LETTERS)
    assert "shard 2 of 2: shards are counted from 0" in letter.attributes["reason"]


def test_after_a_pause_the_oldest_minutes_are_read_first_and_no_more_than_there_is_time_for(
    watched: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "CATCH_UP", 10 * len(MODELS))
    began = watched.now
    serve_minutes(watched, 28)
    read = []
    for _ in range(4):
        with watched.cost() as spent:
            assert watched.tick("assess_rollouts") == 200
        assert spent["ListTimeSeries"] <= 1
        until = gathered(watched, MODELS[0]).judged_until
        assert until is not None
        read.append(until)
        watched.advance(seconds=1)
    assert began < read[0] <= began + timedelta(minutes=10)
    assert read[1] - read[0] == timedelta(minutes=10)
    assert read[2] == read[3] == (began + timedelta(minutes=28 - 2)).replace(second=0), (
        "up to the policy's lag of two minutes"
    )
    assert requests(watched, MODELS[0]) >= 100
