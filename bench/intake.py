"""Events per second: into one instance with many callers, into several, and into one that does nothing.

The event is an alert that has been honoured already, so each is read, decided and acknowledged after one read of Vertex AI: what a burst of
incidents brings. What a function that does nothing takes in is the limit of the Functions Framework's production server and of the callers. Then
where the time of one such request goes, by a profile of the function's process (``--no-profile`` leaves it out).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import request_time
from bench.emulator_calls import METHODS, calls_per_second
from bench.events import Event, event_for
from bench.numbers import percentile, table
from bench.request_time import RequestTime
from bench.served import Served
from bench.subjects import OWN_ROLLBACK, Subject, prepare
from bench.trial import TrialCloud

IDLE = "idle"
IDLE_MAIN = """
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


@dataclass(frozen=True)
class Results:
    """All ways, the limit among them, and one request looked at closely."""

    ways: tuple[Intake, ...]
    profile: RequestTime | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own settings."""
    parser.add_argument("--seconds", type=float, default=5.0, help="that each way is measured")
    parser.add_argument("--callers", type=int, default=16, help="that push at the same time")
    parser.add_argument("--processes", type=int, default=2, help="of the largest set-up")
    parser.add_argument(
        "--profile", action=argparse.BooleanOptionalAction, default=True, help="where a request's time goes"
    )
    parser.add_argument("--profiled", type=int, default=200, help="requests that are profiled")


def run(options: argparse.Namespace) -> Results:
    """Measure one after the other."""
    found: list[Intake] = []
    profile = None
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (ours,) = prepare(folder, [OWN_ROLLBACK])
        idle = Subject(IDLE, folder / IDLE, True)
        idle.folder.mkdir()
        (idle.folder / "main.py").write_text(IDLE_MAIN)
        with TrialCloud(folder / "cloud") as cloud:
            event = event_for(OWN_ROLLBACK, cloud, cloud.begin())
            for subject, processes in ((idle, 1), (ours, 1), (ours, options.processes)):
                _progress(f"{processes} of {subject.name}, {options.callers} callers")
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
            _progress("the local Vertex AI by itself")
            found.append(_reads(cloud, options))
            if options.profile:
                _progress(f"a profile of {options.profiled} requests")
                profile = request_time.measure(ours, cloud.environment, event, folder / "profile", options.profiled)
    return Results(tuple(found), profile)


def _progress(what: str) -> None:
    print(f"intake: {what} ...", file=sys.stderr, flush=True)


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


def show(results: Results) -> str:
    """As a table, what limits it, and the profile."""
    rows = [
        (
            r.what,
            str(r.processes),
            str(r.callers),
            f"{r.per_second:.0f}",
            f"{r.p50:.1f} ms" if r.p50 else "",
            f"{r.p99:.1f} ms" if r.p99 else "",
        )
        for r in results.ways
    ]
    parts = [table(("function", "processes", "callers", "events per second", "p50", "p99"), rows), _limit(results.ways)]
    if results.profile:
        parts.append(request_time.show(results.profile))
    return "\n\n".join(parts)


def _limit(ways: Sequence[Intake]) -> str:
    """Every event is one read of Vertex AI."""
    reads, most = ways[-1].per_second, max((r for r in ways[:-1] if r.what != IDLE), key=lambda r: r.processes)
    idle = next(r for r in ways if r.what == IDLE).per_second
    return (
        f"the limit: an event is one GetEndpoint, and the local Vertex AI answers {reads:.0f} of them per second by itself, "
        f"{reads / most.per_second:.1f} times what {most.processes} processes of {most.what} take in\n"
        f"the framework, its server and the callers: {idle:.0f} events per second with a function that does nothing"
    )


def as_json(results: Results) -> Any:
    """The same for programs."""
    return asdict(results)
