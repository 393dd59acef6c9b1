"""A container's own server process behind an endpoint ("Custom container requirements for inference")."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions

from tests.emulator.conftest import MakeVertex, Vertex
from vertex_emulator.config import Config

SERVER = [sys.executable, str(Path(__file__).parent / "model_server.py")]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 20 s"
        time.sleep(0.02)


@pytest.fixture
def real(make_vertex: MakeVertex, tmp_path: Path) -> Vertex:
    """An emulator that knows the image ``docker/relevance`` and has a model in ``gs://models``."""
    artifact = tmp_path / "models" / "relevance"
    artifact.mkdir(parents=True)
    (artifact / "model.json").write_text(json.dumps({"weight": 3}))
    images = {"docker/relevance": SERVER, "docker/nowhere": ["/does/not/exist"]}
    return make_vertex(Config(images=images, buckets=tmp_path, predict_timeout=0.5, start_timeout=1))


def deploy(vertex: Vertex, *args: str, image: str = "docker/relevance:v1") -> tuple[str, Any]:
    """Upload and deploy a container, and wait until its process is healthy or has failed."""
    container = {
        "image_uri": image,
        "predict_route": "/predict",
        "health_route": "/health",
        "env": [{"name": "GREETING", "value": "hello"}],
        "args": list(args),
    }
    vertex.upload(container_spec=container, artifact_uri="gs://models/relevance")
    endpoint = vertex.endpoint()
    started = vertex.start_deploy(endpoint, "11")
    vertex.advance(600)

    def is_done() -> bool:
        vertex.advance(1)
        return bool(vertex.operation(started.operation.name).done)

    until(is_done)
    return endpoint, started


def serve(vertex: Vertex) -> str:
    endpoint, started = deploy(vertex)
    vertex.finished(started)
    vertex.split(endpoint, {"11": 100})
    return endpoint


def test_predictions_come_from_the_containers_own_process_over_a_kept_connection(real: Vertex) -> None:
    endpoint = serve(real)
    for _ in range(3):
        prediction = real.predict(endpoint, {"image": "a", "size": 3, "nested": [1.5, None, True]}).predictions[0]
    assert (prediction["weight"], prediction["greeting"]) == (3, "hello")
    assert prediction["echo"]["size"] == 3
    assert list(prediction["echo"]["nested"]) == [1.5, None, True]
    first = prediction["connections"]
    assert real.predict(endpoint, "text").predictions[0]["connections"] == first


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, exceptions.InvalidArgument), (500, exceptions.InternalServerError), (503, exceptions.ServiceUnavailable)],
)
def test_the_containers_errors_reach_the_caller(real: Vertex, status: int, error: type[Exception]) -> None:
    endpoint = serve(real)
    with pytest.raises(error, match="asked for"):
        real.predict(endpoint, status)


def test_a_container_that_answers_too_late_is_a_deadline_exceeded(real: Vertex) -> None:
    endpoint = serve(real)
    with pytest.raises(exceptions.DeadlineExceeded, match="in time"):
        real.predict(endpoint, "slow")
    assert real.sink.of("response_count", response_code="5xx") == [1]


def test_a_crashed_container_is_started_again(real: Vertex) -> None:
    endpoint = serve(real)
    with pytest.raises(exceptions.ServiceUnavailable):
        real.predict(endpoint, "crash")

    def answers() -> bool:
        real.advance(15)
        try:
            return bool(real.predict(endpoint, "text").predictions)
        except exceptions.ServiceUnavailable:
            return False

    until(answers)


@pytest.mark.parametrize(
    ("arguments", "image", "reason"),
    [
        (["--broken"], "docker/relevance", "cannot load the model"),
        (["--deaf"], "docker/relevance:v1", "No 200 from /health"),
        ([], "docker/nowhere@sha256:0123", "No such file"),
    ],
)
def test_a_process_that_never_gets_healthy_fails_the_deployment_with_its_reason(
    real: Vertex, arguments: list[str], image: str, reason: str
) -> None:
    endpoint, started = deploy(real, *arguments, image=image)
    with pytest.raises(exceptions.FailedPrecondition, match=reason):
        real.finished(started)
    assert not real.endpoints.get_endpoint({"name": endpoint}).deployed_models


def test_utilisation_of_a_process_without_a_declared_capacity_is_its_busy_time(real: Vertex) -> None:
    endpoint = serve(real)
    real.advance(15)
    real.predict(endpoint, "text")
    real.advance(60)
    assert 0 < real.sink.of("cpu/utilization", deployed_model_id="11")[-1] < 0.1
