"""The server as a whole: threads, compressed time, mounting beside other services."""

from __future__ import annotations

import threading
import time
from concurrent import futures

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.monitoring_v3 import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

from tests.emulator_monitoring.conftest import ENDPOINT, ONLINE, PROJECT
from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.server import Monitoring
from vertex_emulator.ports import fresh_port


def test_in_compressed_time_a_violation_is_delivered_by_the_background_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """One wall second is ten minutes here: two minutes of violation and the delays pass in a blink."""
    monkeypatch.setenv("CLOCK_ORIGIN", str(time.time()))
    monkeypatch.setenv("CLOCK_RATE", "600")
    fired = threading.Event()
    monitoring = Monitoring(publish=lambda _topic, _data: fired.set())
    channel = protos.NotificationChannel(type_="pubsub", labels={"topic": "projects/p/topics/t"})
    create_channel = protos.CreateNotificationChannelRequest(name=PROJECT, notification_channel=channel)
    policy = protos.AlertPolicy(display_name="replicas")
    policy.notification_channels.append(monitoring._channels.create(create_channel).name)
    threshold = policy.conditions.add(display_name="more than four").condition_threshold
    threshold.filter = f'metric.type="{ONLINE}replicas" resource.type="{ENDPOINT.type}"'
    threshold.comparison, threshold.threshold_value, threshold.duration.seconds = 1, 4, 120
    monitoring._policies.create(protos.CreateAlertPolicyRequest(name=PROJECT, alert_policy=policy))
    monitoring.start()
    try:
        for _ in range(600):
            monitoring.sink.set(f"{ONLINE}replicas", {"deployed_model_id": "1"}, ENDPOINT, 5)
            if fired.wait(0.02):
                break
        assert fired.is_set()
    finally:
        monitoring.stop()
    assert [incident.state for incident in monitoring.incidents()] == ["open"]
    assert monitoring.undelivered == []


def test_the_handlers_can_be_mounted_on_anyones_server() -> None:
    monitoring = Monitoring()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers(monitoring.handlers())
    port = fresh_port(server.add_insecure_port)
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            client = MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
            assert len(list(client.list_metric_descriptors(name=PROJECT))) > 10
            with pytest.raises(exceptions.MethodNotImplemented):
                client.list_monitored_resource_descriptors(name=PROJECT)
            with pytest.raises(exceptions.InvalidArgument, match="must begin with projects"):
                client.list_metric_descriptors(name="folders/1")
    finally:
        server.stop(None).wait()


def test_measurements_from_many_threads_are_all_counted() -> None:
    monitoring = Monitoring(delay=0)

    def measure() -> None:
        for _ in range(2000):
            monitoring.sink.add(f"{ONLINE}prediction_count", {"deployed_model_id": "1"}, ENDPOINT, 1)

    threads = [threading.Thread(target=measure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = time.time()
    found = monitoring._store.read(f"{ONLINE}prediction_count", lambda _: True, now - 600, now + 600, now + 600)
    assert sum(point.value for point in found[0].points if isinstance(point.value, int)) == 8000


def test_starting_and_stopping_twice_is_harmless() -> None:
    monitoring = Monitoring()
    monitoring.start()
    monitoring.start()
    assert monitoring.serve().startswith("127.0.0.1:")
    monitoring.stop()
    monitoring.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("monitoring-")]
