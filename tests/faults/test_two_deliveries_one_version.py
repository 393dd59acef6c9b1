"""One training run, two deliveries in two processes, one of which dies; one version comes of it.

The processes are real: the function under the framework's own server, killed without a warning. Fifteen minutes of lease are four and a half
seconds here.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from local.host import ProcessHost, discover
from local.pubsub import PubsubServer
from local.pubsub.clients import publisher_at, subscriber_at
from shared import clock, topics
from shared.policy.schema import Container
from shared.rollout.observed import ModelVersion
from shared.store.sqlite import SQLiteDocuments
from shared.store.store import Store
from shared.vertex.registry import Registry, UploadSpec
from tests.faults.rig import MODEL, PROJECT, REGION, ROOT, policy
from vertex_emulator.config import Config, Durations
from vertex_emulator.server import Emulator

RATE = 200.0
PATIENCE = 20.0
"""Wall seconds within which everything has happened."""
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/uploaded"


class Plant:
    """Vertex AI, Pub/Sub, a store, and two instances of ``register_model`` (and one of ``start_rollout``)."""

    def __init__(self, folder: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CLOCK_RATE", f"{RATE:g}")
        monkeypatch.setenv("CLOCK_ORIGIN", f"{time.time():.3f}")
        self.emulator = stack.enter_context(Emulator(Config(durations=Durations(upload=60))))
        self.pubsub = stack.enter_context(PubsubServer(workers=1))
        monkeypatch.setenv("VERTEX_EMULATOR_HOST", self.emulator.address)
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", self.pubsub.address)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
        monkeypatch.setenv("STORE_PATH", str(folder / "rollouts.db"))
        self._subscribe()
        self.store = Store(SQLiteDocuments(folder / "rollouts.db"))
        stack.callback(self.store.close)
        self.store.put_policy(policy(), "owner@example.com", clock.now())
        functions = discover(ROOT / "functions")
        registers = {"register_model": functions["register_model"]}
        self.first = ProcessHost(registers, root=ROOT)
        self.second = ProcessHost(registers | {"start_rollout": functions["start_rollout"]}, root=ROOT)
        starting = threading.Thread(target=self.first.start)
        starting.start()
        stack.enter_context(self.second)
        starting.join()
        stack.callback(self.first.stop)
        self.registry = Registry()

    def deliver(self, host: ProcessHost, delivery: str) -> int:
        """Post the training run's message; 0 when the process died over it."""
        return post(f"{host.url('register_model')}/projects/{PROJECT}/topics/training-completed", RUN, delivery)

    def deliver_until_done(self, host: ProcessHost) -> int:
        """As Pub/Sub does: again and again, until it is acknowledged; how often."""
        until = time.monotonic() + PATIENCE
        for number in range(1, 1000):
            if self.deliver(host, "message-1") in (200, 204):
                return number
            assert time.monotonic() < until, host.log("register_model")[-3000:]
            time.sleep(0.1)
        raise AssertionError("never acknowledged")

    def versions(self) -> list[ModelVersion]:
        return self.registry.versions(PROJECT, REGION, MODEL)

    def announced(self) -> list[dict[str, Any]]:
        """What was published to model-uploaded."""
        leases = self.pubsub.broker.take(SUBSCRIPTION, 100)
        return [json.loads(lease.pending.message.data) for lease in leases]

    def started(self, announced: list[dict[str, Any]]) -> list[str]:
        """The rollouts that come of these messages."""
        for number, message in enumerate(announced):
            post(
                f"{self.second.url('start_rollout')}/projects/{PROJECT}/topics/model-uploaded",
                message,
                f"uploaded-{number}",
            )
        return [r.version for r in self.store.rollouts_of_model(MODEL)]

    def upload_by_hand(self) -> None:
        """A version that no training run of ours made."""
        container = Container(image="example/server:1")
        spec = UploadSpec(PROJECT, REGION, MODEL, True, MODEL, container, "", {}, ("candidate",), "by hand", None)
        self.registry.upload(spec)
        _until(lambda: bool(self.versions()))

    def _subscribe(self) -> None:
        publisher, subscriber = publisher_at(self.pubsub.address), subscriber_at(self.pubsub.address)
        for topic in topics.ALL:
            publisher.create_topic(name=f"projects/{PROJECT}/topics/{topic}")
        topic = f"projects/{PROJECT}/topics/{topics.MODEL_UPLOADED}"
        subscriber.create_subscription(name=SUBSCRIPTION, topic=topic, ack_deadline_seconds=600)
        publisher.transport.close()
        subscriber.transport.close()


RUN = {
    "schema": "training-completed/v1",
    "model": MODEL,
    "run_id": "run-7",
    "artifact_uri": "gs://models/run-7",
    "metrics": {"auc": 0.9},
    "dataset": "v3",
    "code_revision": "3f2a1c9",
}


def post(url: str, content: dict[str, Any], delivery: str) -> int:
    data = base64.b64encode(json.dumps(content).encode()).decode()
    message = {"data": data, "messageId": delivery, "publishTime": clock.now().astimezone(UTC).isoformat()}
    try:
        return requests.post(url, json={"message": message, "subscription": "s"}, timeout=PATIENCE).status_code
    except requests.ConnectionError:
        return 0


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    with ExitStack() as stack:
        yield Plant(tmp_path, stack, monkeypatch)


def kill_during(plant: Plant, method: str, nth: int = 1) -> None:
    """Deliver to the first process, and kill it while the nth call of that method is under way."""
    before = plant.emulator.counts[method]
    for _ in range(nth - 1):
        plant.emulator.faults.delay(method, 0.001, times=1)
    plant.emulator.faults.delay(method, 0.6, times=1)
    answers: list[int] = []
    delivery = threading.Thread(target=lambda: answers.append(plant.deliver(plant.first, "message-1")))
    delivery.start()
    _until(lambda: plant.emulator.counts[method] >= before + nth)
    plant.first.kill("register_model")
    delivery.join()
    assert answers == [0], "the process was to die in the middle"
    plant.emulator.faults.clear()


def _until(is_true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.005)


def assert_one_of_everything(plant: Plant) -> None:
    versions = plant.versions()
    assert [v.version for v in versions] == ["1"]
    assert versions[0].labels["vr-run"] == "message-run-7"
    assert "candidate" in versions[0].aliases
    assert len(plant.registry.evaluations(versions[0])) == 1
    announced = plant.announced()
    assert {(m["model"], m["version"]) for m in announced} == {(MODEL, "1")}
    assert plant.started(announced) == ["1"]
    queued = [e for e in plant.store.ledger() if e.sentence.startswith("Queued")]
    assert len(queued) == 1


def test_killed_while_the_upload_is_under_way(plant: Plant) -> None:
    kill_during(plant, "UploadModel")
    plant.deliver_until_done(plant.second)
    assert plant.emulator.counts["UploadModel"] == 1, "the upload whose answer nobody heard was found, not repeated"
    assert_one_of_everything(plant)


def test_killed_before_the_upload(plant: Plant) -> None:
    kill_during(plant, "ListModelVersions")
    assert plant.emulator.counts["UploadModel"] == 0
    began = datetime.now(UTC)
    plant.deliver_until_done(plant.second)
    assert plant.emulator.counts["UploadModel"] == 1
    claim = plant.store.claim(f"{MODEL}-message-run-7", "nobody", clock.now(), lease=began - began)
    assert (claim.state, claim.version) == ("done", "1")
    assert_one_of_everything(plant)


def test_killed_while_the_evaluation_is_imported(plant: Plant) -> None:
    until = time.monotonic() + PATIENCE
    while not plant.versions():
        plant.deliver(plant.second, "message-0") if not plant.emulator.counts["UploadModel"] else time.sleep(0.02)
        assert time.monotonic() < until
    kill_during(plant, "ImportModelEvaluation")
    plant.deliver_until_done(plant.second)
    assert_one_of_everything(plant)


def test_the_answer_of_the_upload_is_lost(plant: Plant) -> None:
    plant.emulator.faults.lose_answer("UploadModel")
    assert plant.deliver(plant.first, "message-1") == 500
    plant.deliver_until_done(plant.second)
    assert plant.emulator.counts["UploadModel"] == 1
    assert_one_of_everything(plant)


def test_two_deliveries_at_the_same_moment(plant: Plant) -> None:
    deliveries = [
        threading.Thread(target=plant.deliver_until_done, args=(host,)) for host in (plant.first, plant.second)
    ]
    for delivery in deliveries:
        delivery.start()
    for delivery in deliveries:
        delivery.join()
    assert plant.emulator.counts["UploadModel"] == 1
    assert_one_of_everything(plant)


def test_two_deliveries_meet_at_the_evaluation(plant: Plant) -> None:
    until = time.monotonic() + PATIENCE
    while not plant.versions():
        plant.deliver(plant.second, "message-0") if not plant.emulator.counts["UploadModel"] else time.sleep(0.02)
        assert time.monotonic() < until
    # Time enough for both to see that there is no evaluation before either has imported one.
    plant.emulator.faults.delay("ImportModelEvaluation", 0.25, times=2)
    deliveries = [
        threading.Thread(target=plant.deliver_until_done, args=(host,)) for host in (plant.first, plant.second)
    ]
    for delivery in deliveries:
        delivery.start()
    for delivery in deliveries:
        delivery.join()
    assert plant.emulator.counts["ImportModelEvaluation"] == 1
    assert_one_of_everything(plant)


def test_should_two_versions_exist_after_all_only_the_lower_starts_a_rollout(plant: Plant) -> None:
    plant.upload_by_hand()
    # The first call is taken so late that its lease has passed to another delivery: nothing can exclude that.
    plant.emulator.faults.delay("UploadModel", 5.5, times=1)
    late = threading.Thread(target=plant.deliver, args=(plant.first, "message-1"))
    late.start()
    _until(lambda: plant.emulator.counts["UploadModel"] == 2)
    plant.deliver_until_done(plant.second)
    late.join()
    _until(lambda: [v.labels.get("vr-run") for v in plant.versions()] == [None, "message-run-7", "message-run-7"])
    plant.deliver_until_done(plant.first)
    uploaded = {"schema": "model-uploaded/v1", "project": PROJECT, "region": REGION, "model": MODEL}
    assert plant.started([{**uploaded, "version": number} for number in ("3", "2")]) == ["2"]
