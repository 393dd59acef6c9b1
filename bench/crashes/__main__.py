"""Kill the handler before and after every outgoing call of every flow, alone and in pairs, and let each call fail in every other way.

``python -m bench.crashes`` plays every flow once without a fault, which tells what can go wrong, and then once for each single thing that
can, and for each pair of deaths. It prints how many came to the end of the undisturbed run, and keeps the numbers of each flow, as soon as
it is done, in docs/crashes.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path

from bench.crashes.flows import FLOWS
from bench.crashes.report import as_json, keep, show
from bench.crashes.work import work


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show and keep; 1 where something did not converge."""
    options = _options(arguments)
    names = options.flow or [one.name for one in FLOWS]
    began, found = time.monotonic(), []
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(work, name, options.share, options.pairs, options.seed) for name in names]
        for done in as_completed(running):
            found.append(done.result())
            if options.out:
                keep(Path(options.out), found[-1:], datetime.now(UTC))
            print(f"crashes: {found[-1].progress}, done ({len(found)} of {len(names)} flows)", file=sys.stderr)
    found.sort(key=lambda played: names.index(played.flow))
    seconds = time.monotonic() - began
    print(json.dumps(as_json(found), indent=2) if options.json else show(found))
    wrong = [text for played in found for text in played.wrong]
    for text in wrong:
        print(text, file=sys.stderr)
    if options.out:
        print(f"kept after {seconds:.0f} s in {options.out}", file=sys.stderr)
    return 1 if wrong else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.crashes", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--flow", action="append", choices=[one.name for one in FLOWS], help="only this flow; repeatable"
    )
    parser.add_argument("--share", type=float, default=1.0, help="which share of the singles is played (%(default)s)")
    parser.add_argument("--pairs", type=float, default=1.0, help="which share of the pairs (%(default)s; 0 for none)")
    parser.add_argument("--seed", type=int, default=1, help="which ones, where it is a share (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--out", default="docs/crashes.json", help="where the numbers are kept; '' for nowhere (%(default)s)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
