"""More rollouts than one tick has time for: the tick is divided; after a pause it catches up by and by."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable
from datetime import timedelta

import grpc
import pytest

from shared import topics
from shared.actions import assess, served
from shared.policy.schema import Policy
from shared.rollout.evidence import Evidence
from shared.rollout.observed import Endpoint
from shared.store.store import Store
from shared.vertex.endpoints import Endpoints
from shared.wiring import world
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ERRORS, judged
from vertex_emulator.faults import Fault, Kind

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


def test_a_version_of_a_policy_is_read_once_by_an_instance(watched: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, int]] = []
    policy_versions = Store.policy_versions

    def noted(self: Store, keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Policy]:
        read.extend(keys := list(keys))
        return policy_versions(self, keys)

    monkeypatch.setattr(Store, "policy_versions", noted)
    monkeypatch.setattr(world(), "policies", {})
    for _ in range(3):
        serve_minutes(watched, 1)
        assert watched.tick("assess_rollouts") == 200
    assert sorted(read) == [(model, 1) for model in MODELS]
    assert set(world().policies) == set(read)
    monkeypatch.setattr(assess, "MOST", 2)
    watched.tick("assess_rollouts")
    part = watched.published(topics.SCHEDULE)[0]
    assert watched.wake("assess_rollouts", part.data) == 200
    assert 0 < len(world().policies) < len(MODELS), "what another share needs is not kept beside it"


@pytest.mark.parametrize("at_once", [2, 500])
def test_many_endpoints_are_listed_while_others_are_asked(
    watched: Cloud, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    listed: list[bool] = []
    every = Endpoints.list

    def noted(self: Endpoints, project: str, region: str, only: Collection[str] | None = None) -> list[Endpoint]:
        listed.append(threading.current_thread() is threading.main_thread())
        return every(self, project, region, only)

    monkeypatch.setattr(Endpoints, "list", noted)
    monkeypatch.setattr(assess, "AT_ONCE", at_once)
    serve_minutes(watched, 5)
    watched.advance(minutes=5)
    assert watched.tick("assess_rollouts") == 200
    assert [requests(watched, model) for model in MODELS] == [50] * len(MODELS)
    assert listed == [at_once > len(MODELS)]
    assert not watched.published(topics.ROLLOUT_DUE), "every endpoint was seen as it should be"


def test_a_region_that_cannot_be_listed_makes_nobody_wait_for_what_was_served(
    watched: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assess, "AT_ONCE", 2)
    serve_minutes(watched, 5)
    watched.advance(minutes=5)
    watched.emulator.faults.plan(Fault(Kind.FAIL, "ListEndpoints", grpc.StatusCode.PERMISSION_DENIED))
    assert watched.tick("assess_rollouts") == 200
    assert [requests(watched, model) for model in MODELS] == [50] * len(MODELS)
    assert len(watched.published(topics.ROLLOUT_DUE)) == len(MODELS), "a step looks at each endpoint by itself"


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
