"""Events per second: into one instance with many callers, into several, and into one that does nothing.

The event is an alert that has been honoured already, so each is read, decided and acknowledged after one read of Vertex AI: what a burst of
incidents brings. What a function that does nothing takes in is the limit of the Functions Framework's production server and of the callers.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.emulator_calls import METHODS, calls_per_second
from bench.events import Event, event_for
from bench.numbers import percentile, table
from bench.served import Served
from bench.subjects import OWN_ROLLBACK, Subject, prepare
from bench.trial import TrialCloud

IDLE = "idle"
_IDLE_MAIN = """
import functions_framework

@functions_framework.cloud_event
def idle(event):
    pass
"""


@dataclass(frozen=True)
class Intake:
    """One way of taking events in."""

    what: str
    processes: int
    callers: int
    per_second: float
    p50: float
    """Milliseconds from the request to the answer."""
    p99: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own settings."""
    parser.add_argument("--seconds", type=float, default=5.0, help="that each way is measured")
    parser.add_argument("--callers", type=int, default=16, help="that push at the same time")
    parser.add_argument("--processes", type=int, default=2, help="of the largest set-up")


def run(options: argparse.Namespace) -> list[Intake]:
    """Measure one after the other."""
    found: list[Intake] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (ours,) = prepare(folder, [OWN_ROLLBACK])
        idle = Subject(IDLE, folder / IDLE, True)
        idle.folder.mkdir()
        (idle.folder / "main.py").write_text(_IDLE_MAIN)
        with TrialCloud(folder / "cloud") as cloud:
            event = event_for(OWN_ROLLBACK, cloud, cloud.begin())
            for subject, processes in ((idle, 1), (ours, 1), (ours, options.processes)):
                with ExitStack() as stack:
                    served = [
                        stack.enter_context(
                            Served(subject.name, subject.folder, cloud.environment, folder / f"{subject.name}-{number}")
                        )
                        for number in range(processes)
                    ]
                    for one in served:
                        one.send(event)
                    found.append(_measure(subject.name, served, event, options))
            found.append(_reads(cloud, options))
    return found


def _measure(name: str, served: Sequence[Served], event: Event, options: argparse.Namespace) -> Intake:
    taken: list[float] = []
    lock = threading.Lock()
    until = time.perf_counter() + options.seconds

    def push(instance: Served) -> None:
        own = []
        while time.perf_counter() < until:
            began = time.perf_counter()
            instance.send(event)
            own.append((time.perf_counter() - began) * 1000)
        with lock:
            taken.extend(own)

    callers = [threading.Thread(target=push, args=(served[n % len(served)],)) for n in range(options.callers)]
    began = time.perf_counter()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    spent = time.perf_counter() - began
    return Intake(name, len(served), options.callers, len(taken) / spent, percentile(taken, 50), percentile(taken, 99))


def _reads(cloud: TrialCloud, options: argparse.Namespace) -> Intake:
    """What the local Vertex AI answers by itself: it must not be the limit."""
    from google.cloud.aiplatform_v1 import types

    request = types.GetEndpointRequest.pb()(name=cloud.endpoint_name).SerializeToString()
    rate = calls_per_second(cloud.environment["VERTEX_EMULATOR_HOST"], "get", request, options.callers, options.seconds)
    return Intake(f"{METHODS['get'].rpartition('/')[2]} by itself", 1, options.callers, rate, 0.0, 0.0)


def show(results: list[Intake]) -> str:
    """As a table."""
    rows = [
        (
            r.what,
            str(r.processes),
            str(r.callers),
            f"{r.per_second:.0f}",
            f"{r.p50:.1f} ms" if r.p50 else "",
            f"{r.p99:.1f} ms" if r.p99 else "",
        )
        for r in results
    ]
    return table(("function", "processes", "callers", "events per second", "p50", "p99"), rows)


def as_json(results: list[Intake]) -> Any:
    """The same for programs."""
    return [asdict(result) for result in results]
