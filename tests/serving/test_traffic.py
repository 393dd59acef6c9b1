"""The caller's app against a gRPC server: what it sends, what it counts, what it survives."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from statistics import fmean
from typing import Any

import grpc
import pytest

from infra.serving.behaviour import Behaviour
from infra.serving.relevance import SCORERS, relevance_model
from local.images import image
from local.tally import Result, Tally
from local.traffic import DEPLOYED_MODEL_METADATA, Traffic
from tests.serving.container import PATIENCE
from tests.serving.stub_vertex import prediction, stub_vertex

ENDPOINT = "projects/demo/locations/us-central1/endpoints/arr-coc-serving"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.005)


def test_answers_are_counted_per_deployed_model_with_their_quality() -> None:
    asked: list[Any] = []
    lock = threading.Lock()

    def predict(request: Any, _: grpc.ServicerContext) -> Any:
        with lock:
            asked.append(request)
            is_candidate = len(asked) % 4 == 0
        return prediction("22", "4", tokens=300, note="x") if is_candidate else prediction("11", "3", tokens=200)

    with stub_vertex(predict) as address, Traffic(address, ENDPOINT, rps=400, seed=1) as traffic:
        wait_until(lambda: traffic.snapshot().sent >= 80)
        snapshot = traffic.stop()
    stable, candidate = snapshot.versions["11"], snapshot.versions["22"]
    assert snapshot.ok == snapshot.sent == len(asked)
    assert (stable.model, stable.version, candidate.version) == ("arr-coc", "3", "4")
    assert candidate.requests == len(asked) // 4
    assert (stable.quality["tokens"].mean, candidate.quality["tokens"].mean) == (200, 300)
    assert set(candidate.quality) == {"tokens"}, "a text is no quality value"
    assert 0 < stable.latency_ms["p50"] <= stable.latency_ms["p95"] <= stable.latency_ms["p99"]
    assert {request.endpoint for request in asked} == {ENDPOINT}


def test_the_same_seed_sends_the_same_instances() -> None:
    def images_sent(seed: int) -> set[str]:
        sent: list[str] = []

        def predict(request: Any, _: grpc.ServicerContext) -> Any:
            sent.append(str(request.instances[0]))
            return prediction("11", "3")

        with stub_vertex(predict) as address, Traffic(address, ENDPOINT, rps=500, seed=seed, workers=1) as traffic:
            wait_until(lambda: traffic.snapshot().sent >= 10)
        return set(sent[:10])

    assert images_sent(5) == images_sent(5)
    assert images_sent(5).isdisjoint(images_sent(6))


def test_failures_are_counted_by_status_and_attributed_where_the_service_says_whose_they_are() -> None:
    turn = iter(range(1_000_000))

    def predict(_: Any, context: grpc.ServicerContext) -> Any:
        match next(turn) % 4:
            case 0:
                context.abort(grpc.StatusCode.UNAVAILABLE, "no replica")
            case 1:
                context.set_trailing_metadata(((DEPLOYED_MODEL_METADATA, "22"),))
                context.abort(grpc.StatusCode.INTERNAL, "the model failed")
            case 2:
                context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, "endpoint_id: 5, deployed_model_id: 33 with error: `..."
                )
        return prediction("11", "3", tokens=200)

    with stub_vertex(predict) as address, Traffic(address, ENDPOINT, rps=400, seed=1, workers=1) as traffic:
        wait_until(lambda: traffic.snapshot().sent >= 30)
        snapshot = traffic.stop()
    assert set(snapshot.versions) == {"", "11", "22", "33"}
    assert set(snapshot.versions["33"].errors) == {"INVALID_ARGUMENT"}
    assert snapshot.versions[""].errors == {"UNAVAILABLE": snapshot.versions[""].requests}
    assert snapshot.versions["22"].errors == {"INTERNAL": snapshot.versions["22"].requests}
    assert snapshot.versions["11"].errors == {}
    assert snapshot.last_problem


def test_a_server_that_is_not_there_is_counted_and_survived() -> None:
    with Traffic("127.0.0.1:1", ENDPOINT, rps=200, seed=1, timeout=1.0) as traffic:
        wait_until(lambda: traffic.snapshot().sent >= 5)
        snapshot = traffic.stop()
    assert set(snapshot.versions) == {""}
    assert set(snapshot.versions[""].errors) <= {"UNAVAILABLE", "DEADLINE_EXCEEDED"}


def test_a_listener_that_raises_does_not_end_the_traffic() -> None:
    def listen(_: Result) -> None:
        raise ValueError("full")

    with (
        stub_vertex(lambda *_: prediction("11", "3")) as address,
        Traffic(address, ENDPOINT, 400, 1, listen) as traffic,
    ):
        wait_until(lambda: traffic.snapshot().sent >= 10)
        snapshot = traffic.stop()
    assert snapshot.callback_failures == snapshot.sent
    assert snapshot.last_problem == "on_result raised ValueError: full"


def test_requests_that_all_workers_are_too_busy_for_are_skipped_and_counted() -> None:
    gate = threading.Event()

    def predict(*_: object) -> Any:
        gate.wait(PATIENCE)
        return prediction("11", "3")

    with stub_vertex(predict) as address, Traffic(address, ENDPOINT, 100, 1, workers=2, timeout=30) as traffic:
        time.sleep(1.3)
        gate.set()
        wait_until(lambda: traffic.snapshot().skipped > 0 and traffic.snapshot().sent > 10)
        snapshot = traffic.stop()
    assert snapshot.skipped >= 100
    assert snapshot.ok == snapshot.sent


def test_the_rate_can_be_changed_and_paused() -> None:
    with (
        stub_vertex(lambda *_: prediction("11", "3")) as address,
        Traffic(address, ENDPOINT, rps=0, seed=1) as traffic,
    ):
        time.sleep(0.2)
        assert traffic.snapshot().sent == 0
        traffic.set_rate(300)
        wait_until(lambda: traffic.snapshot().sent >= 20)


def test_several_instances_per_request_are_different_images() -> None:
    asked: list[Any] = []

    def predict(request: Any, _: grpc.ServicerContext) -> Any:
        asked.append(request)
        return prediction("11", "3")

    with (
        stub_vertex(predict) as address,
        Traffic(address, ENDPOINT, 200, 1, instances_per_request=3, workers=1) as traffic,
    ):
        wait_until(lambda: traffic.snapshot().sent >= 3)
    ids = [value.struct_value["image_id"] for request in asked[:3] for value in request.instances]
    assert ids == [f"image-1-{number}" for number in range(9)]


def test_the_reservoir_keeps_a_fair_sample_of_latencies() -> None:
    tally, generator = Tally("11"), random.Random(1)
    for number in range(20_000):
        tally.add(Result("OK", latency_ms=float(number)), generator)
    snapshot = tally.snapshot()
    assert snapshot.requests == 20_000
    assert snapshot.latency_ms["p50"] == pytest.approx(10_000, abs=900)
    assert snapshot.latency_ms["p95"] == pytest.approx(19_000, abs=400)


@pytest.mark.parametrize("scorer", SCORERS)
def test_on_this_traffic_a_sound_model_compresses_about_eight_times_within_the_policys_shares(scorer: str) -> None:
    model = relevance_model({"scorer": scorer}, 1)
    answers = [model.score(image(1, number), {}, Behaviour()) for number in range(4000)]
    tokens = [answer["tokens"] for answer in answers]
    assert fmean(tokens) == pytest.approx(200, abs=8)
    assert 8 < fmean(answer["compression"] for answer in answers) < 9.2
    assert sum(count > 350 for count in tokens) < 0.05 * len(tokens)
    assert sum(count < 80 for count in tokens) < 0.05 * len(tokens)
