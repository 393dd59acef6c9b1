"""What is sent: good events of every kind, some of them again, and poison; drawn from a seed, in random order."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared import topics

Kind = Literal["run", "version", "alert", "incident", "poison", "poison request"]
REGION = "us-central1"
OVER_HTTPS: frozenset[Kind] = frozenset({"incident", "poison request"})
"""Posted to ``receive_alert``; all others are published."""


@dataclass(frozen=True)
class Settings:
    """How much of what."""

    events: int = 10_000
    duplicates: float = 0.2
    """Share of the events that repeat another one, as a message of its own."""
    poison: float = 0.1
    failing: float = 0.05
    """Share of the calls of Vertex AI, Monitoring, the store and Pub/Sub's publisher that fail, half of them after they were carried out; and
    of the acknowledgements that are lost."""
    seed: int = 1
    models: int = 40
    rate: float = 30.0
    """Compressed seconds per second."""


@dataclass(frozen=True)
class Sent:
    """One event; two with the same ``key`` are the same event."""

    kind: Kind
    key: str
    model: str
    topic: str
    data: bytes


def model_name(number: int) -> str:
    return f"load-{number:03d}"


def endpoint_name(model: str) -> str:
    return f"{model}-serving"


def plan(settings: Settings, project: str, versions: Sequence[tuple[str, str]]) -> list[Sent]:
    """Everything in the order in which it is sent; ``versions`` (model, number) lie in the registry and are announced."""
    draw = random.Random(settings.seed)
    poison = round(settings.events * settings.poison)
    again = round(settings.events * settings.duplicates)
    good = [_version(project, model, number) for model, number in versions]
    for number in range(settings.events - poison - again - len(good)):
        good.append(_GOOD[number % len(_GOOD)](number, model_name(number % settings.models), project))
    bad = [_poison(number, draw) for number in range(poison)]
    sent = [*good, *draw.choices(good, k=again), *bad]
    draw.shuffle(sent)
    return sent


def versions_wanted(settings: Settings) -> int:
    """How many versions lie in the registry before it begins: a tenth of the events."""
    return settings.events // 10


def _run(number: int, model: str, project: str) -> Sent:
    run = f"run-{number:05d}"
    message = {"run_id": run, "model": model, "project": project, "region": REGION, "artifact_uri": f"gs://load/{run}"}
    data = {"schema": "training-completed/v1", **message, "metrics": {"auc": 0.5}}
    return Sent("run", run, model, topics.TRAINING_COMPLETED, _json(data))


def _version(project: str, model: str, number: str) -> Sent:
    data = {"schema": "model-uploaded/v1", "project": project, "region": REGION, "model": model, "version": number}
    return Sent("version", f"{model}@{number}", model, topics.MODEL_UPLOADED, _json(data))


def _alert(number: int, model: str, project: str) -> Sent:
    id_ = f"alert-{number:05d}"
    where = {"project": project, "region": REGION, "endpoint": endpoint_name(model)}
    data = {"schema": "alert/v1", "source": "monitoring", "id": id_, "state": "open", **where, "sentence": "too slow"}
    return Sent("alert", id_, model, topics.ALERT_FIRED, _json(data))


def _incident(number: int, model: str, project: str) -> Sent:
    id_ = f"0.incident{number:05d}"
    labels = {"resource_container": project, "location": REGION, "endpoint_id": endpoint_name(model)}
    incident = {
        "incident_id": id_,
        "state": "open",
        "condition_name": "errors",
        "observed_value": "0.25",
        "threshold_value": "0.05",
        "resource": {"type": "aiplatform.googleapis.com/Endpoint", "labels": labels},
    }
    return Sent("incident", id_, model, "", _json({"version": "1.2", "incident": incident}))


_GOOD: tuple[Callable[[int, str, str], Sent], ...] = (_alert, _incident, _alert, _incident, _alert, _incident, _run)

_TOPICS = (
    topics.TRAINING_COMPLETED,
    topics.MODEL_UPLOADED,
    topics.ALERT_FIRED,
    topics.ROLLOUT_DUE,
    topics.ROLLOUT_CHANGED,
)
_NONSENSE: tuple[Callable[[str], bytes], ...] = (
    lambda mark: mark.encode(),
    lambda mark: b"\xff\xfe" + mark.encode(),
    lambda mark: _json([mark]),
    lambda mark: _json({"schema": "no-such-schema/v9", "mark": mark}),
    lambda mark: b"[" * 5_000 + mark.encode(),
    lambda mark: _json({"incident": mark}),
    lambda mark: _json({"schema": "alert/v1", "unknown": mark}),
    lambda mark: _json({"protoPayload": {"mark": mark}}),
    lambda mark: _json({"logName": mark, "jsonPayload": 7}),
    lambda mark: f'{{"mark": "{mark}", "number": NaN}}'.encode(),
    lambda mark: f'{{"mark": "{mark}'.encode(),
)


def _poison(number: int, draw: random.Random) -> Sent:
    """No two alike, so that each can be found again."""
    data = draw.choice(_NONSENSE)(f"poison-{number:05d}")
    if number % 5 == 0:
        return Sent("poison request", f"poison-{number:05d}", "", "", data)
    return Sent("poison", f"poison-{number:05d}", "", _TOPICS[number % len(_TOPICS)], data)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
