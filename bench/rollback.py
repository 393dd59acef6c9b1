"""From publishing an alert to the moment from which the local Vertex AI serves the restored split, with a warm function.

Beside it the two calls of Vertex AI that no rollback can do without, by themselves. The way between is Pub/Sub's push, the Functions
Framework, and deciding; the ledger is written after that moment. In the cloud the network and Google's services come on top.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.events import event_for
from bench.numbers import percentile, table
from bench.served import Served
from bench.subjects import OWN_ROLLBACK, prepare
from bench.trial import CANDIDATE, SHARE, STABLE, BenchError, TrialCloud
from local.cloud import ROUTES
from local.pubsub.clients import publisher_at
from local.pubsub.wiring import wire
from shared import topics

_WARM_UP = 3


@dataclass(frozen=True)
class Latency:
    """One way of giving the traffic back; milliseconds."""

    what: str
    samples: int
    p50: float
    p99: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own settings."""
    parser.add_argument("--samples", type=int, default=50, help="rollbacks that are measured")


def run(options: argparse.Namespace) -> list[Latency]:
    """Measure both ways in turns."""
    ours: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (subject,) = prepare(folder, [OWN_ROLLBACK])
        with (
            TrialCloud(folder / "cloud") as cloud,
            Served(subject.name, subject.folder, cloud.environment, folder / "home") as served,
            publisher_at(cloud.environment["PUBSUB_EMULATOR_HOST"]) as publisher,
        ):
            served.send(event_for(OWN_ROLLBACK, cloud, cloud.begin()))
            _subscribe(cloud, served.url)
            for sample in range(_WARM_UP + max(1, options.samples)):
                pair = _by_alert(cloud, publisher), _by_bare_calls(cloud)
                if sample >= _WARM_UP:
                    ours.append(pair[0])
                    bare.append(pair[1])
    return [_latency("alert published to split restored", ours), _latency("the two bare calls", bare)]


def _subscribe(cloud: TrialCloud, url: str) -> None:
    address, project = cloud.environment["PUBSUB_EMULATOR_HOST"], cloud.ref.project
    wire(address, project, {OWN_ROLLBACK: ROUTES[OWN_ROLLBACK]}, lambda _: url, topics=topics.ALL)


def _by_alert(cloud: TrialCloud, publisher: Any) -> float:
    begun = cloud.begin()
    topic = f"projects/{cloud.ref.project}/topics/{topics.ALERT_FIRED}"
    started = time.time()
    publisher.publish(topic=topic, messages=[{"data": begun.alert}], timeout=10)
    return (cloud.restored_at(after=started) - started) * 1000


def _by_bare_calls(cloud: TrialCloud) -> float:
    """As the client's documentation has it; the client is warm."""
    cloud.begin()
    started = time.perf_counter()
    endpoint = cloud.client.get_endpoint(name=cloud.endpoint_name, timeout=20)
    if dict(endpoint.traffic_split) != {STABLE: 100 - SHARE, CANDIDATE: SHARE}:
        raise BenchError(f"the trial did not begin: the split is {dict(endpoint.traffic_split)}")
    restored = {"name": endpoint.name, "etag": endpoint.etag, "traffic_split": {STABLE: 100}}
    cloud.client.update_endpoint(endpoint=restored, update_mask={"paths": ["traffic_split"]}, timeout=30)
    milliseconds = (time.perf_counter() - started) * 1000
    cloud.check_restored()
    return milliseconds


def _latency(what: str, values: list[float]) -> Latency:
    return Latency(what, len(values), percentile(values, 50), percentile(values, 99))


def show(results: list[Latency]) -> str:
    """Both ways, and what the first costs above the second."""
    whole, bare = results
    rows = [(result.what, str(result.samples), f"{result.p50:.1f} ms", f"{result.p99:.1f} ms") for result in results]
    rows.append(("all that is between, by medians", "", f"{whole.p50 - bare.p50:.1f} ms", ""))
    return table(("warm rollback", "samples", "p50", "p99"), rows)


def as_json(results: list[Latency]) -> Any:
    """The same for programs."""
    return [{**asdict(result), "p50": round(result.p50, 2), "p99": round(result.p99, 2)} for result in results]
