"""A trial to be rolled back: a local Vertex AI and Pub/Sub, an endpoint with two versions, and its records.

The servers are processes of their own, so that what is measured does not share an interpreter with them. Time is not compressed.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from local.iap import AUDIENCE as PAGE_AUDIENCE
from local.iap import IdentityAwareProxy
from local.identity import Issuer, KeyServer
from local.process import Part
from local.pubsub.wiring import wire
from local.receiver import Receiver
from shared import topics
from shared.events.alert import Alert, alert_message
from shared.policy.loading import load_policy
from shared.policy.schema import Machine, Policy
from shared.rollout.labels import TrialLabels, write_labels
from shared.rollout.observed import Endpoint, TargetRef
from shared.rollout.record import LedgerEntry, Phase, Rollout
from shared.vertex import full_names
from shared.vertex.endpoints import DeploySpec, Endpoints
from shared.vertex.registry import Registry, UploadSpec
from shared.wiring import store_from_env

PROJECT, REGION = "local-project", "us-central1"
POLICY = Path(__file__).parent.parent / "infra" / "policies" / "arr-coc-relevance.yaml"
STABLE, CANDIDATE = "1000000001", "1000000002"
SHARE = 10
"""The candidate's percent of the traffic."""
PERSON = "dev@example.com"
_AUDIENCE = "bench"
_AT_ONCE = dict.fromkeys(("upload", "create_endpoint", "deploy", "undeploy", "mutate", "delete"), 0)


class BenchError(Exception):
    """What was to be measured did not happen, so there is no number."""


@dataclass(frozen=True)
class Begun:
    """One trial that has begun; everything an event about it has to name."""

    rollout: str
    entry: str
    """Id of its first ledger entry."""
    alert: bytes
    """What the analysis publishes when a check fails; it names the candidate."""
    incident: bytes
    """The same from Cloud Monitoring, as it comes to the webhook."""


class TrialCloud:
    """A context manager; ``environment`` is what functions need to find everything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._issuer = Issuer.create()
        self.page = IdentityAwareProxy(PERSON, lambda: "http://127.0.0.1:9")
        """Who signs for the status page; what it would forward goes nowhere."""
        self.environment: dict[str, str] = {}
        self.policy = _with_custom_jobs(load_policy(POLICY))
        target = self.policy.targets[0]
        self.ref = TargetRef(PROJECT, target.region, target.endpoint)

    @cached_property
    def client(self) -> Any:
        """The generated client by itself, for what is compared with."""
        import grpc
        from google.cloud.aiplatform_v1.services.endpoint_service.client import EndpointServiceClient
        from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import EndpointServiceGrpcTransport

        channel = self._stack.enter_context(grpc.insecure_channel(self.environment["VERTEX_EMULATOR_HOST"]))
        return EndpointServiceClient(transport=EndpointServiceGrpcTransport(channel=channel))

    @property
    def endpoint_name(self) -> str:
        """The endpoint's full name."""
        return full_names.endpoint(self.ref)

    @property
    def token(self) -> str:
        """The webhook's secret."""
        return self.environment["ALERT_TOKEN"]

    def id_token(self) -> str:
        """An ID token of a person, valid for ``receive_command``."""
        return self._issuer.mint(PERSON, _AUDIENCE)

    def __enter__(self) -> Self:
        try:
            self._start()
            self._deploy()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def forget(self) -> None:
        """Begin with a store that has the policy and nothing else, for this process and for functions started after it."""
        self._set(STORE="sqlite", STORE_PATH=str(self._folder / f"{uuid.uuid4().hex}.db"))
        with closing(store_from_env()) as store:
            store.put_policy(self.policy, PERSON, datetime.now(UTC))

    def begin(self) -> Begun:
        """Give the candidate its share, in the traffic, the labels and the records, as a new rollout."""
        now = datetime.now(UTC)
        name = f"{self.policy.model}-v2-{uuid.uuid4().hex[:8]}"
        # An incident that began before the trial could show in the metrics would not be its fault.
        since = now - timedelta(minutes=10)
        labels = TrialLabels(self.policy.model, name, STABLE, CANDIDATE, since=since, lag=timedelta(minutes=4))
        endpoint = self.read()
        split = {STABLE: 100 - SHARE, CANDIDATE: SHARE}
        self._endpoints.write_traffic(endpoint, split, write_labels(endpoint.labels, labels))
        rollout = Rollout(
            name, self.policy.model, "2", self.ref, 0, 1, Phase.CANARY, since, since, since, 0, since,
            deployed_id=CANDIDATE, stable_id=STABLE, stable_version="1",
        )  # fmt: skip
        entry = LedgerEntry(f"{name}-0001", name, self.policy.model, since, "start", "Started.", target=str(self.ref))
        with closing(store_from_env()) as store:
            store.create_rollout(rollout, entry)
        return Begun(name, entry.id, self._alert(name, now), _incident(self.ref, now))

    def read(self) -> Endpoint:
        """The endpoint as it is now."""
        endpoint = self._endpoints.get(self.ref)
        if endpoint is None:
            raise BenchError(f"endpoint {self.ref} is gone")
        return endpoint

    def check_restored(self) -> None:
        """BenchError unless the stable has all the traffic."""
        split = dict(self.read().split)
        if split != {STABLE: 100}:
            raise BenchError(f"the traffic was not given back: the split is {split}")

    def restored_at(self, after: float, seconds: float = 20) -> float:
        """When the stable got all the traffic back, on the server's clock (epoch seconds); the first time since ``after``."""
        until = time.time() + seconds
        while time.time() < until:
            whole, _, _half_written = self._splits.read_text().rpartition("\n")
            for line in whole.splitlines()[-2:]:
                snapshot = json.loads(line)
                at = datetime.fromisoformat(snapshot["time"]).timestamp()
                if at >= after and snapshot["traffic_split"] == {STABLE: 100}:
                    return at
            time.sleep(0.005)
        raise BenchError(f"the traffic was not given back within {seconds:g} s: the split is {dict(self.read().split)}")

    @property
    def _splits(self) -> Path:
        return self._folder / "splits.jsonl"

    def _start(self) -> None:
        keys = self._stack.enter_context(KeyServer(self._issuer))
        secret = uuid.uuid4().hex
        people = self._stack.enter_context(Receiver(secret))
        channels = {"arr-coc-alerts": {"url": people.url, "secret": secret}}
        self._set(GOOGLE_CLOUD_PROJECT=PROJECT, NOTIFY_CHANNELS=json.dumps(channels))
        self._set(ALERT_TOKEN=uuid.uuid4().hex, ID_TOKEN_CERTS_URL=keys.url, COMMAND_AUDIENCE=_AUDIENCE)
        self._set(COMMAND_OPERATORS=PERSON)
        self._stack.enter_context(self.page)
        self._set(IAP_CERTS_URL=self.page.keys_url, PAGE_AUDIENCE=PAGE_AUDIENCE)
        pubsub = self._run("pubsub", "local.pubsub", "--port", "0")
        self._set(PUBSUB_EMULATOR_HOST=pubsub)
        wire(pubsub, PROJECT, {}, str, topics=topics.ALL)
        config = json.dumps({"durations": _AT_ONCE})
        where = ("--pubsub", pubsub, "--project", PROJECT, "--splits", str(self._splits))
        vertex = self._run("vertex", "local.vertex", *where, "--config", config)
        self._set(VERTEX_EMULATOR_HOST=vertex, MONITORING_EMULATOR_HOST=vertex)
        self.forget()

    def _deploy(self) -> None:
        """Two versions behind one endpoint, through the project's own adapters."""
        self._endpoints, registry = Endpoints(), Registry()
        container, machine = self.policy.register_.container, Machine.model_validate({"type": "n1-standard-4"})
        if container is None:
            raise BenchError(f"{POLICY} names no container")
        for is_new in (True, False):
            spec = UploadSpec(
                PROJECT, REGION, self.policy.model, is_new, "Relevance", container, "gs://models/1",
                {"team": "arr-coc", "scorer": "propositional"}, (), "", None,
            )  # fmt: skip
            self._finish(registry.upload(spec))
        self._finish(self._endpoints.create(self.ref, self.policy.targets[0], {}))
        for deployed, version in ((STABLE, "1"), (CANDIDATE, "2")):
            deployment = DeploySpec(
                deployed, PROJECT, REGION, self.policy.model, version, f"v{version}", machine, None, False, 1
            )
            self._finish(self._endpoints.deploy(self.ref, deployment))

    def _finish(self, operation: str) -> None:
        until = time.monotonic() + 20
        while not (state := self._endpoints.operation(REGION, operation)).done:
            if time.monotonic() > until:
                raise BenchError(f"{operation} is not done after 20 s")
            time.sleep(0.02)
        if state.error:
            raise BenchError(f"{operation} failed: {state.error}")

    def _alert(self, rollout: str, now: datetime) -> bytes:
        return alert_message(
            Alert(
                "analysis", f"{rollout}/error_rate/0", "open", PROJECT, REGION, self.ref.endpoint, CANDIDATE, rollout,
                now, None, "error_rate is 7.2 %, above 1 %.", "error_rate", "7.2 %", "1 %", None, None, None,
            )
        )  # fmt: skip

    def _set(self, **variables: str) -> None:
        """For the functions, and for this process, whose adapters read the same."""
        self.environment |= variables
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        self._stack.callback(_restore, before)

    def _run(self, name: str, *arguments: str) -> str:
        part = Part(name, arguments, self.environment, self._folder / "logs").start()
        self._stack.callback(part.stop)
        return part.address


def _with_custom_jobs(policy: Policy) -> Policy:
    """Custom jobs announce nothing; with them as a source, ``find_training_runs`` has something to look for."""
    source = policy.register_.source.model_copy(update={"custom_job": "arr-coc-train"})
    return policy.model_copy(update={"register_": policy.register_.model_copy(update={"source": source})})


def _incident(ref: TargetRef, now: datetime) -> bytes:
    """A webhook notification of Cloud Monitoring, schema 1.2, with the keys that are read."""
    incident = {
        "incident_id": f"0.{uuid.uuid4().hex[:12]}",
        "state": "open",
        "started_at": int(now.timestamp()),
        "ended_at": None,
        "summary": "Error rate is above the threshold of 0.01 with a value of 0.072.",
        "policy_name": "arr-coc-serving errors",
        "condition_name": "Error rate",
        "observed_value": "0.072",
        "threshold_value": "0.01",
        "resource": {
            "type": "aiplatform.googleapis.com/Endpoint",
            "labels": {"resource_container": ref.project, "location": ref.region, "endpoint_id": ref.endpoint},
        },
        "metric": {
            "type": "aiplatform.googleapis.com/prediction/online/error_count",
            "labels": {"deployed_model_id": CANDIDATE},
        },
    }
    return json.dumps({"version": "1.2", "incident": incident}).encode()


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
