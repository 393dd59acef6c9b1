"""From publishing an alert to the moment from which the local Vertex AI serves the restored split, with a warm function.

Beside it the two calls of Vertex AI that no rollback can do without, by themselves, and the same rollback with the high-level SDK, woken in the
same way. The way between is Pub/Sub's push, the Functions Framework, and deciding; the ledger is written after that moment, so the store has no
part in it. Once on the bare servers, and once with the delays of a call within a region (reads 80 ms, writes 150 ms).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
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
from vertex_emulator import control

_WARM_UP = 3


READ, WRITE = 0.080, 0.150
"""Seconds that a call takes with delays."""
ALERT, SDK, BARE = "alert published to split restored", "the same with the high-level SDK", "the two bare calls"


@dataclass(frozen=True)
class Latency:
    """One way of giving the traffic back; milliseconds."""

    what: str
    delayed: bool
    samples: int
    p50: float
    p99: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own settings."""
    parser.add_argument("--samples", type=int, default=50, help="rollbacks that are measured, of each kind")


def run(options: argparse.Namespace) -> list[Latency]:
    """Measure the three ways in turns, without delays and with them."""
    found: list[Latency] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        ours, sdk = prepare(folder, [OWN_ROLLBACK, "sdk_rollback"])
        with TrialCloud(folder / "cloud") as cloud, ExitStack() as stack:
            served = {
                subject.name: stack.enter_context(
                    Served(subject.name, subject.folder, cloud.environment, folder / "home" / subject.name)
                )
                for subject in (ours, sdk)
            }
            publisher = stack.enter_context(publisher_at(cloud.environment["PUBSUB_EMULATOR_HOST"]))
            for function, one in served.items():
                one.send(event_for(OWN_ROLLBACK, cloud, cloud.begin()))
                _subscribe(cloud, function, one.url)
            for delayed in (False, True):
                if delayed:
                    _delay(cloud.environment["VERTEX_EMULATOR_HOST"])
                taken: dict[str, list[float]] = {ALERT: [], SDK: [], BARE: []}
                for sample in range(_WARM_UP + max(1, options.samples)):
                    turn = {
                        ALERT: _by_alert(cloud, publisher, ours.name),
                        SDK: _by_alert(cloud, publisher, sdk.name),
                        BARE: _by_bare_calls(cloud),
                    }
                    if sample >= _WARM_UP:
                        for what, milliseconds in turn.items():
                            taken[what].append(milliseconds)
                found += [_latency(what, delayed, values) for what, values in taken.items()]
    return found


def _subscribe(cloud: TrialCloud, name: str, url: str) -> None:
    """A topic of its own for each way, with the subscription that ``roll_back`` has in the cloud."""
    address, project = cloud.environment["PUBSUB_EMULATOR_HOST"], cloud.ref.project
    route = replace(ROUTES[OWN_ROLLBACK], topic=_topic(name))
    wire(address, project, {name: route}, lambda _: url, topics=(*topics.ALL, _topic(name)))


def _topic(name: str) -> str:
    return topics.ALERT_FIRED if name == OWN_ROLLBACK else f"alert-for-{name.replace('_', '-')}"


def _delay(address: str) -> None:
    for method, seconds in (("GetEndpoint", READ), ("ListEndpoints", READ), ("UpdateEndpoint", WRITE)):
        control.call(address, "PlanFault", {"kind": "delay", "method": method, "seconds": seconds, "times": None})


def _by_alert(cloud: TrialCloud, publisher: Any, name: str) -> float:
    begun = cloud.begin()
    topic = f"projects/{cloud.ref.project}/topics/{_topic(name)}"
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


def _latency(what: str, delayed: bool, values: list[float]) -> Latency:
    return Latency(what, delayed, len(values), percentile(values, 50), percentile(values, 99))


def show(results: list[Latency]) -> str:
    """Each way, and what it costs above the two calls."""
    rows = []
    for result in results:
        bare = next(r for r in results if r.what == BARE and r.delayed == result.delayed)
        calls = "80 / 150 ms" if result.delayed else "bare"
        above = "" if result is bare else f"{result.p50 - bare.p50:+.1f} ms"
        ratio = f"{result.p50 / bare.p50:.2f}"
        rows.append(
            (result.what, calls, str(result.samples), f"{result.p50:.1f} ms", f"{result.p99:.1f} ms", ratio, above)
        )
    return table(
        ("warm rollback", "calls take", "samples", "p50", "p99", "by two calls", "above them"), rows, frozenset({0, 1})
    )


def as_json(results: list[Latency]) -> Any:
    """The same for programs."""
    return [{**asdict(result), "p50": round(result.p50, 2), "p99": round(result.p99, 2)} for result in results]
