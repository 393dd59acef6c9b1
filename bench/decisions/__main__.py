"""``python -m bench.decisions [--quick]``: the comparison, in one run with progress; writes docs/decisions.md and docs/decisions.svg."""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from bench.decisions.controller import PROMISES, SCENARIOS, Account, RolloutTask, account, run_rollouts
from bench.decisions.detection import DEGRADATIONS, NULLS, Task, as_json, run_task, summary
from bench.decisions.picture import picture
from bench.decisions.report import Results, document

FULL, QUICK = (2_000, 400, 300, 2_000), (30, 20, 15, 50)
"""Runs a cell: false rollbacks, degradations, whole rollouts, whole rollouts of the engine alone."""
Found = dict[str, list[Any]]
"""By judge, how its runs ended."""
_Task = TypeVar("_Task", Task, RolloutTask)
_CHUNK = 50
"""Runs of one task, so that no process is left with all the slow ones."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.decisions", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, and coarse; the result says so")
    parser.add_argument(
        "--runs", type=int, nargs=4, metavar=("T1", "T2", "T6", "ENGINE"), help=f"a cell; {FULL} by default"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--into", type=Path, default=Path(__file__).parents[2] / "docs", help="where to write")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON, beside what is written")
    options = parser.parse_args(arguments)
    runs = options.runs or (QUICK if options.quick else FULL)
    if min(runs) < 1 or options.workers < 1:
        parser.error("runs and workers must be at least 1")
    results = measure(runs, options.seed, options.workers, quick=options.quick)
    write(results, options.into)
    wrote = f"decisions: {results.seconds:.0f} s; wrote {options.into}/decisions.md and decisions.svg"
    print(json.dumps(_json(results), indent=1, ensure_ascii=False) if options.json else wrote)
    return 0


def measure(runs: Sequence[int], seed: int, workers: int, *, quick: bool) -> Results:
    """All tables, with progress on standard error."""
    began = time.monotonic()
    with ProcessPoolExecutor(workers) as pool:
        nulls, degradations = (
            {
                cell: {name: summary(cell, ended) for name, ended in found.items()}
                for cell, found in _gathered(
                    pool, title, run_task, [Task(c, at, n, seed) for c in cells for at, n in _chunks(count)]
                ).items()
            }
            for title, cells, count in (("false rollbacks", NULLS, runs[0]), ("degradations", DEGRADATIONS, runs[1]))
        )
        tasks = [RolloutTask(s, at, n, seed) for s in SCENARIOS for at, n in _chunks(runs[2])]
        rollouts = {
            scenario: {name: account(journeys) for name, journeys in found.items()}
            for scenario, found in _gathered(pool, "whole rollouts", run_rollouts, tasks).items()
        }
        tasks = [RolloutTask(s, at, n, seed, ("engine",)) for s in PROMISES for at, n in _chunks(runs[3])]
        kept = {
            scenario: account(found["engine"])
            for scenario, found in _gathered(pool, "the engine alone", run_rollouts, tasks).items()
        }
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime + used.ru_stime
    return Results(quick, seed, time.monotonic() - began, processor, workers, nulls, degradations, rollouts, kept)


def _chunks(runs: int) -> Iterator[tuple[int, int]]:
    for first in range(0, runs, _CHUNK):
        yield first, min(_CHUNK, runs - first)


def _gathered(
    pool: ProcessPoolExecutor, title: str, run: Callable[[_Task], tuple[_Task, Found]], tasks: Sequence[_Task]
) -> dict[Any, Found]:
    """By world, and by judge, what all of its tasks found; in the order of the tasks, whichever was done first."""
    done: dict[int, tuple[_Task, Found]] = {}
    futures = {pool.submit(run, task): number for number, task in enumerate(tasks)}
    for count, future in enumerate(as_completed(futures), 1):
        done[futures[future]] = future.result()
        _progress(title, count, len(tasks))
    gathered: dict[Any, Found] = {}
    for number in sorted(done):
        task, found = done[number]
        so_far = gathered.setdefault(task.world, {})
        for name, ended in found.items():
            so_far.setdefault(name, []).extend(ended)
    return gathered


def _progress(title: str, done: int, all_of_them: int) -> None:
    if sys.stderr.isatty():
        print(
            f"\r{title}: {done} of {all_of_them}", end="\n" if done == all_of_them else "", file=sys.stderr, flush=True
        )
    elif done == all_of_them or done % max(1, all_of_them // 4) == 0:
        print(f"{title}: {done} of {all_of_them}", file=sys.stderr, flush=True)


def _json(results: Results) -> dict[str, Any]:
    return {
        "quick": results.quick,
        "seed": results.seed,
        "false_rollbacks": [as_json(cell, found) for cell, found in results.nulls.items()],
        "degradations": [as_json(cell, found) for cell, found in results.degradations.items()],
        "rollouts": [
            {
                "scenario": scenario.name,
                "rps": scenario.rps,
                "controllers": {name: _account_json(one) for name, one in found.items()},
            }
            for scenario, found in results.rollouts.items()
        ],
        "engine": [{"scenario": scenario.name} | _account_json(one) for scenario, one in results.engine.items()],
    }


def _account_json(one: Account) -> dict[str, Any]:
    times = {"promote_ticks": one.promote_ticks, "roll_back_ticks": one.roll_back_ticks}
    return asdict(one) | {key: None if math.isnan(value[0]) else list(value) for key, value in times.items()}


def write(results: Results, into: Path) -> None:
    """The document and its picture."""
    (into / "decisions.md").write_text(document(results), encoding="utf-8")
    (into / "decisions.svg").write_text(picture(results), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
