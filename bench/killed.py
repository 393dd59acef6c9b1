"""The demo's whole lifecycle while the functions' process is killed every few seconds: the end is the same.

``python -m bench.killed`` plays the scenario as ``make demo`` does, with real predictions, metrics, alert policies and webhooks, and ends the
process of all functions with SIGKILL again and again, in the middle of whatever they do. It starts anew at the same address each time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.cloud import LocalCloud, Settings
from local.google_emulators import free_port
from local.outcomes import judge_outcomes
from local.process import Part
from local.story import Look, Story, StoryError


class KilledCloud(LocalCloud):
    """A local cloud whose functions do not live long."""

    def __init__(self, settings: Settings, every: float, seed: int) -> None:
        super().__init__(settings)
        self.kills = 0
        self._every, self._draw = every, random.Random(seed)
        self._stopping = threading.Event()
        self._port = free_port()

    def _serve_functions(self) -> Callable[[str], str]:
        self._part = self._begin()
        killer = threading.Thread(target=self._kill_on, name="killer", daemon=True)
        self._stack.callback(self._end)
        self._stack.callback(killer.join)
        self._stack.callback(self._stopping.set)
        killer.start()
        return lambda function: f"{self._part.address}/{function}"

    def _end(self) -> None:
        self._part.stop()

    def _begin(self) -> Part:
        arguments = ("local.functions", "--port", str(self._port))
        part = Part(f"functions-{self.kills}", arguments, self.environment, self.settings.folder / "logs")
        self._set(FUNCTIONS_URL=part.start(timeout=120).address)
        return part

    def _kill_on(self) -> None:
        while not self._stopping.wait(self._every * self._draw.uniform(0.5, 1.5)):
            self._part.kill()
            self.kills += 1
            self._part = self._begin()


class Silent:
    """Nobody watches."""

    def start(self, look: Callable[[], Look]) -> None:
        """Nothing to show."""

    def chapter(self, title: str) -> None:
        print(f"killed: {title}", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Nothing was shown."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play it once; 1 where something is not as it would have been."""
    parser = argparse.ArgumentParser(prog="python -m bench.killed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--every", type=float, default=12.0, help="seconds from a start to the next kill, on average")
    parser.add_argument("--rate", type=float, default=15.0, help="compressed seconds per second (%(default)s)")
    parser.add_argument("--rps", type=float, default=20.0, help="real predictions per second (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="", help="where the numbers are kept; nowhere by default")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="killed-") as folder:
        story = Story(Path(folder), options.seed, options.rate, options.rps, Silent())
        cloud = story.cloud = KilledCloud(story.cloud.settings, options.every, options.seed)
        stopped = ""
        try:
            story.run()
        except StoryError as exc:
            stopped = str(exc)
        outcomes = judge_outcomes(story.facts())
    found: dict[str, Any] = {
        "on": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "seed": options.seed,
        "seconds": round(time.monotonic() - began),
        "kills": cloud.kills,
        "stopped": stopped,
        "outcomes": [{"expected": o.expected, "found": o.found, "is_met": o.is_met} for o in outcomes],
    }
    print(json.dumps(found, indent=1))
    if options.out:
        Path(options.out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if stopped or not all(o.is_met for o in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
