"""Processes that are spoken to by lines of JSON, and what they stand on: servers, stores, environment."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from bench.scale.prototype import NAME, Prototype, likeness, many
from bench.trial import BenchError
from local.google_emulators import NotInstalled, start_firestore
from local.stepped import PROJECT
from shared.actions.assess import MOST, shard_of
from shared.rollout.evidence import EVIDENCE
from shared.store.documents import Create, Documents
from shared.store.evidence_pages import EvidencePages, Shard
from shared.store.sqlite import SQLiteDocuments
from shared.wiring import store_from_env

READ, WRITE, STORE = 0.080, 0.150, 0.020
"""Seconds that a call to Google takes from a function in the same region: reads, writes, the store."""


class Asked:
    """One process; a context manager. ``said`` is its first line."""

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise BenchError(f"{module} was started without pipes")
        self._in, self._out = self._process.stdin, self._process.stdout
        self.said = self._answer()

    def tell(self, **what: Any) -> None:
        """Say something, without waiting for the answer."""
        self._in.write(json.dumps(what) + "\n")
        self._in.flush()

    def hear(self) -> dict[str, Any]:
        """The answer to what was told first."""
        return self._answer()

    def ask(self, **what: Any) -> dict[str, Any]:
        """Say something, and wait for the answer."""
        self.tell(**what)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._out.readline()
        if not line:
            raise BenchError(f"{self._module} ended with {self._process.wait()}; what it said is above")
        found: dict[str, Any] = json.loads(line)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._in.close()
        self._out.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def servers(prototype: Prototype, number: int, rps: float, folder: Path, slow: Sequence[float] = ()) -> Iterator[Asked]:
    """Vertex AI, Cloud Monitoring and Pub/Sub with so many endpoints in a trial each."""
    given = {
        "now": prototype.now.isoformat(),
        "state": many(prototype, number),
        "arms": [prototype.stable, prototype.candidate],
        "names": [f"{NAME.format(n)}-serving" for n in range(1, number + 1)],
        "rps": rps,
        "slow": list(slow),
    }
    file = folder / "servers.json"
    file.write_text(json.dumps(given))
    with Asked("bench.scale.servers", str(file)) as asked:
        yield asked


def environment_of(asked: Asked, store: Mapping[str, str], log: Path) -> dict[str, str]:
    """What points a function at these servers and this store."""
    return {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "PUBSUB_EMULATOR_HOST": asked.said["pubsub"],
        "VERTEX_EMULATOR_HOST": asked.said["vertex"],
        "MONITORING_EMULATOR_HOST": asked.said["vertex"],
        "CLOCK_RATE": "200",  # back-off lasts milliseconds
        "CLOCK_ORIGIN": "0",
        "TICK_LOG": str(log),
        **store,
    }


@contextlib.contextmanager
def store(kind: str, folder: Path) -> Iterator[dict[str, str]]:
    """An empty store, as a function finds it; BenchError where Google's emulator is not installed."""
    if kind == "sqlite":
        yield {"STORE": "sqlite", "STORE_PATH": str(folder / "rollouts.db")}
        return
    with contextlib.ExitStack() as stack:
        started = start_firestore()
        if isinstance(started, NotInstalled):
            raise BenchError(started.reason)
        emulator = stack.enter_context(started)
        yield {"STORE": "firestore", emulator.variable: emulator.address}


def fill(place: Mapping[str, str], prototype: Prototype, number: int) -> None:
    """So many rollouts, with all that belongs to them."""
    with _documents(place) as documents:
        for n in range(1, number + 1):
            documents.commit([Create(c, likeness(i, n), likeness(b, n)) for c, i, b in prototype.documents])
        _fill_evidence(documents, prototype, number)


def _fill_evidence(documents: Documents, prototype: Prototype, number: int) -> None:
    """As the ticks so far have written it, in as many shards as a tick divides so many rollouts into."""
    pages = EvidencePages(documents)
    parts = max(1, -(-number // MOST))
    found = [EVIDENCE.validate_json(likeness(prototype.evidence, n)) for n in range(1, number + 1)]
    for part in range(parts):
        mine = {one.rollout: one for one in found if shard_of(one.rollout, parts) == part}
        places = pages.place(Shard(part, parts), list(mine), prototype.now)
        for page in pages.read(places, sorted(set(places.pages.values()))):
            pages.write(page, {rollout: mine[rollout] for rollout in page.rollouts})


@contextlib.contextmanager
def _documents(place: Mapping[str, str]) -> Iterator[Documents]:
    if place["STORE"] == "sqlite":
        with contextlib.closing(SQLiteDocuments(Path(place["STORE_PATH"]))) as documents:
            yield documents
        return
    before = dict(os.environ)
    os.environ.update(place)
    try:
        with contextlib.closing(store_from_env({**place, "GOOGLE_CLOUD_PROJECT": PROJECT})) as opened:
            yield opened._documents
    finally:
        os.environ.clear()
        os.environ.update(before)
