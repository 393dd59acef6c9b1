"""The function ``assess_rollouts`` in a process of its own, woken by lines of JSON: ``python -m bench.scale.ticker DELAY``.

Each line says what time it is; the answer, one line of JSON, says how long the tick took, what it asked of the store, and the most memory
that the process has had. The servers are found by the environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

from bench.scale.counted import CountedDocuments
from local.function_loader import FunctionLoader
from local.pubsub.message import Message, push_body
from local.stepped import FUNCTIONS, PROJECT
from shared import topics
from shared.events.schedule import Tick, tick_message
from shared.store.store import Store
from shared.wiring import world

NAME = "assess_rollouts"


def _most_mib() -> float:
    """The most memory that this process has had. ``ru_maxrss`` would begin with its parent's."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def _same(now: datetime) -> datetime:
    return now


def main() -> None:
    """Tick until standard input ends."""
    with Path(os.environ["TICK_LOG"]).open("a") as log:
        _tick(log)


def _tick(log: IO[str]) -> None:
    app: Any = FunctionLoader().app(NAME, FUNCTIONS / NAME)
    client = app.test_client()
    here = world()
    documents = CountedDocuments(here.store._documents, float(sys.argv[1]))
    here.store = Store(documents)
    out = sys.stdout
    print(json.dumps({"ready": True}), file=out, flush=True)
    for number, line in enumerate(sys.stdin):
        asked = json.loads(line)
        now = datetime.fromtimestamp(asked["now"], UTC)
        here.now = partial(_same, now)
        tick = Tick(NAME, **asked.get("tick", {}))
        message = Message(f"t{number}", now, tick_message(tick), {})
        body = push_body(message, f"projects/{PROJECT}/subscriptions/x", None)
        documents.counts.clear()
        began, cpu = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            answer = client.post(
                f"/projects/{PROJECT}/topics/{topics.SCHEDULE}", data=body, content_type="application/json"
            )
        found = {
            "status": answer.status_code,
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu,
            "most_mib": _most_mib(),
            "store": dict(documents.counts),
        }
        print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    main()
