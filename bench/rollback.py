"""From publishing an alert to the moment from which the local Vertex AI serves the restored split, with a function warm and cold.

Warm, an instance is there and has answered before. Cold, the event has to start one, in a new process each time (``bench/on_demand.py`` says what
of Cloud Run that is). Beside them the two calls of Vertex AI that no rollback can do without, by themselves and in a function that does nothing
else, and the same rollback with the high-level SDK, both woken in the same way. The way between is Pub/Sub's push, the Functions Framework, and
deciding; the ledger is written after that moment, so the store has no part in it. Once on the bare servers, and once with the delays of a call
within a region (reads 80 ms, writes 150 ms).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from google.pubsub_v1.types import PublishRequest, PubsubMessage

from bench.events import event_for
from bench.numbers import percentile, table
from bench.on_demand import OnDemand
from bench.served import Served
from bench.subjects import OWN_ROLLBACK, prepare
from bench.trial import CANDIDATE, SHARE, STABLE, BenchError, TrialCloud
from local.cloud import ROUTES
from local.pubsub.clients import publisher_at
from local.pubsub.wiring import wire
from shared import topics
from vertex_emulator import control

_WARM_UP = 3
_PATIENCE_SECONDS = 60.0
READ, WRITE = 0.080, 0.150
"""Seconds that a call takes with delays."""
ALERT, SDK, BARE = "alert published to split restored", "the same with the high-level SDK", "the two bare calls"
PLAIN = "the two calls and nothing else, so woken"
"""Pub/Sub's push and the framework cost this much, whatever a function does: no function that is woken so can be faster."""


@dataclass(frozen=True)
class Latency:
    """One way of giving the traffic back; milliseconds."""

    what: str
    delayed: bool
    samples: int
    p50: float
    p99: float
    """The worst, of fewer than a hundred."""
    cold: bool = False
    """Whether the event had to start an instance."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own settings."""
    parser.add_argument("--samples", type=int, default=50, help="warm rollbacks that are measured, of each kind")
    parser.add_argument("--cold-samples", type=int, default=10, help="the same with an instance that is started")


def run(options: argparse.Namespace) -> list[Latency]:
    """Measure the ways in turns, warm and cold, without delays and with them."""
    found: list[Latency] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        subjects = {one.name: one for one in prepare(folder, [OWN_ROLLBACK, "sdk_rollback", "gapic_rollback"])}
        ours, sdk, plain = (subjects[name] for name in (OWN_ROLLBACK, "sdk_rollback", "gapic_rollback"))
        with TrialCloud(folder / "cloud") as cloud, ExitStack() as stack:
            publisher = stack.enter_context(publisher_at(cloud.environment["PUBSUB_EMULATOR_HOST"]))
            cold = {}
            for what, subject in ((ALERT, ours), (SDK, sdk), (PLAIN, plain)):
                home = folder / "home" / subject.name
                warm = stack.enter_context(Served(subject.name, subject.folder, cloud.environment, home))
                warm.send(event_for(OWN_ROLLBACK, cloud, cloud.begin()))
                _subscribe(cloud, subject.name, warm.url)
                if what == PLAIN:
                    continue  # a cold one would measure its imports, which bench.cold_start does
                front = stack.enter_context(OnDemand(subject, cloud.environment, home / "cold"))
                _subscribe(cloud, _cold(subject.name), front.url)
                cold[what] = front, _cold(subject.name)
            for delayed in (False, True):
                if delayed:
                    _delay(cloud.environment["VERTEX_EMULATOR_HOST"])
                how = "calls that take 80 and 150 ms" if delayed else "bare servers"
                _progress(f"{options.samples} of each kind, warm, {how}")
                taken: dict[str, list[float]] = {ALERT: [], SDK: [], PLAIN: [], BARE: []}
                samples = max(1, options.samples)
                warm_up = min(_WARM_UP, samples)
                for sample in range(warm_up + samples):
                    turn = {
                        ALERT: _by_alert(cloud, publisher, ours.name),
                        SDK: _by_alert(cloud, publisher, sdk.name),
                        PLAIN: _by_alert(cloud, publisher, plain.name),
                        BARE: _by_bare_calls(cloud),
                    }
                    if sample >= warm_up:
                        for what, milliseconds in turn.items():
                            taken[what].append(milliseconds)
                found += [_latency(what, delayed, values) for what, values in taken.items()]
                _progress(f"{options.cold_samples} of each kind, each with an instance of its own, {how}")
                found += _cold_ones(cloud, publisher, cold, delayed, options.cold_samples)
    return found


def _cold_ones(
    cloud: TrialCloud, publisher: Any, ways: Mapping[str, tuple[OnDemand, str]], delayed: bool, samples: int
) -> list[Latency]:
    """Each way with an instance that its event starts, in turns; nothing is left running between them."""
    taken: dict[str, list[float]] = {what: [] for what in ways}
    for _ in range(samples):
        for what, (front, name) in ways.items():
            before = front.started
            try:
                taken[what].append(_by_alert(cloud, publisher, name))
            except BenchError as exc:
                raise BenchError(f"{exc}. It printed:\n{front.said()}") from exc
            front.scale_to_zero()
            if front.started != before + 1:
                raise BenchError(f"{name}: one alert started {front.started - before} instances")
    return [replace(_latency(what, delayed, values), cold=True) for what, values in taken.items() if values]


def _progress(what: str) -> None:
    print(f"rollback: {what} ...", file=sys.stderr, flush=True)


def _subscribe(cloud: TrialCloud, name: str, url: str) -> None:
    """A topic of its own for each way, with the subscription that ``roll_back`` has in the cloud."""
    address, project = cloud.environment["PUBSUB_EMULATOR_HOST"], cloud.ref.project
    route = replace(ROUTES[OWN_ROLLBACK], topic=_topic(name))
    wire(address, project, {name: route}, lambda _: url, topics=(*topics.ALL, _topic(name)))


def _cold(name: str) -> str:
    """The name that the subscription of a function without an instance has."""
    return f"cold_{name}"


def _topic(name: str) -> str:
    return topics.ALERT_FIRED if name == OWN_ROLLBACK else f"alert-for-{name.replace('_', '-')}"


def _delay(address: str) -> None:
    for method, seconds in (("GetEndpoint", READ), ("ListEndpoints", READ), ("UpdateEndpoint", WRITE)):
        control.call(address, "PlanFault", {"kind": "delay", "method": method, "seconds": seconds, "times": None})


def _by_alert(cloud: TrialCloud, publisher: Any, name: str) -> float:
    begun = cloud.begin()
    topic = f"projects/{cloud.ref.project}/topics/{_topic(name)}"
    message = PublishRequest(topic=topic, messages=[PubsubMessage(data=begun.alert)])
    started = time.time()
    publisher.publish(message, timeout=10)
    return (cloud.restored_at(started, _PATIENCE_SECONDS) - started) * 1000


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
    """Each way, what it costs by the two calls and above them, and by the SDK's in the same state."""
    rows = []
    for result in results:
        bare = next(r for r in results if r.what == BARE and r.delayed == result.delayed)
        sdk = next(r for r in results if (r.what, r.delayed, r.cold) == (SDK, result.delayed, result.cold))
        rows.append(
            (
                result.what,
                "" if result is bare else "started" if result.cold else "warm",
                "80 / 150 ms" if result.delayed else "bare",
                str(result.samples),
                f"{result.p50:,.1f} ms",
                f"{result.p99:,.1f} ms",
                _ratio(result.p50 / bare.p50),
                "" if result is bare else f"{result.p50 - bare.p50:+,.1f} ms",
                _ratio(result.p50 / sdk.p50),
            )
        )
    head = ("rollback", "instance", "calls take", "samples", "p50", "p99", "by two calls", "above them", "by the SDK's")
    return table(head, rows, frozenset({0, 1, 2}))


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def as_json(results: list[Latency]) -> Any:
    """The same for programs."""
    return [{**asdict(result), "p50": round(result.p50, 2), "p99": round(result.p99, 2)} for result in results]
