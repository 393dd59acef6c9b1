"""The plots of docs/evidence-explained.md, from the engine that judges rollouts: ``python -m docs.plots`` (half a minute, seeded)."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random

from docs.drawing import Axis, Limit, Line, plot
from shared.rollout.statistics import plan
from shared.rollout.statistics.process import e_value, update
from shared.rollout.statistics.tables import Table, harm, no_harm

FOLDER = Path(__file__).parent / "pictures"
STABLE, CANDIDATE = 540, 60
"""Requests a minute: ten a second, a tenth of them to the candidate."""
Z_ONE_PERCENT = 2.326
"""The z of one chance in a hundred, one-sided."""


def main() -> int:
    """Draw all of them anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in PLOTS.items():
        (FOLDER / f"{name}.svg").write_text(draw(), encoding="utf-8")
        print(f"wrote docs/pictures/{name}.svg")
    return 0


def tables(random: Random, minutes: int, stable: float, candidate: float, onset: int = 0) -> Iterator[Table]:
    """What both arms serve, minute by minute; the candidate is as the stable until ``onset``."""
    for minute in range(minutes):
        share = candidate if minute >= onset else stable
        yield Table(STABLE, _bad(random, STABLE, stable), CANDIDATE, _bad(random, CANDIDATE, share))


def _bad(random: Random, requests: int, share: float) -> int:
    return sum(random.random() < share for _ in range(requests))


def looks(runs: int = 150, minutes: int = 240) -> tuple[list[float], list[float]]:
    """Percent of equal candidates that were taken back by each minute: by a z-test asked every minute, and by our evidence."""
    by_z, by_evidence = [0] * minutes, [0] * minutes
    test = harm()
    for run in range(runs):
        process, seen, z_fired, e_fired = test.begin(), Table(0, 0, 0, 0), False, False
        for minute, table in enumerate(tables(Random(run), minutes, 0.01, 0.01)):
            seen = Table(*(a + b for a, b in zip(seen, table, strict=True)))
            process = update(process, test.log_ratios(table))
            z_fired = z_fired or _z(seen) > Z_ONE_PERCENT
            e_fired = e_fired or e_value(process) >= 100
            by_z[minute] += z_fired
            by_evidence[minute] += e_fired
    return [100 * n / runs for n in by_z], [100 * n / runs for n in by_evidence]


def _z(seen: Table) -> float:
    """The textbook comparison of two shares."""
    pooled = seen.bad / (seen.stable + seen.candidate)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / seen.stable + 1 / seen.candidate))
    return (seen.candidate_bad / seen.candidate - seen.stable_bad / seen.stable) / spread if spread else 0.0


def _looks() -> str:
    by_z, by_evidence = looks()
    minutes = range(1, len(by_z) + 1)
    return plot(
        "Equal candidates that are taken back, by how long one has looked",
        Axis(0, 240, (0, 60, 120, 180, 240), "minutes, one look each"),
        Axis(0, 30, (0, 10, 20, 30), "% of candidates"),
        [
            Line(list(zip(minutes, by_z, strict=True)), "b", f"z-test: {by_z[-1]:.0f} %"),
            Line(list(zip(minutes, by_evidence, strict=True)), "a", f"evidence: {by_evidence[-1]:.1f} %"),
        ],
        [Limit(1, "")],
        f"A z-test at one percent that is asked every minute takes back {by_z[-1]:.0f} percent of the candidates that are as good as "
        f"the stable within four hours; the evidence of this project {by_evidence[-1]:.1f} percent.",
    )


def evidence(
    stable: float, candidate: float, seed: int, minutes: int = 120, onset: int = 0
) -> list[tuple[float, float]]:
    """The evidence of harm of one candidate, minute by minute."""
    test = harm(1.2)
    process, found = test.begin(), []
    for minute, table in enumerate(tables(Random(seed), minutes, stable, candidate, onset), start=1):
        process = update(process, test.log_ratios(table))
        found.append((float(minute), e_value(process)))
    return found


def _grows() -> str:
    calm = [evidence(0.01, 0.01, seed) for seed in range(12)]
    bad, late = evidence(0.01, 0.04, 5), evidence(0.01, 0.04, 3, onset=60)
    return plot(
        "Evidence of harm: what a bad candidate does, and what an equal one does",
        Axis(0, 120, (0, 30, 60, 90, 120), "minutes"),
        Axis(0.02, 1000, (0.1, 1, 10, 100, 1000), "evidence", log=True),
        [
            *(Line(points, "a", "", "thin") for points in calm[:-1]),
            Line(calm[-1], "a", "12 equal ones"),
            Line(_until(bad, 1000), "b", "errors 1 → 4 %"),
            Line(_until(late, 1000), "d", "4 % from minute 60"),
        ],
        [Limit(100, "rolled back at 100"), Limit(1, "says nothing")],
        "Twelve equal candidates stay below one for two hours. A candidate with four times the errors crosses one hundred within minutes, "
        "and so does one that turns bad after an hour.",
    )


def _until(points: list[tuple[float, float]], most: float) -> list[tuple[float, float]]:
    """Up to the first that is at least so much."""
    end = next((i for i, (_, value) in enumerate(points) if value >= most), len(points) - 1)
    return points[: end + 1]


def _both() -> str:
    test_harm, test_none = harm(1.1), no_harm(1.5)
    process_harm, process_none = test_harm.begin(), test_none.begin()
    against, for_it = [], []
    for minute, table in enumerate(tables(Random(11), 240, 0.02, 0.02), start=1):
        process_harm = update(process_harm, test_harm.log_ratios(table))
        process_none = update(process_none, test_none.log_ratios(table))
        against.append((float(minute), e_value(process_harm)))
        for_it.append((float(minute), e_value(process_none)))
    reached = next(minute for minute, value in for_it if value >= 20)
    return plot(
        f"Two questions about one good candidate: it may go on after {reached:.0f} minutes",
        Axis(0, 240, (0, 60, 120, 180, 240), "minutes"),
        Axis(0.02, 1000, (0.1, 1, 10, 100, 1000), "evidence", log=True),
        [Line(_until(for_it, 900), "c", "of no harm"), Line(against, "b", "of harm")],
        [Limit(100, "rolled back at 100"), Limit(20, "goes on at 20")],
        f"The evidence of no harm beyond 1.5 times the stable's errors reaches twenty after {reached:.0f} minutes; the evidence of harm "
        "stays below one.",
    )


def found_after(rps: float, times: float) -> float:
    """Minutes until harm of so many times the stable's odds is found, at a tenth of the traffic and 1 % errors."""
    return plan.seconds_for(plan.requests_to_roll_back(0.01, times, 0.1), rps, 0.1) / 60


def _traffic() -> str:
    rates = [1.5 * 1.25**i for i in range(25)]
    kinds = [(10.0, "a", "10 times"), (5.0, "c", "5 times"), (3.0, "d", "3 times"), (2.0, "b", "twice")]
    lines = [
        Line([(rps, found_after(rps, times)) for rps in rates], colour, f"{name} the errors", at_start=True)
        for times, colour, name in kinds
    ]
    slow, fast = found_after(10, 2), found_after(10, 10)
    return plot(
        "How soon harm is found, by traffic (1 % errors, 10 % of the traffic)",
        Axis(1, 300, (1, 3, 10, 30, 100, 300), "requests per second, on the whole endpoint", log=True),
        Axis(1, 1000, (1, 3, 10, 30, 100, 300, 1000), "minutes, in the median", log=True),
        lines,
        about=f"With ten requests a second twice the errors are found after {slow:.0f} minutes and ten times the errors after {fast:.0f}; "
        "with a hundred both are found within minutes.",
    )


PLOTS: Mapping[str, Callable[[], str]] = {
    "looks": _looks,
    "evidence-grows": _grows,
    "both-questions": _both,
    "traffic": _traffic,
}


if __name__ == "__main__":
    sys.exit(main())
