"""From executing a function's process to the answer of its first event, and the memory it has then.

Each of our functions is served from its zip by the Functions Framework's production server, against local servers, and handles an
event that makes it work. Beside them the same rollback with the high-level SDK and with the generated client imported
plainly; both do less than ours. Credentials and TLS are left out for all three alike; the disk's cache is warm.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.events import event_for
from bench.numbers import table
from bench.served import Served
from bench.subjects import OWN_ROLLBACK, Subject, prepare
from bench.trial import TrialCloud


@dataclass(frozen=True)
class ColdStart:
    """One function's numbers."""

    function: str
    is_baseline: bool
    event: str
    seconds: tuple[float, ...]
    megabytes: float | None
    """Proportional set size after the first answer; the median too."""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own settings."""
    parser.add_argument("--runs", type=int, default=3, help="cold starts per function; the median counts")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="functions and baselines; all by default")


def run(options: argparse.Namespace) -> list[ColdStart]:
    """Measure; runs take turns, so that a busy minute of the machine does not hit one function alone."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        subjects = prepare(folder, options.only)
        with TrialCloud(folder / "cloud") as cloud:
            found: dict[str, list[tuple[float, float | None]]] = {subject.name: [] for subject in subjects}
            about = {}
            for turn in range(max(1, options.runs)):
                for subject in subjects:
                    seconds, megabytes, about[subject.name] = _start(cloud, subject, folder / "homes" / f"run-{turn}")
                    found[subject.name].append((seconds, megabytes))
    return [_summary(subject, about[subject.name], found[subject.name]) for subject in subjects]


def _start(cloud: TrialCloud, subject: Subject, home: Path) -> tuple[float, float | None, str]:
    cloud.forget()
    event = event_for(subject.event_of, cloud, cloud.begin())
    with Served(subject.name, subject.folder, cloud.environment, home) as served:
        served.send(event)
        seconds = time.perf_counter() - served.started
        megabytes = served.memory()
    if subject.event_of == OWN_ROLLBACK:
        cloud.check_restored()
    return seconds, megabytes, event.about


def _summary(subject: Subject, about: str, found: Sequence[tuple[float, float | None]]) -> ColdStart:
    sizes = [size for _, size in found if size is not None]
    megabytes = statistics.median(sizes) if sizes else None
    return ColdStart(subject.name, subject.is_baseline, about, tuple(seconds for seconds, _ in found), megabytes)


def show(results: list[ColdStart]) -> str:
    """Ours, then the baselines, each as a multiple of our rollback."""
    ours = next((result for result in results if result.function == OWN_ROLLBACK), None)
    rows = [
        (
            result.function,
            f"{result.median:.2f} s",
            "-" if result.megabytes is None else f"{result.megabytes:.0f} MB",
            _times(result.median, ours.median if ours else None),
            _times(result.megabytes, ours.megabytes if ours else None),
            result.event,
        )
        for result in sorted(results, key=lambda result: result.is_baseline)
    ]
    head = ("function", "first answer", "memory", "time", "memory", "event")
    return table(head, rows, text=frozenset({0, 5}))


def as_json(results: list[ColdStart]) -> Any:
    """The same for programs, with every run."""
    return [
        {
            "function": result.function,
            "is_baseline": result.is_baseline,
            "event": result.event,
            "seconds": [round(value, 3) for value in result.seconds],
            "median_seconds": round(result.median, 3),
            "pss_megabytes": result.megabytes and round(result.megabytes, 1),
        }
        for result in results
    ]


def _times(value: float | None, of: float | None) -> str:
    return f"{value / of:.1f}x" if value and of else "-"
