"""Kill the handler before and after every outgoing call of every flow, alone and in pairs, and let each call fail in every other way.

``python -m bench.crashes`` plays every flow once without a fault, which tells what can go wrong, and then once for each single thing that
can, and for each pair of deaths. It prints how many came to the end of the undisturbed run, and keeps the numbers in docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.crashes.cases import Outcome, Player
from bench.crashes.flows import FLOWS, Flow, flow
from bench.crashes.plant import Plant
from bench.crashes.report import Played, as_json, keep, show


@contextmanager
def player() -> Iterator[Player]:
    """A player on a cloud of its own, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="crashes-") as folder, Plant.running(Path(folder)) as plant:
        yield Player(plant)


def play_flow(played: Player, one: Flow, share: float, pairs: float, seed: int, out: float = 30.0) -> Played:
    """All singles of a flow, or a seeded share of them, and the same of the pairs; a line now and then on standard error."""
    began, told = time.monotonic(), time.monotonic()
    draw = random.Random(f"{seed}/{one.name}")
    points = played.undisturbed(one).points()
    chosen = [p for p in points if draw.random() < share]
    found = Played(one.name, len(points))

    def note(outcome: Outcome, *, is_pair: bool) -> None:
        nonlocal told
        found.add(outcome, is_pair=is_pair)
        if time.monotonic() - told > out:
            told = time.monotonic()
            print(f"crashes: {found.progress} ({told - began:.0f} s)", file=sys.__stderr__, flush=True)

    firsts = []
    for point in chosen:
        outcome = played.play(one, point)
        note(outcome, is_pair=False)
        if point.fault.kills:
            firsts.append(outcome)
    for pair in played.pairs(one, firsts, lambda: draw.random() < pairs):
        if isinstance(pair, int):
            found.same_state += pair
        else:
            note(pair, is_pair=True)
    found.seconds = time.monotonic() - began
    return found


def _work(name: str, share: float, pairs: float, seed: int) -> Played:
    with player() as played:
        return play_flow(played, flow(name), share, pairs, seed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show and keep; 1 where something did not converge."""
    options = _options(arguments)
    names = options.flow or [one.name for one in FLOWS]
    began, found = time.monotonic(), []
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(_work, name, options.share, options.pairs, options.seed) for name in names]
        for done in as_completed(running):
            found.append(done.result())
            print(f"crashes: {found[-1].progress}, done ({len(found)} of {len(names)} flows)", file=sys.stderr)
    found.sort(key=lambda played: names.index(played.flow))
    seconds = time.monotonic() - began
    print(json.dumps(as_json(found), indent=2) if options.json else show(found))
    wrong = [text for played in found for text in played.wrong]
    for text in wrong:
        print(text, file=sys.stderr)
    if options.out:
        command = " ".join(["python -m bench.crashes", *(arguments if arguments is not None else sys.argv[1:])])
        keep(Path(options.out), found, command, seconds, datetime.now(UTC))
        print(f"kept in {options.out}", file=sys.stderr)
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
        "--out", default="docs/reliability.md", help="where the numbers are kept; '' for nowhere (%(default)s)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
