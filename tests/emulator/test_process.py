"""The emulator as a process of its own, on compressed time, and under many clients at once."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud.aiplatform_v1.services.model_service.client import ModelServiceClient
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import ModelServiceGrpcTransport
from google.cloud.monitoring_v3.services.metric_service.client import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports.grpc import MetricServiceGrpcTransport

from tests.emulator.conftest import PARENT, MakeVertex, ManualClock, Vertex
from vertex_emulator import clock
from vertex_emulator.__main__ import main
from vertex_emulator.config import Config, config_from
from vertex_emulator.monitoring.server import Monitoring
from vertex_emulator.server import Emulator
from vertex_emulator.serving.profile import Profile, read_profile


def test_it_runs_by_itself_on_compressed_time_and_ends_on_a_signal(tmp_path: Path) -> None:
    config = tmp_path / "emulator.json"
    config.write_text(json.dumps({"projects": {"local-project": "42"}, "durations": {"upload": 120}}))
    log = tmp_path / "entries.jsonl"
    environment = {**os.environ, "CLOCK_ORIGIN": str(time.time()), "CLOCK_RATE": "600"}
    command = [sys.executable, "-m", "vertex_emulator", "--config", str(config), "--logs", str(log)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name, _, address = process.stdout.readline().strip().partition("=")
        assert name == "VERTEX_EMULATOR_HOST"
        assert process.stdout.readline() == f"MONITORING_EMULATOR_HOST={address}\n"
        with grpc.insecure_channel(address) as channel:
            models = ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
            request = {"parent": PARENT, "model_id": "relevance", "model": {"display_name": "R"}}
            assert (
                models.upload_model(request).result(timeout=20).model
                == "projects/42/locations/us-central1/models/relevance"
            )
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert [json.loads(line)["operation"].get("last", False) for line in log.read_text().splitlines()] == [False, True]


def test_operations_end_by_themselves_while_nobody_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOCK_ORIGIN", str(time.time()))
    monkeypatch.setenv("CLOCK_RATE", "2000")
    entries: queue.Queue[dict[str, Any]] = queue.Queue()
    with Emulator(log_sink=entries.put) as emulator, grpc.insecure_channel(emulator.address) as channel:
        models = ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
        models.upload_model({"parent": PARENT, "model_id": "relevance", "model": {"display_name": "R"}})
        assert entries.get(timeout=20)["operation"]["first"]
        assert entries.get(timeout=20)["operation"]["last"]


def test_what_was_served_can_be_read_as_metrics_on_the_same_port() -> None:
    now = ManualClock()
    monitoring = Monitoring(delay=0, clock=now)
    emulator = Emulator(clock=now, sink=monitoring.sink, extra_handlers=monitoring.handlers())
    with contextlib.closing(Vertex(emulator, now)) as vertex:
        vertex.upload()
        endpoint = vertex.endpoint()
        vertex.deploy(endpoint, "11")
        vertex.split(endpoint, {"11": 100})
        begun = now()
        for _ in range(5):
            vertex.predict(endpoint, {"x": 1}, {"x": 2})
        vertex.advance(120)
        metrics = MetricServiceClient(transport=MetricServiceGrpcTransport(channel=vertex.channel))
        series = metrics.list_time_series(
            {
                "name": "projects/local-project",
                "filter": 'metric.type = "aiplatform.googleapis.com/prediction/online/prediction_count" AND '
                'resource.labels.endpoint_id = "serving" AND metric.labels.deployed_model_id = "11"',
                "interval": {"start_time": begun - timedelta(minutes=1), "end_time": now()},
            }
        )
        assert [sum(point.value.int64_value for point in entry.points) for entry in series] == [10]


def test_a_configuration_that_cannot_be_used_says_which_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "emulator.json"
    config.write_text(json.dumps({"image": {}}))
    assert main(["--config", str(config)]) == 2
    assert "unknown key 'image'" in capsys.readouterr().err


def test_a_configuration_is_read_with_its_status_codes_and_parts() -> None:
    config = config_from(
        {"etag_mismatch": "FAILED_PRECONDITION", "quotas": {"replicas": 3}, "buckets": "/b", "workers": 4}
    )
    assert config.etag_mismatch is grpc.StatusCode.FAILED_PRECONDITION
    assert (config.quotas.replicas, config.buckets, config.workers) == (3, Path("/b"), 4)
    with pytest.raises(ValueError, match="durations must be a mapping"):
        config_from({"durations": 3})


def test_compressed_time_runs_from_its_origin_at_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = time.time() - 10
    monkeypatch.setenv("CLOCK_ORIGIN", str(origin))
    monkeypatch.setenv("CLOCK_RATE", "60")
    assert clock.now().timestamp() - origin == pytest.approx(600, abs=60)
    assert clock.wall_seconds(600) == 10


def test_profiles_are_declared_by_environment_above_the_configuration() -> None:
    base = read_profile({"latency_ms": 80, "outputs": {"score": {"mean": 1}}}, Profile())
    assert (base.latency_ms, base.outputs["score"].mean, base.error_rate) == (80, 1, 0)
    assert read_profile({"latency_ms": "20"}, base).latency_ms == 20


def test_traffic_moves_under_load_without_a_lost_or_misrouted_request(make_vertex: MakeVertex) -> None:
    image = {"sim/model": {"latency_ms": 2, "capacity_rps": 1_000_000}}
    vertex = make_vertex(Config(simulated=image))
    vertex.upload()
    endpoint = vertex.endpoint()
    vertex.deploy(endpoint, "11")
    vertex.deploy(endpoint, "22")
    vertex.split(endpoint, {"11": 100})
    served: Counter[str] = Counter()
    finished = threading.Event()

    def client() -> None:
        while not finished.is_set():
            served[vertex.predict(endpoint).deployed_model_id] += 1

    clients = [threading.Thread(target=client) for _ in range(8)]
    for thread in clients:
        thread.start()
    for share in (10, 50, 90, 100):
        vertex.split(endpoint, {"11": 100 - share, "22": share})
        time.sleep(0.1)
    finished.set()
    for thread in clients:
        thread.join()
    after = Counter(vertex.predict(endpoint).deployed_model_id for _ in range(20))
    assert after == {"22": 20}
    assert set(served) == {"11", "22"}
    assert sum(vertex.sink.of("response_count", response_code="2xx")) == served.total() + 20
    assert all(snapshot.is_sound for snapshot in vertex.emulator.history.of("serving"))
