"""``make demo``: a scenario on this machine, on compressed time, with real predictions flowing all the while.

Without ``--scenario`` the whole lifecycle: v1 takes the endpoint; v2 is good and walks up to all traffic; v3 fails and spends too many tokens
and is rolled back at 10 %; v4 is promoted, then degrades, and an incident of Cloud Monitoring gives its traffic to the fallback.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

from local import scenarios
from local.interruption import interrupted_once
from local.outcomes import Outcome
from local.screen import Screen
from local.story import StoryError
from local.summary import show_what_is_left

RATE = 125.0
"""Compressed seconds per second: a deployment's ten minutes are five seconds."""
REQUESTS_PER_SECOND = 130.0
BUSY = 2.0
"""Processes that want to run, by processor, beyond what a demo needs by itself."""
INTERRUPTED = 130
"""The exit code that a shell gives to what Ctrl-C ended."""


def main() -> int:
    """Run it; 0 when every outcome was as expected."""
    known = "\n".join(f"  {name:<12} {scenarios.about(name)}" for name in scenarios.names())
    parser = argparse.ArgumentParser(
        prog="python -m local.demo",
        description=__doc__,
        epilog=f"scenarios:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--scenario",
        choices=scenarios.names(),
        default=os.environ.get("SCENARIO") or scenarios.DEFAULT,
        metavar="NAME",
        help=f"one of those below; without it {scenarios.DEFAULT}",
    )
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "1")), help="another run of luck")
    parser.add_argument("--rate", type=float, default=RATE, help="compressed seconds per second")
    parser.add_argument("--rps", type=float, default=REQUESTS_PER_SECOND, help="real predictions per second")
    parser.add_argument("--folder", type=Path, default=Path(".run/demo"), help="store, logs, artifacts; emptied first")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        with interrupted_once():
            return _play(options, began)
    except KeyboardInterrupt:
        took = time.monotonic() - began
        print(
            f"\ndemo: interrupted after {took:.0f} s; everything was stopped. The logs are in {options.folder / 'logs'}."
        )
        return INTERRUPTED


def _play(options: argparse.Namespace, began: float) -> int:
    print("Starting Vertex AI, Pub/Sub and the functions on this machine ...", flush=True)
    screen = Screen(sys.stdout)
    setting = scenarios.Setting(options.folder, options.seed, options.rate, options.rps, screen)
    story = scenarios.make(options.scenario, setting)
    try:
        story.run()
    except StoryError as exc:
        print(f"The story stopped: {exc}\nThe logs are in {options.folder / 'logs'}.", file=sys.stderr)
    finally:
        screen.stop()
    outcomes = story.outcomes()
    story.show(sys.stdout, timedelta(seconds=time.monotonic() - began))
    show_what_is_left(sys.stdout, options.folder, story.model)
    return _conclude(outcomes)


def _conclude(outcomes: list[Outcome]) -> int:
    good = sum(outcome.is_met for outcome in outcomes)
    print(f"demo: {good} of {len(outcomes)} outcomes as expected")
    if good == len(outcomes):
        return 0
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load > BUSY * processors:
        print(
            f"This machine is busy with other things (load {load:.1f}, {processors} processors). Latencies are real here and are judged, so a sound"
            " version can be taken back for one: the lines above say so. Try again when it is idle (docs/local-system.md)."
        )
    return 1


if __name__ == "__main__":
    sys.exit(main())
