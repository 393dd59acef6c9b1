"""Sends everything to a local cloud, waits until it has come to rest, and reads what is there."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests

from bench.load.effects import Comparison, Found, compare
from bench.load.events import OVER_HTTPS, REGION, Sent, Settings, endpoint_name, model_name, plan, versions_wanted
from bench.trial import BenchError
from local.cloud import PROJECT, ROUTES, LocalCloud
from local.cloud import Settings as CloudSettings
from local.pubsub import Faults, control, set_faults
from local.pubsub.clients import publisher_at, subscriber_at
from local.pubsub.wiring import subscription_of
from local.scheduler import Job
from shared import clock, topics
from shared.policy.schema import Policy
from shared.vertex.registry import Registry
from shared.wiring import store_from_env
from vertex_emulator.control import call

SENDERS = 8
PATIENCE = 1800.0
"""Wall seconds until everything has to have come to rest."""
_QUIET = 3
"""So many looks in a row without a message in flight mean rest."""
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What was seen."""

    settings: Settings
    sent: Counter[str]
    answers: Counter[int]
    """Of the requests over HTTPS, by status."""
    deliveries: dict[str, dict[str, int]]
    """Pub/Sub's counts, by function."""
    calls: dict[str, tuple[int, int]]
    """Calls of the functions' store and publisher, and how many of them failed."""
    comparisons: list[Comparison]
    seconds: float

    @property
    def holds(self) -> bool:
        return all(comparison.holds for comparison in self.comparisons)


def run(settings: Settings, folder: Path, tell: Tell = lambda _: None) -> Outcome:
    """The whole of it."""
    began = time.monotonic()
    failed = folder.with_name("failed.json")
    cloud_settings = CloudSettings(
        folder,
        settings.rate,
        settings.seed,
        vertex={"durations": {"upload": 5}},
        # What a lost hint left undone a tick finds again.
        jobs=(Job("assess_rollouts", timedelta(minutes=30)),),
        functions=(
            *("bench.load.disturbed", "--share", f"{settings.failing}", "--seed", f"{settings.seed * 10 + 2}"),
            *("--counts", str(failed)),
        ),
    )
    with LocalCloud(cloud_settings) as cloud:
        store = store_from_env(cloud.environment)
        for number in range(settings.models):
            store.put_policy(_policy(model_name(number)), "load@example.com", clock.now())
        tell("uploading the versions that others made")
        versions = _upload(cloud, settings)
        sent = plan(settings, PROJECT, versions)
        _disturb(cloud, settings, sent)
        answers = _send(cloud, sent, tell)
        _rest(cloud, tell)
        call(cloud.vertex, "ClearFaults", {})
        _rest(cloud, tell)
        found = _read(cloud, store, settings)
        store.close()
        counts = control.counts(cloud.pubsub)
        deliveries = {name: counts[subscription_of(PROJECT, name)] for name in ROUTES}
    kinds: Counter[str] = Counter(one.kind for one in sent)
    calls = {what: (made, wrong) for what, (made, wrong) in json.loads(failed.read_text(encoding="utf-8")).items()}
    return Outcome(settings, kinds, answers, deliveries, calls, compare(sent, found), time.monotonic() - began)


def _policy(model: str) -> Policy:
    """Every version is rejected, by a label that none has: what is counted here is events, not machines."""
    return Policy.model_validate(
        {
            "model": model,
            "targets": [{"region": REGION, "endpoint": endpoint_name(model)}],
            "register": {
                "from": {"message": True},
                "container": {"image": "example/server:1"},
                "required_labels": ["reviewed"],
            },
            "machine": {"type": "n1-standard-2"},
            "notify": ["webhook://ops"],
        }
    )


def _upload(cloud: LocalCloud, settings: Settings) -> list[tuple[str, str]]:
    """Versions that nobody has registered through us; the audit log announces each of them too. Model and number."""
    import grpc
    from google.cloud.aiplatform_v1.services.model_service.client import ModelServiceClient
    from google.cloud.aiplatform_v1.services.model_service.transports.grpc import ModelServiceGrpcTransport

    parent = f"projects/{PROJECT}/locations/{REGION}"
    wanted = Counter(model_name(number % settings.models) for number in range(versions_wanted(settings)))
    with grpc.insecure_channel(cloud.vertex) as channel:
        models = ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
        for model, count in wanted.items():
            fields = {"display_name": model, "container_spec": {"image_uri": "example/server:1"}}
            for number in range(count):
                where = {"parent_model": f"{parent}/models/{model}"} if number else {"model_id": model}
                operation = models.upload_model({"parent": parent, "model": fields, **where}).operation
                if not number:
                    _until_done(models, operation.name)
    return [(model, str(number)) for model, count in wanted.items() for number in range(1, count + 1)]


def _until_done(models: Any, operation: str) -> None:
    while not models.get_operation({"name": operation}).done:
        time.sleep(0.02)


def _disturb(cloud: LocalCloud, settings: Settings, sent: Sequence[Sent]) -> None:
    for number, kind in enumerate(("fail", "lose")):
        fault = {"kind": kind, "probability": settings.failing / 2, "times": None, "seed": settings.seed * 10 + number}
        call(cloud.vertex, "PlanFault", fault)
    heard = Counter(topics.ALERT_FIRED if one.kind == "incident" else one.topic for one in sent)
    for function, route in ROUTES.items():
        lost = Faults(drop_acks=round(heard[route.topic] * settings.failing))
        set_faults(cloud.pubsub, subscription_of(PROJECT, function), lost)


def _send(cloud: LocalCloud, sent: Sequence[Sent], tell: Tell) -> Counter[int]:
    """All of it, from several threads; what ``receive_alert`` answered."""
    url = f"{cloud.url('receive_alert')}?auth_token={cloud.alert_token}"
    publisher = publisher_at(cloud.pubsub)

    def send(share: Sequence[Sent]) -> Counter[int]:
        answers: Counter[int] = Counter()
        with requests.Session() as session:
            for one in share:
                if one.kind in OVER_HTTPS:
                    answers[_post(session, url, one.data)] += 1
                else:
                    topic = f"projects/{PROJECT}/topics/{one.topic}"
                    publisher.publish(topic=topic, messages=[{"data": one.data}], timeout=60)
        return answers

    tell(f"sending {len(sent)} events")
    with ThreadPoolExecutor(SENDERS) as pool:
        answers = sum(pool.map(send, [sent[start::SENDERS] for start in range(SENDERS)]), Counter())
    publisher.transport.close()
    return answers


def _post(session: requests.Session, url: str, data: bytes) -> int:
    """As Monitoring does: repeated on 5xx."""
    for _ in range(10):
        status = session.post(url, data=data, headers={"Content-Type": "application/json"}, timeout=60).status_code
        if status < 500:
            return status
        time.sleep(0.2)
    return status


def _rest(cloud: LocalCloud, tell: Tell) -> None:
    """Until no message waits for anybody and no rollout is unsettled."""
    until, quiet, told = time.monotonic() + PATIENCE, 0, time.monotonic()
    store = store_from_env(cloud.environment)
    while quiet < _QUIET:
        counts = control.counts(cloud.pubsub)
        waiting = sum(
            counts[subscription_of(PROJECT, name)][key] for name in ROUTES for key in ("waiting", "outstanding")
        )
        unsettled = len(store.unsettled_rollouts()) + len(store.unsent_notices())
        quiet = quiet + 1 if waiting + unsettled == 0 else 0
        if time.monotonic() > until:
            raise BenchError(
                f"after {PATIENCE:.0f} s {waiting} messages still wait, {unsettled} rollouts and notices are unsettled"
            )
        if time.monotonic() - told > 5:
            told = time.monotonic()
            tell(f"{waiting} messages wait, {unsettled} rollouts and notices are unsettled")
        time.sleep(0.5)
    store.close()


def _read(cloud: LocalCloud, store: Any, settings: Settings) -> Found:
    registry = Registry()
    models = [model_name(number) for number in range(settings.models)]
    return Found(
        versions=[version for model in models for version in registry.versions(PROJECT, REGION, model)],
        rollouts=[rollout for model in models for rollout in store.rollouts_of_model(model)],
        ledger=store.ledger(),
        notices=dict(cloud.receiver.received),
        dead=_dead(cloud),
    )


def _dead(cloud: LocalCloud) -> list[bytes]:
    subscriber = subscriber_at(cloud.pubsub)
    name, found = subscription_of(PROJECT, topics.DEAD_LETTERS), []
    while True:
        pulled = subscriber.pull({"subscription": name, "max_messages": 1000, "return_immediately": True}, timeout=30)
        if not pulled.received_messages:
            break
        found += [bytes(one.message.data) for one in pulled.received_messages]
        subscriber.acknowledge(subscription=name, ack_ids=[one.ack_id for one in pulled.received_messages])
    subscriber.transport.close()
    return found
