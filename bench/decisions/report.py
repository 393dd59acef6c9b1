"""The measurements as a document: tables, what they mean, and how they were made."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bench.decisions.controller import BAKE, LONGEST, Account
from bench.decisions.detection import Summary
from bench.decisions.worlds import TICKS, Cell, Scenario
from bench.rates import Rate

_HARM, _NO_HARM = 0.01, 0.05
"""With which probability the engine may be wrong, as the policy has it by default."""


@dataclass(frozen=True)
class Results:
    """All that was measured."""

    quick: bool
    seed: int
    seconds: float
    processor: float
    """Seconds of processor time, of all processes together."""
    workers: int
    nulls: Mapping[Cell, Mapping[str, Summary]]
    degradations: Mapping[Cell, Mapping[str, Summary]]
    rollouts: Mapping[Scenario, Mapping[str, Account]]
    engine: Mapping[Scenario, Account]


def document(results: Results) -> str:
    """docs/decisions.md."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Results) -> Iterator[str]:
    runs = {"T1": _runs(results.nulls), "T2": _runs(results.degradations), "T6": _runs(results.rollouts)}
    yield "# How well rollouts are decided"
    yield ""
    yield (
        "The engine that judges rollouts beside what other systems do, in seeded worlds: minutes of requests, a candidate that is equal or"
        " worse, base rates that drift, traffic that moves. Written by `python -m bench.decisions`, not by hand."
    )
    yield ""
    if results.quick:
        yield (
            f"**This is the result of `--quick`: {runs['T1']} runs a cell, {runs['T2']} and {runs['T6']} in the other tables. It shows the"
            " differences between judges, not the decimals: one run of a cell is"
            f" {100 / runs['T1']:.3g} %. The full bench (without `--quick`) takes 2,000 runs a cell.**"
        )
        yield ""
    yield "![False rollbacks and delays, by judge](decisions.svg)"
    yield ""
    yield from _false_rollbacks(results.nulls)
    yield from _degradations(results.degradations)
    yield from _rollouts(results.rollouts)
    yield from _promises(results.engine)
    yield from _how(results, runs)


def _runs(worlds: Mapping[Any, Mapping[str, Summary | Account]]) -> int:
    return next(one.runs for found in worlds.values() for one in found.values())


def _false_rollbacks(nulls: Mapping[Cell, Mapping[str, Summary]]) -> Iterator[str]:
    judges = list(next(iter(nulls.values())))
    yield "## False rollbacks"
    yield ""
    yield (
        f"Percent of two-hour rollouts ({TICKS} ticks of a minute, canary 10 %, errors only, {_runs(nulls)} runs a cell) in which a candidate that"
        " equals the stable was taken back. `stage+rising`: after an hour the share goes to 50 % while the errors of both arms rise fourfold."
    )
    yield ""
    yield from _head(["rps", "errors", "world", *judges])
    for cell, found in nulls.items():
        shares = [f"{found[name].rolled_back * 100:.3g}" for name in judges]
        yield _row([str(cell.rps), f"{cell.stable * 100:g} %", cell.kind, *shares])
    for what, worst in (("mean of all", False), ("worst cell", True)):
        values = [[found[name].rolled_back * 100 for found in nulls.values()] for name in judges]
        numbers = [max(of) if worst else math.fsum(of) / len(of) for of in values]
        yield _row([f"**{what}**", "", "", *(f"**{number:.3g}**" for number in numbers)])
    yield ""


def _degradations(cells: Mapping[Cell, Mapping[str, Summary]]) -> Iterator[str]:
    judges = list(next(iter(cells.values())))
    yield "## How soon a degradation is found"
    yield ""
    yield (
        "Found within the two hours, then median / P90 ticks from the onset, [median candidate requests] and the mean number of bad answers"
        " of the candidate that users got by then (by the end, if it was not found). `late30`: harm begins at tick 30; *early* is what was"
        " taken back before that. A judge that fires on everything is fast here, and wrong above."
    )
    for rps, group in groupby(cells.items(), lambda item: item[0].rps):
        yield ""
        yield f"### {rps} rps"
        yield ""
        yield from _head(["errors", "world", *judges])
        for cell, found in group:
            change = f"{cell.stable * 100:g} → {cell.candidate * 100:g} %"
            yield _row([change, cell.kind, *(_delay(found[name]) for name in judges)])
    yield ""


def _delay(one: Summary) -> str:
    early = f" *early {one.early * 100:.0f} %*" if one.early else ""
    requests = "-" if math.isinf(one.median_requests) else f"{one.median_requests:.0f}"
    return (
        f"{one.rolled_back * 100:.0f} % {_ticks(one.median_ticks)} / {_ticks(one.p90_ticks)} [{requests}]"
        f" {one.bad_served:.0f} bad{early}"
    )


def _rollouts(scenarios: Mapping[Scenario, Mapping[str, Account]]) -> Iterator[str]:
    yield "## Whole rollouts"
    yield ""
    yield (
        "10 % → 50 % → all the traffic; errors, latency (log-normal, median 80 ms) and token counts, all drifting together for both arms. The"
        f" engine advances on evidence of no harm; the others after {BAKE} minutes a stage. Errors above 1 % and a P99 above 500 ms are what"
        " Flagger, Argo and the alarm were told to look for, so where the stable itself has 1 % errors their threshold is badly set, and where"
        " only tokens change they look at nothing; z and Kayenta see all three metrics. Times are ticks, median / P90; bad answers are"
        f" failed requests of the candidate, median. What is undecided after {LONGEST} ticks is held."
    )
    for rps, group in groupby(scenarios.items(), lambda item: item[0].rps):
        yield ""
        yield f"### Whole rollouts at {rps} rps"
        yield ""
        yield from _head(
            [
                "world",
                "who decides",
                "promoted",
                "rolled back",
                "held",
                "time to promotion",
                "time to rollback",
                "reached 50 %",
                "bad answers",
            ]
        )
        for scenario, found in group:
            for name, one in found.items():
                shares = [f"{share * 100:.3g} %" for share in (one.promoted, one.rolled_back, one.held)]
                times = [_both(one.promote_ticks), _both(one.roll_back_ticks)]
                served = [f"{one.reached_50 * 100:.3g} %", f"{one.bad_served:.0f}"]
                yield _row([scenario.name, name, *shares, *times, *served])
    yield ""


def _promises(engine: Mapping[Scenario, Account]) -> Iterator[str]:
    yield "## What the engine promises"
    yield ""
    yield (
        f"The same whole rollouts, at 10 rps, of the engine alone and more of them: {next(iter(engine.values())).runs} a world. A candidate that"
        f" equals the stable may be taken back in {_HARM:.0%} of rollouts; one that is at its margin throughout may be promoted in {_NO_HARM:.0%}."
    )
    yield ""
    yield from _head(["world", "promoted", "rolled back", "held", "time to promotion", "what may rarely happen"])
    for scenario, one in engine.items():
        wrong = (
            Rate("taken back", round(one.rolled_back * one.runs), one.runs, _HARM)
            if scenario.is_null
            else Rate("promoted", round(one.promoted * one.runs), one.runs, _NO_HARM)
        )
        shares = [f"{share * 100:.3g} %" for share in (one.promoted, one.rolled_back, one.held)]
        yield _row([scenario.name, *shares, _both(one.promote_ticks), f"{wrong.what}: {wrong.sentence}"])
    yield ""


def _how(results: Results, runs: Mapping[str, int]) -> Iterator[str]:
    yield "## How it was measured"
    yield ""
    yield (
        f"- Seed {results.seed}; {runs['T1']}, {runs['T2']} and {runs['T6']} runs a cell of the first three tables; {results.seconds:.0f} s with"
        f" {results.workers} processes, {results.processor:.0f} s of processor time, Python {platform.python_version()}."
        " The same seed gives the same tables, however many processes."
    )
    yield "- The engine is `shared.rollout.statistics` itself, tick by tick, not a model of it; all judges of a table see the same minutes."
    yield (
        "- Requests are Poisson and routed at random. `drift` is an autoregression (0.8, 0.2) and a two-hour wave of 0.4 on the log odds,"
        " common to both arms. Settling and the metrics' lag are left out for everybody."
    )
    yield (
        "- The competitors are written after their source code, which `bench/decisions/judges.py` names one by one; they were not"
        " run themselves. Kayenta is asked every five minutes, on all minutes so far or on the last thirty."
    )
    yield (
        "- Not covered: noise of one arm alone, which is a real difference for a while; requests that depend on each other within a minute"
        " beyond what both arms share."
    )


def _head(titles: Sequence[str]) -> Iterator[str]:
    yield _row(titles)
    yield _row(["---"] * len(titles))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ticks(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.0f}"


def _both(values: tuple[float, float]) -> str:
    return "-" if math.isnan(values[0]) else f"{values[0]:.0f} / {values[1]:.0f}"
