"""What one tick costs with 1, 100, 1,000 and 10,000 rollouts: calls, seconds, memory; beside one query per rollout and metric.

Every rollout is a canary at 10 % of 10 requests per second (``--rps``) with three metrics, judged by evidence; all are copies of one that the real
functions have brought there. The function runs in processes of its own, the servers in another, with paging and Google's quotas, and with the delays
of a call within a region (reads 80 ms, writes 150 ms, the store 20 ms). What one tick has no time for is divided into ticks at the same
moment, each in a process of its own, and once more one after the other: two processors may be threads of one core, where each is slower while
the other works. The measured ticks follow a first one that is not. What a rollout costs among many and among few is measured in turns, without
delays, since a machine that others use too changes its speed. One more row has ten times the traffic (``--busy-rps``): Monitoring's points
are as many, so whether a tick costs more, and needs more shards, is a matter of the evidence alone.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.numbers import loop_seconds, table
from bench.performance import TICK_SECONDS
from bench.scale.fleet import LAG, fleet
from bench.scale.machine import READ, STORE, WRITE, Asked, environment_of, fill, servers, store
from bench.scale.prototype import Prototype, make_prototype
from bench.trial import BenchError
from shared.actions.assess import MOST


@dataclass(frozen=True)
class Growth:
    """The ticks over one number of rollouts; medians, but the most memory."""

    rollouts: int
    store: str
    ticks: int
    """Processes that the tick is divided into."""
    seconds: float
    """From the schedule's tick, which asks for the parts where there are several, to the end of the last."""
    alone_seconds: float
    """The longest of them, when one begins after the other has ended: each has an instance of its own in the cloud."""
    cpu_seconds: float
    """Of all of them, so taken. At once they would count more where two processors share a core."""
    mib: float
    """The most of any of them."""
    vertex: int
    """Calls, pages of endpoints aside."""
    pages: int
    """Of endpoints."""
    monitoring: int
    reads: int
    """Calls of the store."""
    documents: int
    """That were read."""
    writes: int
    loop_seconds: float
    """That a fixed loop took before and after, the mean: what the machine was worth in that time."""


@dataclass(frozen=True)
class Flatness:
    """What a rollout costs among many and among few, in seconds of the function's processor time."""

    rollouts: int
    few: int
    cpu_seconds: float
    few_cpu_seconds: float


@dataclass(frozen=True)
class Peers:
    """One query per metric and arm of each rollout, and its endpoint."""

    rollouts: int
    calls: int
    refused: int
    """By the quota of 600 reads a minute."""
    seconds: float


@dataclass(frozen=True)
class Recovery:
    """After a time in which no tick came."""

    rollouts: int
    minutes: int
    """Without ticks."""
    ticks: int
    """Until all is judged."""
    seconds: float
    """The longest of them."""
    mib: float


@dataclass(frozen=True)
class Results:
    """Everything."""

    rps: float
    growth: tuple[Growth, ...]
    peers: tuple[Peers, ...]
    recovery: Recovery | None
    busy_rps: float = 0.0
    busy: Growth | None = None
    """The same with so many requests per second for each endpoint."""
    skipped: tuple[str, ...] = ()
    flat: Flatness | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own settings."""
    parser.add_argument("--rollouts", type=_numbers, default=(1, 100, 1000, 10_000), help="1,100,1000,10000")
    parser.add_argument("--stores", type=lambda text: tuple(text.split(",")), default=("sqlite", "firestore"))
    parser.add_argument("--ticks", type=int, default=3, help="that are measured; their median counts")
    parser.add_argument("--rps", type=float, default=10.0, help="requests per second of each endpoint")
    parser.add_argument("--busy-rps", type=float, default=100.0, help="the same of one more row, on SQLite")
    parser.add_argument("--busy-rollouts", type=int, default=1000, help="the rollouts of that row; 0 leaves it out")
    parser.add_argument("--few", type=int, default=100, help="rollouts whose cost is measured in turns with the most")
    parser.add_argument("--pause", type=int, default=60, help="minutes without ticks, for the recovery")
    parser.add_argument("--most-on-emulator", type=int, default=1000, help="rollouts on Google's Firestore emulator")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def run(options: argparse.Namespace) -> Results:
    """Measure everything, with a line on standard error for each part."""
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        folder = Path(name)
        prototype = make_prototype(folder)
        growth, skipped = [], []
        for kind in options.stores:
            sizes = [n for n in options.rollouts if kind == "sqlite" or n <= options.most_on_emulator]
            for number in sizes:
                _progress(f"{number} rollouts on {kind}")
                try:
                    growth.append(_grow(prototype, kind, number, options.rps, options.ticks, folder))
                except BenchError as exc:
                    if kind == "sqlite":
                        raise
                    skipped.append(str(exc))
                    break
        busy = None
        if options.busy_rollouts:
            _progress(f"{options.busy_rollouts} rollouts on sqlite, {options.busy_rps:g} requests per second each")
            busy = _grow(prototype, "sqlite", options.busy_rollouts, options.busy_rps, options.ticks, folder)
        flat = None
        if (most := max(options.rollouts)) > options.few:
            _progress(f"{most} and {options.few} rollouts in turns")
            flat = _alternately(prototype, most, options, folder)
        peers = []
        for number in [n for n in options.rollouts if n <= 1000]:
            _progress(f"one query per rollout and metric, {number} rollouts")
            peers.append(_peers(prototype, number, options.rps, folder))
        some = min(300, max(options.rollouts))
        _progress(f"{options.pause} minutes without ticks, {some} rollouts")
        recovery = _recover(prototype, some, options.rps, options.pause, folder)
    return Results(
        options.rps,
        tuple(growth),
        tuple(peers),
        recovery,
        options.busy_rps if busy else 0.0,
        busy,
        tuple(skipped),
        flat,
    )


def _grow(prototype: Prototype, kind: str, number: int, rps: float, ticks: int, folder: Path) -> Growth:
    with fleet(prototype, kind, number, rps, folder) as some:
        seen, loops = [], [loop_seconds()]
        for tick in range(ticks + 1):
            some.minute()
            before = some.calls()
            divided, answers = some.divide(), some.at_once()
            if tick:
                seen.append((divided, answers, some.calls() - before))
        loops.append(loop_seconds())
        some.minute()
        alone = [some.part(part) for part in range(some.parts)]
        return _growth(number, kind, seen, alone, statistics.fmean(loops))


def _alternately(prototype: Prototype, number: int, options: argparse.Namespace, folder: Path) -> Flatness:
    """Many and few in turns, so that both meet the machine as it is: its speed changes from one second to the next."""
    with (
        fleet(prototype, "sqlite", number, options.rps, folder, is_far=False) as many,
        fleet(prototype, "sqlite", options.few, options.rps, folder, is_far=False) as few,
    ):
        of_many, of_few = [], []
        for turn in range(options.ticks + 1):
            many.minute()
            for part in range(many.parts):
                found = many.part(part)["cpu_seconds"]
                beside = []
                for _ in range(8):
                    few.minute()
                    beside.append(few.part(0)["cpu_seconds"])
                if turn:
                    of_many.append(found)
                    of_few += beside
        return Flatness(
            number, options.few, sum(of_many) / options.ticks / number, statistics.fmean(of_few) / options.few
        )


def _growth(
    number: int,
    kind: str,
    seen: list[tuple[list[dict[str, Any]], list[dict[str, Any]], Counter[str]]],
    one_by_one: list[dict[str, Any]],
    loop: float,
) -> Growth:
    parts = len(one_by_one)

    def median(values: list[float]) -> float:
        return statistics.median(values)

    stores = [sum((Counter(a["store"]) for a in (*divided, *answers)), Counter[str]()) for divided, answers, _ in seen]
    calls = [c for *_, c in seen]
    pages = math.ceil(number / 100) * parts
    vertex = [sum(c[m] for m in ("ListEndpoints", "GetEndpoint", "GetOperation")) for c in calls]
    judged = {c["ListTimeSeries"] for c in calls}
    if 0 in judged:
        raise BenchError("a tick read no metrics: it had nothing to judge")
    return Growth(
        number,
        kind,
        parts,
        median(
            [sum(d["seconds"] for d in divided) + max(a["seconds"] for a in answers) for divided, answers, _ in seen]
        ),
        max(a["seconds"] for a in one_by_one),
        sum(a["cpu_seconds"] for a in one_by_one),
        max(a["most_mib"] for _, answers, _ in seen for a in answers),
        round(median([v - pages + parts for v in vertex])),
        pages,
        round(median([c["ListTimeSeries"] for c in calls])),
        round(median([s["calls"] for s in stores])),
        round(median([s["documents read"] for s in stores])),
        round(median([s["documents written"] for s in stores])),
        loop,
    )


def _peers(prototype: Prototype, number: int, rps: float, folder: Path) -> Peers:
    with tempfile.TemporaryDirectory(dir=folder) as own, servers(prototype, number, rps, Path(own)) as google:
        now = prototype.now.timestamp() + 60
        google.ask(now=now, minutes=[now // 60 * 60 - 60 * LAG])
        environment = environment_of(google, {}, Path(own) / "peers.log")
        arguments = (str(number), str(int(now)), prototype.stable, prototype.candidate)
        with Asked("bench.scale.peers", *arguments, environment=environment) as asked:
            return Peers(number, asked.said["calls"], asked.said["refused"], asked.said["seconds"])


def _recover(prototype: Prototype, number: int, rps: float, pause: int, folder: Path) -> Recovery:
    with tempfile.TemporaryDirectory(dir=folder) as own, ExitStack() as stack:
        place = stack.enter_context(store("sqlite", Path(own)))
        fill(place, prototype, number)
        google = stack.enter_context(servers(prototype, number, rps, Path(own), (READ, WRITE)))
        environment = environment_of(google, place, Path(own) / "functions.log")
        ticker = stack.enter_context(Asked("bench.scale.ticker", str(STORE), environment=environment))
        begin = prototype.now.timestamp() // 60 * 60
        now = begin + 60 * pause
        google.ask(now=now, minutes=[begin + 60 * minute for minute in range(-LAG, pause - LAG + 1)])
        seconds, answers = [], []
        while True:
            spent = Counter(google.ask()["calls"])
            answers.append(ticker.ask(now=now))
            read = (Counter(google.ask()["calls"]) - spent)["ListTimeSeries"]
            seconds.append(answers[-1]["seconds"])
            if not read:
                break
            if len(answers) > pause:
                raise BenchError(
                    f"after {len(answers)} ticks at once there is still something to read: {_last_warning(own)}"
                )
        return Recovery(number, pause, len(answers) - 1, max(seconds), max(a["most_mib"] for a in answers))


def _last_warning(folder: str) -> str:
    lines = [json.loads(line) for line in (Path(folder) / "functions.log").read_text().splitlines() if line[:1] == "{"]
    said = [line["message"] for line in lines if line["severity"] != "INFO"]
    return said[-1] if said else "nothing was warned of"


def _progress(what: str) -> None:
    print(f"scale: {what} ...", file=sys.stderr, flush=True)


def show(results: Results) -> str:
    """The tables."""
    about = (
        "rollouts",
        "requests/s",
        "store",
        "ticks at once",
        "seconds",
        "one by one",
        "CPU s",
        "CPU ms per rollout",
        "MiB",
    )
    head = (*about, "fixed loop s", "Vertex AI", "pages", "Monitoring", "store calls", "documents read", "written")
    rows = [_row(g, results.rps) for g in results.growth]
    if results.busy:
        rows.append(_row(results.busy, results.busy_rps))
    peers = [(f"{p.rollouts:,}", f"{p.calls:,}", f"{p.refused:,}", f"{p.seconds:.1f}") for p in results.peers]
    flat = results.flat
    parts = [
        "one tick; every endpoint has so many requests per second, a tenth of them for the candidate",
        table(head, rows, frozenset({2})),
        *_shards(results),
        *([_flatness(flat)] if flat else []),
        table(("one query per rollout and metric", "calls", "refused by quota", "seconds without delays"), peers),
    ]
    if r := results.recovery:
        when = f"after {r.minutes} minutes without ticks, {r.rollouts} rollouts"
        parts.append(f"{when}: all judged after {r.ticks} tick(s), the longest {r.seconds:.1f} s, {r.mib:.0f} MiB")
    return "\n\n".join([*parts, *results.skipped])


def _row(g: Growth, rps: float) -> tuple[str, ...]:
    return (
        f"{g.rollouts:,}",
        f"{rps:g}",
        g.store,
        str(g.ticks),
        f"{g.seconds:.2f}",
        f"{g.alone_seconds:.2f}",
        f"{g.cpu_seconds:.2f}",
        f"{g.cpu_seconds / g.rollouts * 1000:.1f}",
        f"{g.mib:.0f}",
        f"{g.loop_seconds:.2f}",
        str(g.vertex),
        str(g.pages),
        str(g.monitoring),
        str(g.reads),
        f"{g.documents:,}",
        str(g.writes),
    )


def _flatness(flat: Flatness) -> str:
    return (
        f"in turns, without delays: {flat.cpu_seconds * 1000:.2f} ms of CPU per rollout among {flat.rollouts:,}, "
        f"{flat.few_cpu_seconds * 1000:.2f} ms among {flat.few}: {flat.cpu_seconds / flat.few_cpu_seconds:.2f} times"
    )


def _shards(results: Results) -> list[str]:
    """How many ticks at once so many rollouts need, with much traffic."""
    busy = results.busy
    if busy is None:
        return []
    per_rollout = busy.cpu_seconds / busy.rollouts
    said = f"at {results.busy_rps:g} requests per second each: {per_rollout * 1000:.1f} ms of CPU per rollout"
    same = [g for g in results.growth if g.store == "sqlite" and g.rollouts == busy.rollouts]
    if same:
        said += f", {per_rollout / (same[0].cpu_seconds / same[0].rollouts):.2f} times those at {results.rps:g}"
    parts = -(-10_000 // MOST)
    said += f". A tick is divided above {MOST:,} rollouts, so 10,000 are {parts} shards of {10_000 / parts * per_rollout:.0f} s of CPU"
    return [f"{said}; {TICK_SECONDS} s for each need {math.ceil(10_000 * per_rollout / TICK_SECONDS)}"]


def as_json(results: Results) -> Any:
    """The same for programs."""
    return asdict(results)
