"""Announces a training run to the system that ``make up`` started: one message on the topic training-completed, as training code sends it.

run-2 and run-4 are good; run-3 fails and spends too many tokens. ``nonsense`` is a message that no function can use.
"""

from __future__ import annotations

import argparse
import os
import sys

from local.story import V1, V2, V3, V4
from local.training import announce, publish
from shared import topics

RUNS = {run.id: run for run in (V1, V2, V3, V4)}
NONSENSE = b'{"schema": "training-completed/v9"}'
EXAMPLE = "arr-coc-relevance"


def main() -> int:
    """0 when it was published."""
    parser = argparse.ArgumentParser(prog="python -m local.announce", description=__doc__)
    parser.add_argument("run", choices=[*RUNS, "nonsense"], help="which one")
    parser.add_argument("--times", type=int, default=1, help="for a publisher that repeats itself")
    options = parser.parse_args()
    address, project = os.environ.get("PUBSUB_EMULATOR_HOST"), os.environ.get("GOOGLE_CLOUD_PROJECT")
    if not address or not project:
        print(
            "PUBSUB_EMULATOR_HOST and GOOGLE_CLOUD_PROJECT are not set: `make up` prints the line that sets them",
            file=sys.stderr,
        )
        return 1
    if options.run == "nonsense":
        publish(address, project, topics.TRAINING_COMPLETED, NONSENSE, options.times)
    else:
        announce(address, project, RUNS[options.run], EXAMPLE, options.times)
    shown_by = "rollouts dead-letters list" if options.run == "nonsense" else "rollouts list"
    print(f"announced {options.run} on {topics.TRAINING_COMPLETED}; `{shown_by}` shows what becomes of it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
