"""The real functions in the real framework, one delivery at a time, on a clock that the test moves.

Vertex AI and Pub/Sub are the local servers, reached through Google's clients. What Pub/Sub would push is pulled and posted by the
test instead, so that the order is the test's and a run can be had again exactly.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from werkzeug.test import Client

from local.cloud import ROUTES
from local.function_loader import FunctionLoader
from local.host import discover
from local.pubsub import PubsubServer
from local.pubsub.clients import publisher_at, subscriber_at
from shared import topics, wiring
from shared.actions.command import Command
from shared.actions.obeying import obey
from shared.events.alert import Alert, alert_message
from shared.events.model import ModelUploaded, model_uploaded_message
from shared.policy.schema import Policy
from shared.rollout.observed import Endpoint, TargetRef
from shared.rollout.record import LedgerEntry, Rollout
from shared.store.store import Store, StoredRollout
from shared.wiring import World
from tests.faults.faults import Disturbance, DisturbedDocuments, DisturbedPublisher, DisturbedVertex, hook_into
from vertex_emulator.config import Config, Durations
from vertex_emulator.server import Emulator

ROOT = Path(__file__).parent.parent.parent
PROJECT, REGION, MODEL, ENDPOINT = "local-project", "us-central1", "relevance", "serving"
OPERATOR = "operator@example.com"
TARGET = TargetRef(PROJECT, REGION, ENDPOINT)
NOBODY = "127.0.0.1:1"
"""An address at which nobody listens: Cloud Monitoring is down in all these tests."""
RATE = 500.0
"""Makes the clients' back-offs short; what is decided follows the test's clock."""


def policy(replicas: int = 1) -> Policy:
    """A policy of 10, 50, 100 % without checks: a stage advances when its bake time is over."""
    stages = [{"traffic": 10, "bake": "10m"}, {"traffic": 50, "bake": "10m"}, {"traffic": 100}]
    standby = {"hold": "20m", "for": "40m"}
    return Policy.model_validate(
        {
            "model": MODEL,
            "targets": [{"region": REGION, "endpoint": ENDPOINT}],
            "register": {"from": {"message": True}, "container": {"image": "example/server:1"}},
            "machine": {"type": "n1-standard-2", "replicas": {"min": replicas, "max": 4}},
            "rollout": {"stages": stages, "standby": standby, "deploy_within": "20m"},
        }
    )


@dataclass(frozen=True)
class Answer:
    """What a function said to one delivery."""

    function: str
    status: int

    @property
    def is_acknowledged(self) -> bool:
        return self.status < 300


class Framework:
    """All functions, loaded once for all tests."""

    def __init__(self) -> None:
        self._loader = FunctionLoader()
        self._clients = {
            name: Client(self._loader.app(name, directory)) for name, directory in discover(ROOT / "functions").items()
        }

    def post(self, function: str, path: str, body: Mapping[str, Any]) -> int:
        return self._clients[function].post(path, json=dict(body)).status_code

    def forget(self) -> None:
        self._loader.forget()


class Rig:
    """One local cloud; a context manager."""

    def __init__(self, framework: Framework, folder: Path, disturbance: Disturbance | None = None) -> None:
        self.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        self.store_path = folder / "store" / "rollouts.db"
        self.emulator = Emulator(
            Config(durations=Durations(upload=0, create_endpoint=0, deploy=300, undeploy=60, mutate=30)),
            clock=lambda: self.now,
        )
        self.disturbance = disturbance or Disturbance()
        if disturbance is not None:
            hook_into(self.emulator.faults, DisturbedVertex(disturbance))
        self._is_disturbed = disturbance is not None
        self.pubsub = PubsubServer(workers=1)
        self.answers: list[Answer] = []
        self.is_forgetful = False
        """Whether every delivery meets a new instance of its function."""
        self._framework = framework
        self._refused: list[tuple[str, dict[str, Any]]] = []
        self._stack = ExitStack()
        self._ids = itertools.count(1)

    def __enter__(self) -> Self:
        self.store_path.parent.mkdir(parents=True)
        self.emulator.start(tick=False)
        self._stack.callback(self.emulator.stop)
        self._stack.enter_context(self.pubsub)
        variables = {
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "VERTEX_EMULATOR_HOST": self.emulator.address,
            "PUBSUB_EMULATOR_HOST": self.pubsub.address,
            "MONITORING_EMULATOR_HOST": NOBODY,
            "COMMAND_OPERATORS": OPERATOR,
            "STORE": "sqlite",
            "STORE_PATH": str(self.store_path),
            "CLOCK_RATE": f"{RATE:g}",
            "CLOCK_ORIGIN": f"{time.time():.3f}",
        }
        self._stack.enter_context(_environment(variables))
        self._stack.callback(wiring.world.cache_clear)
        self.renew()
        self._subscribe()
        return self

    def __exit__(self, *_: object) -> None:
        self.world.store.close()
        self._stack.close()

    def renew(self) -> World:
        """A new instance of the functions: nothing is remembered."""
        wiring.world.cache_clear()
        self.world = wiring.world()
        self.world.now = lambda: self.now
        if self._is_disturbed:
            documents = self.world.store._documents
            self.world.store = Store(DisturbedDocuments(documents, self.disturbance))
            self.world.publisher = DisturbedPublisher(PROJECT, self.disturbance)
        return self.world

    def replace_pubsub(self) -> None:
        """Another server at another address; what waited in the one before is lost."""
        self.pubsub = self._stack.enter_context(PubsubServer(workers=1))
        self._stack.enter_context(_environment({"PUBSUB_EMULATOR_HOST": self.pubsub.address}))
        self._subscribe()
        self.renew()

    # -- what is there -----------------------------------------------------------------------------

    @property
    def endpoint(self) -> Endpoint:
        found = self.world.endpoints.get(TARGET)
        assert found is not None
        return found

    def shares(self) -> dict[str, int]:
        """The split by version."""
        endpoint = self.endpoint
        return {d.version: endpoint.share(d.id) for d in endpoint.deployed if endpoint.share(d.id)}

    def rollout(self, version: str) -> Rollout:
        return self.stored(version).rollout

    def stored(self, version: str) -> StoredRollout:
        found = next(r for r in self.world.store.rollouts_of_model(MODEL) if r.version == version)
        stored = self.world.store.get_rollout(found.id)
        assert stored is not None
        return stored

    def ledger(self, decision: str = "") -> list[LedgerEntry]:
        return [e for e in self.world.store.ledger() if decision in ("", e.decision)]

    # -- what happens ------------------------------------------------------------------------------

    def after(self, minutes: float) -> None:
        """Let time pass."""
        self.now += timedelta(minutes=minutes)
        self.emulator.tick()

    def post(self, function: str, data: bytes, message_id: str = "") -> Answer:
        """Deliver one message to a function."""
        topic = ROUTES[function].topic
        return self._post(function, _message(data, message_id or f"m-{len(self.answers)}", self.now), topic)

    def tick(self, *jobs: str) -> None:
        """The schedule comes by, and what it starts is delivered."""
        for job in jobs or ("assess_rollouts", "retire_models"):
            self.post(job, json.dumps({"schema": "tick/v1", "job": job}).encode())
        self.deliver()

    def deliver(self) -> list[Answer]:
        """Hand every waiting message to its function until none is left; what is refused waits for the next time."""
        again, self._refused = self._refused, []
        answers = []
        while waiting := again or self._pull():
            again = []
            for function, message in waiting:
                answers.append(self._post(function, message, ROUTES[function].topic))
                if not answers[-1].is_acknowledged:
                    self._refused.append((function, message))
        return answers

    def upload(self, image: str = "example/server:1") -> str:
        """A new version in the registry, with no help of ours; the audit log is not connected here. Its number."""
        from google.cloud.aiplatform_v1.services.model_service.client import ModelServiceClient
        from google.cloud.aiplatform_v1.services.model_service.transports.grpc import ModelServiceGrpcTransport
        from google.cloud.aiplatform_v1.types import Model, ModelContainerSpec, UploadModelRequest

        from shared.channels import vertex_transport

        client = ModelServiceClient(**vertex_transport(ModelServiceGrpcTransport, REGION))
        parent = f"projects/{PROJECT}/locations/{REGION}"
        existing = self.world.registry.versions(PROJECT, REGION, MODEL)
        model = Model(display_name=MODEL, container_spec=ModelContainerSpec(image_uri=image))
        request = UploadModelRequest(parent=parent, model=model, model_id=MODEL)
        if existing:
            request = UploadModelRequest(parent=parent, model=model, parent_model=f"{parent}/models/{MODEL}")
        operation = client.upload_model(request, timeout=10)
        client.transport.close()
        self.after(1)
        assert operation.operation.name
        return self.world.registry.versions(PROJECT, REGION, MODEL)[-1].version

    def announce(self, version: str) -> None:
        """Say that a version is there, and deliver what follows."""
        uploaded = ModelUploaded(PROJECT, REGION, MODEL, version, by="register_model", at=self.now)
        self.publish(topics.MODEL_UPLOADED, model_uploaded_message(uploaded))
        self.deliver()

    def publish(self, topic: str, data: bytes, **attributes: str) -> None:
        """One message, from outside."""
        publisher = publisher_at(self.pubsub.address)
        publisher.publish(
            topic=f"projects/{PROJECT}/topics/{topic}",
            messages=[{"data": data, "attributes": attributes}],
            timeout=10,
            retry=None,
        )
        publisher.transport.close()

    def command(self, command: Any, version: str, reason: str = "") -> None:
        """What a person tells a version's rollout."""
        said = Command(
            id=f"command-{next(self._ids):06d}", command=command, rollout=self.rollout(version).id, reason=reason
        )
        obey(self.world, said, OPERATOR)

    def serve(self, version: str) -> None:
        """Bring a first version to all the traffic."""
        self.announce(version)
        self.run_until(lambda: self.rollout(version).phase.value == "watching")

    def run_until(self, is_true: Any, ticks: int = 40, minutes: float = 5) -> None:
        """Tick until something is the case."""
        for _ in range(ticks):
            if is_true():
                return
            self.after(minutes)
            self.tick()
        raise AssertionError(f"not within {ticks} ticks; the ledger says: {[e.sentence for e in self.ledger()]}")

    def begin_trial(self) -> tuple[str, str]:
        """v1 serves everything, v2 has its first share; their deployed models."""
        self.world.store.put_policy(policy(), "owner@example.com", self.now)
        self.serve(self.upload())
        version = self.upload()
        self.announce(version)
        self.run_until(lambda: self.rollout(version).phase.value == "canary")
        rollout = self.rollout(version)
        return rollout.stable_id, rollout.deployed_id

    # -- wiring ------------------------------------------------------------------------------------

    def _subscribe(self) -> None:
        publisher = publisher_at(self.pubsub.address)
        for topic in topics.ALL:
            publisher.create_topic(name=f"projects/{PROJECT}/topics/{topic}")
        publisher.transport.close()
        subscriber = subscriber_at(self.pubsub.address)
        for function in _DELIVERED:
            topic = f"projects/{PROJECT}/topics/{ROUTES[function].topic}"
            subscriber.create_subscription(name=_subscription(function), topic=topic, ack_deadline_seconds=600)
        subscriber.transport.close()

    def _pull(self) -> list[tuple[str, dict[str, Any]]]:
        found = []
        for function in _DELIVERED:
            for lease in self.pubsub.broker.take(_subscription(function), 100):
                self.pubsub.broker.acknowledge(_subscription(function), [lease.ack_id])
                found.append(
                    (function, _message(lease.pending.message.data, lease.pending.message.message_id, self.now))
                )
        return found

    def _post(self, function: str, message: dict[str, Any], topic: str) -> Answer:
        if self.is_forgetful:
            self.world.store.close()
            self.renew()
        self.disturbance.begin(function)
        status = self._framework.post(function, f"/projects/{PROJECT}/topics/{topic}", message)
        self.disturbance.begin("")
        self.answers.append(Answer(function, status))
        return self.answers[-1]


_DELIVERED = ("register_model", "start_rollout", "advance_rollout", "roll_back", "notify")


def analysis_alert(rollout: Rollout, at: datetime, sentence: str = "error_rate 12 % > 1 %") -> bytes:
    """An alert of our own: it names the rollout and its deployed model."""
    return alert_message(
        Alert(
            source="analysis",
            id=f"{rollout.id}-stage-{rollout.stage}",
            state="open",
            project=rollout.target.project,
            region=rollout.target.region,
            endpoint=rollout.target.endpoint,
            deployed_model=rollout.deployed_id,
            rollout=rollout.id,
            started_at=at,
            ended_at=None,
            sentence=sentence,
            metric="error_rate",
            observed="0.12",
            limit="0.01",
            policy_name=None,
            url=None,
            severity="error",
        )
    )


def incident(at: datetime, deployed_model: str = "", id_: str = "0.incident") -> bytes:
    """An incident of Cloud Monitoring, as its channels bring it; naming a deployed model, or nobody."""
    return json.dumps(
        {
            "version": "1.2",
            "incident": {
                "incident_id": id_,
                "state": "open",
                "started_at": int(at.timestamp()),
                "summary": "too many errors",
                "condition_name": "more than 5% of the answers are 5xx",
                "observed_value": "0.250",
                "threshold_value": "0.050",
                "policy_name": "errors",
                "resource": {
                    "type": "aiplatform.googleapis.com/Endpoint",
                    "labels": {"resource_container": PROJECT, "location": REGION, "endpoint_id": ENDPOINT},
                },
                "metric": {
                    "type": "aiplatform.googleapis.com/prediction/online/response_count",
                    "labels": {"deployed_model_id": deployed_model} if deployed_model else {},
                },
            },
        }
    ).encode()


def _subscription(function: str) -> str:
    return f"projects/{PROJECT}/subscriptions/{function}"


def _message(data: bytes, message_id: str, at: datetime) -> dict[str, Any]:
    content = {"data": base64.b64encode(data).decode(), "messageId": message_id, "publishTime": at.isoformat()}
    return {"message": content, "subscription": "projects/p/subscriptions/s"}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            with suppress(KeyError):
                del os.environ[name]
            if value is not None:
                os.environ[name] = value
