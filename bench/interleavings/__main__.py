"""Play the state machine for as many steps as are asked for, and keep what was seen.

``python -m bench.interleavings --steps 200000 --out docs/interleavings.json``
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.interleavings.running import Ran, run

SECONDS = 60
"""Between two lines that say how far it is."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show and keep; 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.interleavings", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=200_000, help="at least (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another run of luck (%(default)s)")
    parser.add_argument(
        "--no-shrink", action="store_true", help="show the first steps that break something as they are"
    )
    parser.add_argument("--go-on", action="store_true", help="after something is broken, too")
    parser.add_argument("--out", default="", help="where the numbers are kept, after every seed; nowhere by default")
    options = parser.parse_args(arguments)

    told, shown_of = 0.0, 0

    def tell(ran: Ran) -> None:
        nonlocal told, shown_of
        if options.out:
            Path(options.out).write_text(json.dumps(as_json(ran, options.seed), indent=1) + "\n", encoding="utf-8")
        print(ran.broken[shown_of:], end="", file=sys.__stderr__, flush=True)
        shown_of = len(ran.broken)
        if ran.seconds - told >= SECONDS:
            told = ran.seconds
            line = f"interleavings: {ran.steps.total():,} steps of {ran.seeds} seeds in {told:.0f} s"
            print(line, file=sys.__stderr__, flush=True)

    ran = run(options.steps, options.seed, shrink=not options.no_shrink, go_on=options.go_on, tell=tell)
    shown = as_json(ran, options.seed)
    print(json.dumps(shown, indent=1))
    return 1 if ran.broken else 0


def as_json(ran: Ran, seed: int) -> dict[str, Any]:
    """What is kept."""
    return {
        "on": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "seed": seed,
        "steps": ran.steps.total(),
        "seeds": ran.seeds,
        "seconds": round(ran.seconds),
        "rollouts": dict(ran.ends.most_common()),
        "by_kind": dict(ran.steps.most_common()),
        "broken": [line for line in ran.broken.splitlines() if line.startswith("seed ")],
    }


if __name__ == "__main__":
    sys.exit(main())
