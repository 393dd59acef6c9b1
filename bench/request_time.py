"""Where the time of one request goes, from a profile of a function's process: by whose code it is, and by our own functions."""

from __future__ import annotations

import pstats
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.events import Event
from bench.numbers import percentile, table
from bench.served import Served
from bench.subjects import Subject

_WARM_UP = 20
_SHOWN = 12
"""Functions of ours that are named."""
_PARTS: Sequence[tuple[str, str]] = (
    ("/site-packages/grpc/", "the call of Vertex AI itself: gRPC, and waiting for the answer"),
    ("/site-packages/google/", "Google's generated clients"),
    ("/site-packages/proto/", "Google's generated clients"),
    ("/site-packages/functions_framework/", "Functions Framework, Flask, CloudEvents"),
    ("/site-packages/flask/", "Functions Framework, Flask, CloudEvents"),
    ("/site-packages/werkzeug/", "Functions Framework, Flask, CloudEvents"),
    ("/site-packages/cloudevents/", "Functions Framework, Flask, CloudEvents"),
    ("/site-packages/blinker/", "Functions Framework, Flask, CloudEvents"),
    ("/site-packages/pydantic", "pydantic: what arrives and what is stored is checked"),
    ("/site-packages/", "other libraries"),
    ("sqlite3", "the store: SQLite"),
)
_OWN, _STANDARD = "our own code", "Python's standard library"

_Key = tuple[str, int, str]
"""File, line and name; what is not written in Python has the file ``~``."""


@dataclass(frozen=True)
class Spent:
    """One row: how much of a request."""

    what: str
    milliseconds: float
    calls: float


@dataclass(frozen=True)
class RequestTime:
    """One function's requests, one after the other. The profiler makes Python code slower, so the shares say more than the milliseconds."""

    function: str
    requests: int
    milliseconds: float
    """Of one request with the profiler, in the application: the server's part, reading and writing the socket, is not seen."""
    unprofiled: float
    """Of one request from the caller's side without the profiler, the median."""
    parts: tuple[Spent, ...]
    """By whose code; together all of ``milliseconds``."""
    functions: tuple[Spent, ...]
    """Of ours, with all that they call, so they contain each other."""


def measure(subject: Subject, environment: Mapping[str, str], event: Event, folder: Path, requests: int) -> RequestTime:
    """Send one event again and again, first without the profiler."""
    with Served(subject.name, subject.folder, environment, folder / "plain") as served:
        plain = [_milliseconds(served, event) for _ in range(_WARM_UP + requests)][_WARM_UP:]
    file = folder / "profile"
    # Without site, as every function is served.
    server = (sys.executable, "-S", str(Path(__file__).with_name("profiled.py")), str(file), str(_WARM_UP))
    with Served(subject.name, subject.folder, environment, folder / "profiled", interpreter=server) as served:
        for _ in range(_WARM_UP + requests):
            served.send(event)
    return read(file, subject, requests, percentile(plain, 50))


def _milliseconds(served: Served, event: Event) -> float:
    began = time.perf_counter()
    served.send(event)
    return (time.perf_counter() - began) * 1000


def read(file: Path, subject: Subject, requests: int, unprofiled: float) -> RequestTime:
    """What a profile says of so many requests."""
    stats: Mapping[_Key, Any] = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]  # it has no other way
    own = str(subject.folder)
    parts: dict[str, float] = defaultdict(float)
    for what, seconds in _own_times(stats, own):
        parts[what] += seconds
    ours = [
        Spent(f"{key[0].removeprefix(own).lstrip('/')}: {key[2]}", 1000 * cumulative / requests, called / requests)
        for key, (_, called, _, cumulative, _) in stats.items()
        if key[0].startswith(own)
    ]
    longest = sorted(ours, key=lambda one: -one.milliseconds)[:_SHOWN]
    by_part = [Spent(what, 1000 * seconds / requests, 0) for what, seconds in parts.items()]
    by_part.sort(key=lambda one: -one.milliseconds)
    total = sum(one.milliseconds for one in by_part)
    return RequestTime(subject.name, requests, total, unprofiled, tuple(by_part), tuple(longest))


def _own_times(stats: Mapping[_Key, Any], own: str) -> Iterator[tuple[str, float]]:
    """The time that each function spent in itself, by whose it is; what is not written in Python counts for who called it."""
    for (file, _, name), (_, _, alone, _, callers) in stats.items():
        if file != "~" or "sqlite3" in name:
            yield _part(f"{file} {name}", own), alone
            continue
        given = 0.0
        for caller, (_, _, seconds, _) in callers.items():
            given += seconds
            yield _part(caller[0], own), seconds
        yield _STANDARD, alone - given


def _part(file: str, own: str) -> str:
    if file.startswith(own):
        return _OWN
    return next((name for piece, name in _PARTS if piece in file), _STANDARD)


def show(found: RequestTime) -> str:
    """Both tables."""
    total = found.milliseconds
    about = (
        f"where the time of a request to {found.function} goes: {found.requests} requests one after the other, {found.unprofiled:.1f} ms each from "
        f"outside (p50); {total:.1f} ms in the function with the profiler, which slows Python down: the shares count"
    )
    parts = [(one.what, f"{one.milliseconds / total:.0%}", f"{one.milliseconds:.2f} ms") for one in found.parts]
    ours = [
        (one.what, f"{one.milliseconds / total:.0%}", f"{one.milliseconds:.2f} ms", f"{one.calls:.3g}")
        for one in found.functions
    ]
    return "\n\n".join(
        (
            about,
            table(("whose code", "share", "a request"), parts),
            table(("our functions, with what they call", "share", "a request", "calls"), ours),
        )
    )
