"""The autoscaler as documented: target 60 %, every 15 s over 5 minutes, up after about 60 s, down after 5 minutes or more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.api_core import exceptions
from hypothesis import given
from hypothesis import strategies as st

from tests.emulator.conftest import Vertex
from vertex_emulator.replicas import INTERVAL, ReplicaSet
from vertex_emulator.serving.profile import Profile, strain

START = datetime(2026, 3, 1, tzinfo=UTC)


def run(replicas: ReplicaSet, load: float, minutes: float, start: datetime) -> datetime:
    """Evaluate for a while with ``load`` in full replicas' worth of work."""
    now = start
    while now < start + timedelta(minutes=minutes):
        now += INTERVAL
        replicas.evaluate(load / replicas.ready(now), now)
    return now


def test_load_above_the_target_adds_replicas_that_serve_a_minute_later() -> None:
    replicas = ReplicaSet(1, 5, 0.6)
    replicas.evaluate(1.2, START)
    assert (replicas.goal, replicas.ready(START)) == (2, 1)
    assert replicas.ready(START + timedelta(seconds=59)) == 1
    assert replicas.ready(START + timedelta(seconds=60)) == 2


def test_it_settles_where_the_target_says_and_does_not_overshoot() -> None:
    replicas = ReplicaSet(1, 20, 0.6)
    now = run(replicas, 2.9, 10, START)
    assert replicas.ready(now) == 5  # ceil(2.9 / 0.6)


def test_it_goes_down_only_after_five_minutes_of_less_load() -> None:
    replicas = ReplicaSet(1, 5, 0.6)
    now = run(replicas, 2.4, 10, START)
    assert replicas.ready(now) == 4
    assert replicas.ready(run(replicas, 0.1, 4.5, now)) == 4
    assert replicas.ready(run(replicas, 0.1, 6, now)) == 1


def test_three_replicas_exactly_at_the_target_stay_three() -> None:
    replicas = ReplicaSet(3, 10, 0.6)
    replicas.evaluate(0.6, START)
    assert replicas.goal == 3


def test_new_limits_act_at_once_downwards_and_by_starting_upwards() -> None:
    replicas = ReplicaSet(4, 4, 0.6)
    replicas.set_limits(1, 2, 0.6, START)
    assert replicas.ready(START) == 2
    replicas.set_limits(3, 3, 0.6, START)
    assert replicas.ready(START) == 2
    assert replicas.ready(START + timedelta(minutes=1)) == 3


def test_a_start_that_is_no_longer_wanted_is_given_up() -> None:
    replicas = ReplicaSet(1, 5, 0.6)
    replicas.evaluate(3, START)
    replicas.set_limits(1, 2, 0.6, START)
    assert replicas.ready(START + timedelta(minutes=2)) == 2


@given(
    limits=st.tuples(st.integers(1, 5), st.integers(0, 5)),
    loads=st.lists(st.floats(0, 20), max_size=40),
)
def test_replicas_stay_within_their_limits_whatever_the_load(limits: tuple[int, int], loads: list[float]) -> None:
    low, high = limits[0], sum(limits)
    replicas = ReplicaSet(low, high, 0.6)
    now = START
    for load in loads:
        now += INTERVAL
        replicas.evaluate(load, now)
        assert low <= replicas.ready(now) <= high


@given(st.floats(0, 50), st.floats(0, 50))
def test_more_load_never_makes_a_replica_faster_or_shed_less(one: float, other: float) -> None:
    less, more = strain(min(one, other)), strain(max(one, other))
    assert less.latency_factor <= more.latency_factor
    assert 0 <= less.shed <= more.shed < 1


def test_latency_rises_towards_capacity_and_requests_are_shed_beyond_it() -> None:
    assert (strain(0.8).latency_factor, strain(0.8).shed) == (1, 0)
    assert strain(1).latency_factor == pytest.approx(2)
    assert strain(1).shed == 0
    assert (strain(2).latency_factor, strain(2).shed) == (8, 0.5)


def test_requests_drive_the_replicas_of_a_deployed_model_and_its_gauges(vertex: Vertex) -> None:
    vertex.upload()
    endpoint = vertex.endpoint()
    resources = {"min_replica_count": 1, "max_replica_count": 4}
    vertex.deploy(endpoint, "11", deployed_model={"dedicated_resources": resources})
    vertex.split(endpoint, {"11": 100})
    vertex.emulator.profiles.override("relevance", Profile(latency_ms=0, latency_spread=0, capacity_rps=1_000))
    vertex.advance(15)
    for _ in range(20):
        vertex.predict(endpoint)
    # 20 requests in 15 s at one request per second and replica: 133 % of one replica.
    vertex.emulator.profiles.override("relevance", Profile(latency_ms=0, capacity_rps=1))
    vertex.advance(15)
    status = vertex.endpoints.get_endpoint({"name": endpoint}).deployed_models[0].status
    assert status.available_replica_count == 1
    vertex.advance(60)
    status = vertex.endpoints.get_endpoint({"name": endpoint}).deployed_models[0].status
    assert status.available_replica_count == 3
    # One report a minute: the mean over its evaluations, of which one saw the load.
    assert 0 < vertex.sink.of("cpu/utilization", deployed_model_id="11")[-1] < 20 / 15
    assert vertex.sink.of("replicas", deployed_model_id="11")[-1] == 3
    assert vertex.sink.of("target_replicas", deployed_model_id="11")[-1] == 3


def test_a_model_beyond_its_capacity_sheds_requests(vertex: Vertex, serving: str) -> None:
    vertex.emulator.profiles.override("relevance@1", Profile(latency_ms=0, capacity_rps=0.5))
    outcomes = set()
    for _ in range(30):
        try:
            vertex.predict(serving)
            outcomes.add("served")
        except exceptions.ServiceUnavailable:
            outcomes.add("shed")
    assert "shed" in outcomes
    vertex.emulator.profiles.override("relevance@1", None)
    assert vertex.sink.of("response_count", response_code="5xx")
