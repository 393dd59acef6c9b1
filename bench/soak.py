"""The soak: hundreds of whole rollouts by evidence, through the real functions, clients and local servers, a minute at a time.

``python -m bench.soak`` plays equal candidates and bad ones, many endpoints at once, and counts how they end: how often a good version is
taken back, how often a bad one gets all the traffic, beside what the policy promises. What is served is drawn at random per minute; everything
between that and the outcome is the product: Cloud Monitoring's lag and aggregation, evidence, hints, alerts, traffic writes.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.soak_cloud import SoakCloud, TickCost
from bench.soak_report import as_json, document, show
from bench.soak_trials import EQUAL, KINDS, Soak, Trial
from bench.trial import BenchError

BAD = [kind for kind in KINDS if kind != EQUAL]


@dataclass(frozen=True)
class Settings:
    """How many of what."""

    good: int = 500
    bad: int = 100
    at_once: int = 50
    """Endpoints, each with one trial at a time."""
    seed: int = 1


@dataclass(frozen=True)
class Outcome:
    """What was seen."""

    settings: Settings
    trials: tuple[Trial, ...]
    ticks: tuple[TickCost, ...]
    refused: int
    dead_letters: int
    seconds: float
    cpu_seconds: float
    on: datetime


def plan_trials(settings: Settings) -> list[Trial]:
    """Good and bad in a random order, so that each follows each."""
    kinds = [EQUAL] * settings.good + [BAD[at % len(BAD)] for at in range(settings.bad)]
    random.Random(settings.seed).shuffle(kinds)
    return [Trial(number, kind) for number, kind in enumerate(kinds)]


def run(settings: Settings, folder: Path, progress: Callable[[int, Soak], None] = lambda minute, soak: None) -> Outcome:
    """Play all trials to their ends."""
    began, cpu = time.monotonic(), time.process_time()
    with SoakCloud.running(folder) as cloud:
        soak = Soak(cloud, plan_trials(settings), settings.at_once, settings.seed)
        for minute in soak.minutes():
            progress(minute, soak)
        dead = len(cloud.dead_letters())
        refused = cloud.refused
    spent = time.monotonic() - began, time.process_time() - cpu
    return Outcome(settings, tuple(soak.trials), tuple(soak.ticks), refused, dead, *spent, datetime.now(UTC))


class Progress:
    """A line now and then on standard error, with the time that is probably left."""

    def __init__(self, every: float = 10.0) -> None:
        self._every = every
        self._out = sys.stderr  # while the soak runs, what goes to standard error is the functions' and is kept apart
        self._began = self._told = time.monotonic()

    def __call__(self, minute: int, soak: Soak) -> None:
        now = time.monotonic()
        if now - self._told < self._every:
            return
        self._told = now
        ended, total = len(soak.ended), len(soak.trials)
        left = (
            f"about {(now - self._began) * (total - ended) / ended / 60:.0f} min left" if ended else "time left unknown"
        )
        ends = {end: sum(t.end == end for t in soak.ended) for end in sorted({t.end for t in soak.ended})}
        counts = ", ".join(f"{n} {end}" for end, n in ends.items()) or "none has ended"
        print(f"soak: minute {minute}, {ended} of {total} ended ({counts}), {left}", file=self._out, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show and write; 1 when the soak itself broke."""
    options = _options(arguments)
    settings = Settings(options.good, options.bad, options.at_once, options.seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        try:
            outcome = run(settings, Path(folder), Progress())
        except BenchError as exc:
            log = (Path(folder) / "functions.log").read_text(errors="replace").splitlines()
            print("\n".join([*log[-20:], f"bench soak: {exc}"]), file=sys.stderr)
            return 1
    print(show(outcome))
    if options.out:
        out = Path(options.out)
        out.write_text(document(outcome))
        out.with_suffix(".json").write_text(json.dumps(as_json(outcome), indent=2) + "\n")
        print(f"written to {out} and {out.with_suffix('.json')}", file=sys.stderr)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--good", type=int, default=defaults.good, help="equal candidates (%(default)s)")
    parser.add_argument("--bad", type=int, default=defaults.bad, help="bad candidates, of three kinds (%(default)s)")
    parser.add_argument("--at-once", type=int, default=defaults.at_once, help="endpoints (%(default)s)")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--out", default="docs/soak.md", help="where the result is kept; '' for nowhere (%(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
