"""From the first bad request to the restored split, for each who can notice: the analysis by evidence and by a limit, Cloud Monitoring, the callers.

A candidate at 10 % of 10 requests per second is as good as its stable for some minutes, then fails some of its requests. The functions are the real
ones; time is simulated, so these seconds are of the design and of no machine: Vertex AI's metrics are by the minute and can be read 180
seconds after it, the policy's lag is 4 minutes, the schedule ticks every minute, Cloud Monitoring evaluates every 30 seconds. What the machine
adds is measured by ``rollback``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench.numbers import table
from bench.soak_cloud import SoakCloud
from bench.trial import BenchError
from local.alert_policies import make_error_alert, make_webhook
from local.draws import Behaviour, Served, draw_requests, draw_served
from local.stepped import NUMBER, PROJECT, REGION
from shared import topics
from shared.policy.validation import parse_policy
from shared.rollout.record import Phase, Rollout
from vertex_emulator.monitoring.incidents import Project, notification

RPS, SHARE = 10.0, 10
WELL = 8
"""Minutes with its share in which the candidate is as good as its stable; an incident that begins within the lag would not be held against it."""
PATIENCE = 90
"""Minutes after the first bad request within which it must be noticed."""
LIMIT = 0.02
"""Of errors: what the limit of the policy, Cloud Monitoring's condition and the callers' own counts have in common."""
TOKEN = "of-a-door-for-as-long-as-this-runs"  # noqa: S105
EVIDENCE, BY_LIMIT, MONITORING, CALLERS = (
    "analysis, by evidence", "analysis, by a limit", "Cloud Monitoring's incident", "the callers, who count by the minute"
)  # fmt: skip
SOUND = Behaviour(errors=0.0001)
"""Both arms at first: so few errors that none of those who count calls a false alarm."""
BAD = {"5 % errors": 0.05, "30 % errors": 0.3, "nothing but errors": 1.0}
LENIENT: list[dict[str, Any]] = [{"metric": "latency_ms", "p95_at_most": 60_000}]


@dataclass(frozen=True)
class Noticed:
    """One source and one degradation; seconds from the minute of the first bad request until the split was restored."""

    source: str
    bad: str
    trials: int
    best: float
    median: float
    worst: float
    bad_requests: float
    """That users had until then, on average."""


@dataclass
class _Place:
    source: str
    bad: str
    model: str
    generator: random.Random
    version: int = 1
    shared_at: datetime | None = None
    bad_from: datetime | None = None
    restored_at: datetime | None = None
    bad_requests: int = 0
    counted: list[tuple[int, int]] = field(default_factory=list)
    """What the callers counted in each minute: requests and errors of the candidate."""

    @property
    def endpoint(self) -> str:
        return f"{self.model}-serving"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own settings."""
    parser.add_argument("--trials", type=int, default=5, help="of each source and degradation")
    parser.add_argument("--seed", type=int, default=1)


def run(options: argparse.Namespace) -> list[Noticed]:
    """All trials at once, each on an endpoint of its own, minute by minute."""
    kinds = [(source, bad) for source in (EVIDENCE, BY_LIMIT, MONITORING, CALLERS) for bad in BAD]
    places = [
        _Place(source, bad, f"noticed-{number:02}-{trial}", random.Random(f"{options.seed}/{number}/{trial}"))
        for number, (source, bad) in enumerate(kinds)
        for trial in range(options.trials)
    ]
    with tempfile.TemporaryDirectory(prefix="detection-") as folder, SoakCloud.running(Path(folder)) as cloud:
        os.environ["ALERT_TOKEN"] = TOKEN  # put back with the rest of the cloud's environment
        _play(cloud, places)
    return [_noticed(source, bad, [p for p in places if (p.source, p.bad) == (source, bad)]) for source, bad in kinds]


def _play(cloud: SoakCloud, places: Sequence[_Place]) -> None:
    channel = make_webhook(cloud.address, PROJECT, "http://127.0.0.1:9/")
    for place in places:
        _declare(cloud, place)
        if place.source == MONITORING:
            make_error_alert(cloud.address, PROJECT, place.endpoint, REGION, channel, LIMIT)
    sent: set[str] = set()
    for minute in range(240 + PATIENCE):
        rollouts = {p.model: _rollout(cloud, p) for p in places}
        splits = cloud.begin_minute()
        for place in places:
            rollout = rollouts[place.model]
            if rollout and rollout.phase in (Phase.CANARY, Phase.WATCHING):
                split = {d.id: splits[place.endpoint].share(d.id) for d in splits[place.endpoint].deployed}
                _serve(cloud, place, rollout, split)
        _evaluate(cloud, sent)
        cloud.end_minute(0)
        _evaluate(cloud, sent)
        for place in places:
            _follow(cloud, place, rollouts[place.model])
        if all(place.restored_at for place in places):
            return
        if minute % 20 == 19:
            done = sum(place.restored_at is not None for place in places)
            print(
                f"detection: {minute + 1} minutes, {done} of {len(places)} noticed ...", file=sys.__stderr__, flush=True
            )
    late = next(place for place in places if not place.restored_at)
    raise BenchError(f"{late.source} has not noticed {late.bad} within {PATIENCE} minutes")


def _declare(cloud: SoakCloud, place: _Place) -> None:
    known: dict[str, list[dict[str, Any]]] = {
        EVIDENCE: [{"metric": "error_rate", "margin": "1.5x"}, *LENIENT],
        BY_LIMIT: [{"metric": "error_rate", "at_most": f"{LIMIT:.0%}"}],
    }
    checks = known.get(place.source, LENIENT)
    how = {"advance": "evidence" if place.source == EVIDENCE else "bake"}
    bake = {} if place.source == EVIDENCE else {"bake": "12h"}
    content: dict[str, Any] = {
        "model": place.model,
        "targets": [{"region": REGION, "endpoint": place.endpoint}],
        "register": {"from": {"message": True}, "container": {"image": "sim/soak:1"}},
        "machine": {"type": "n1-standard-2", "replicas": {"min": 1, "max": 2}},
        "rollout": {
            **how,
            "stages": [{"traffic": SHARE, **bake}, {"traffic": 100}],
            "metrics": {"lag": "4m", "settle": "1m"},
            "checks": checks,
            "standby": {"hold": "10m", "for": "20m"},
        },
    }
    cloud.world.store.put_policy(parse_policy(content, "the bench's policy"), "bench@example.com", cloud.now)
    _register(cloud, place)


def _register(cloud: SoakCloud, place: _Place) -> None:
    run_id = f"run-{place.version}"
    message = {
        "schema": "training-completed/v1",
        "model": place.model,
        "run_id": run_id,
        "artifact_uri": f"gs://models/{run_id}",
    }
    cloud.publish(topics.TRAINING_COMPLETED, json.dumps(message).encode())


def _rollout(cloud: SoakCloud, place: _Place) -> Rollout | None:
    found = cloud.world.store.rollouts_of_model(place.model)
    return next((r for r in found if r.version == str(place.version)), None)


def _serve(cloud: SoakCloud, place: _Place, rollout: Rollout, split: dict[str, int]) -> None:
    """What this minute's requests were answered with."""
    share = split.get(rollout.deployed_id, 0)
    others = [id_ for id_, part in split.items() if part and id_ != rollout.deployed_id]
    left, taken = draw_requests(place.generator, RPS, share / 100)
    if others:
        cloud.report(place.endpoint, others[0], draw_served(place.generator, left, SOUND))
    if not taken:
        return
    is_bad = place.bad_from is not None
    served: Served = draw_served(place.generator, taken, Behaviour(errors=BAD[place.bad]) if is_bad else SOUND)
    cloud.report(place.endpoint, rollout.deployed_id, served)
    place.bad_requests += served.errors if is_bad else 0
    place.counted.append((served.requests, served.errors))


def _evaluate(cloud: SoakCloud, sent: set[str]) -> None:
    """What Cloud Monitoring does every 30 seconds; what it would post is posted to the real door."""
    cloud.monitoring.evaluate()
    for incident in cloud.monitoring.incidents():
        if incident.id not in sent and incident.state == "open":
            sent.add(incident.id)
            _ring(cloud, json.loads(notification(incident, Project(PROJECT, int(NUMBER)), "webhook_tokenauth")))


def _follow(cloud: SoakCloud, place: _Place, before: Rollout | None) -> None:
    """What is next on one endpoint, once its minute is over."""
    rollout = _rollout(cloud, place)
    if place.version == 1:
        if rollout and rollout.phase is Phase.PROMOTED:
            place.version = 2
            _register(cloud, place)
        return
    if rollout is None or before is None or place.restored_at:
        return
    if place.shared_at is None and rollout.phase is Phase.CANARY:
        place.shared_at = rollout.stage_since
    if rollout.phase is Phase.ROLLED_BACK and place.bad_from:
        place.restored_at = rollout.phase_since
        return
    if not rollout.phase.is_open or (place.bad_from and rollout.phase is not Phase.CANARY):
        raise BenchError(f"{place.source}, {place.bad}: v2 is {rollout.phase}: {rollout.sentence}")
    now = cloud.now.replace(second=0, microsecond=0)
    if place.shared_at and not place.bad_from and now - place.shared_at >= timedelta(minutes=WELL):
        place.bad_from = now
        place.counted.clear()
    elif place.source == CALLERS and place.bad_from and place.counted:
        requests, errors = place.counted[-1]
        if errors > LIMIT * requests:
            _ring(cloud, _counted(place, rollout, now))
            cloud.settle()


def _ring(cloud: SoakCloud, body: dict[str, Any]) -> None:
    answer = cloud.apps.client("receive_alert").post(f"/?auth_token={TOKEN}", json=body)
    if answer.status_code != 202:
        raise BenchError(f"receive_alert answered {answer.status_code}: {answer.text.strip()}")


def _counted(place: _Place, rollout: Rollout, now: datetime) -> dict[str, Any]:
    """What the callers say, in the same form."""
    labels = {"resource_container": NUMBER, "location": REGION, "endpoint_id": place.endpoint}
    metric = {"type": "callers/errors", "labels": {"deployed_model_id": rollout.deployed_id}}
    incident = {
        "incident_id": f"callers-{place.model}-{now:%H%M}",
        "state": "open",
        "started_at": int(now.timestamp()) - 60,
        "summary": f"more than {LIMIT:.0%} of a minute's answers were errors",
        "resource": {"type": "aiplatform.googleapis.com/Endpoint", "labels": labels},
        "metric": metric,
    }
    return {"version": "1.2", "incident": incident}


def _noticed(source: str, bad: str, places: Sequence[_Place]) -> Noticed:
    seconds = sorted((p.restored_at - p.bad_from).total_seconds() for p in places if p.restored_at and p.bad_from)
    average = statistics.mean(place.bad_requests for place in places)
    return Noticed(source, bad, len(places), seconds[0], statistics.median(seconds), seconds[-1], average)


def show(results: list[Noticed]) -> str:
    """A line for each source and degradation."""
    rows = [
        (
            r.source,
            r.bad,
            str(r.trials),
            f"{r.best:.0f} s",
            f"{r.median:.0f} s",
            f"{r.worst:.0f} s",
            f"{r.bad_requests:.0f}",
        )
        for r in results
    ]
    head = (
        "who notices",
        f"candidate at {SHARE} % of {RPS:g}/s",
        "trials",
        "best",
        "median",
        "worst",
        "bad answers until then",
    )
    return table(head, rows, frozenset({0, 1}))


def as_json(results: list[Noticed]) -> Any:
    """The same for programs."""
    return [asdict(result) for result in results]
