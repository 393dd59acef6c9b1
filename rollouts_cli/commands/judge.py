"""``rollouts judge``: the engine that judges rollouts, on a recorded series."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from rollouts_cli.console import AsJson, Part, reported, say, say_json
from rollouts_cli.judged_series import ContestTick, Judgement, Rules, Tick, judge_many, judge_two
from rollouts_cli.layout import Column, Row, Table
from rollouts_cli.plots import sparkline, thinned
from rollouts_cli.recorded_series import Series, read_series
from shared.errors import PermanentError
from shared.policy.units import parse_factor, parse_share
from shared.rollout.statistics.arms import winning_bound
from shared.rollout.statistics.process import threshold

File = Annotated[Path, typer.Argument(help="CSV or JSON: tick, arm, requests, bad (metric).", show_default=False)]
StableArm = Annotated[str, typer.Option("--stable", help="The arm to compare with; 'stable', or the first one.")]
Metric = Annotated[str, typer.Option("--metric", help="Of three or more arms: the metric to judge; the first one.")]
Margin = Annotated[str, typer.Option("--margin", help="No harm: below so many times the stable's odds.")]
Floor = Annotated[str, typer.Option("--floor", help="No harm: or below this share; 0 for none.")]
Harm = Annotated[str, typer.Option("--harm", help="How often a harmless candidate may be rolled back, ever.")]
NoHarm = Annotated[
    str, typer.Option("--no-harm", help="How often one beyond the margin may pass; of arms, a wrong winner.")
]
LeastTicks = Annotated[int, typer.Option("--least-ticks", help="Ticks before an advance.", min=0)]

_COLUMNS = 60
"""Of a curve."""
_LOW = 0.01
"""Where a curve begins; evidence is shown by its logarithm."""


def judge(
    file: File,
    stable: StableArm = "",
    metric: Metric = "",
    margin: Margin = "1.5x",
    floor: Floor = "0.5%",
    harm: Harm = "1%",
    no_harm: NoHarm = "5%",
    least_ticks: LeastTicks = 5,
    as_json: AsJson = False,
) -> None:
    """Judge counts that were recorded per tick, as a rollout would have been: two arms, or the best of several."""
    with reported(as_json):
        rules = Rules(
            _parsed("--margin", margin, parse_factor, "above 1", lambda value: 1 < value <= 1_000),
            _parsed("--floor", floor, parse_share, "from 0 to below 100%", lambda value: 0 <= value < 1),
            _parsed("--harm", harm, parse_share, "between 0 and 100%", lambda value: 0 < value < 1),
            _parsed("--no-harm", no_harm, parse_share, "between 0 and 100%", lambda value: 0 < value < 1),
            least_ticks,
        )
        series = read_series(file)
        if len(series.arms) == 2:
            _two(series, stable, rules, as_json)
        else:
            _many(series, metric, rules, as_json)


def _parsed(
    option: str, text: str, parse: Callable[[Any], float], allowed: str, fits: Callable[[float], bool]
) -> float:
    try:
        value = parse(float(text) if text.replace(".", "", 1).isdigit() else text)
    except ValueError as error:
        raise PermanentError(f"{option}: {error}") from None
    if not fits(value):
        raise PermanentError(f"{option}: {text} is not {allowed}")
    return value


def _two(series: Series, stable: str, rules: Rules, as_json: bool) -> None:
    first = "stable" if "stable" in series.arms else series.arms[0]
    control = stable or first
    if control not in series.arms:
        raise PermanentError(f"--stable: no arm is called {control}; there are {', '.join(series.arms)}")
    candidate = next(arm for arm in series.arms if arm != control)
    judged = judge_two(series, control, candidate, rules)
    if as_json:
        say_json(_two_json(series, judged, rules))
        return
    for line in _two_lines(series, judged, rules):
        say(*line)


def _two_lines(series: Series, judged: Judgement, rules: Rules) -> Iterator[Sequence[Part]]:
    yield (
        f"{judged.candidate} beside {judged.stable}, {len(series.ticks)} ticks of {', '.join(series.metrics)};"
        f" harm at {threshold(rules.harm):g}, no harm at {threshold(rules.no_harm):g}",
    )
    yield ("",)
    yield from _ticks_table(series, judged).lines(None)
    yield ("",)
    curves = [("harm", [t.e_harm for t in judged.ticks], rules.harm)]
    curves.append(("no harm", [t.e_no_harm for t in judged.ticks], rules.no_harm))
    yield from _curves([(name, values, threshold(alpha)) for name, values, alpha in curves])
    yield ("",)
    yield from ((line,) for line in _left_aside(series))
    for name, bounds in judged.odds_ratios.items():
        yield (f"{name}: odds ratio {bounds.likeliest:.3g}, with 95 % between {bounds.low:.3g} and {bounds.high:.3g}",)
    yield _verdict(judged, rules)


def _ticks_table(series: Series, judged: Judgement) -> Table:
    arms = (judged.stable, judged.candidate)
    columns = [Column("TICK"), *(Column(f"{arm} {metric}") for metric in series.metrics for arm in arms)]
    columns += [Column("HARM"), Column("NO HARM")]
    rows = []
    for tick in judged.ticks:
        cells = [series.counts.get((tick.tick, metric), {}).get(arm) for metric in series.metrics for arm in arms]
        counts = ["-" if cell is None else f"{cell[1]}/{cell[0]}" for cell in cells]
        rows.append(Row((tick.tick, *counts, _evidence(tick.e_harm), _evidence(tick.e_no_harm)), _said(tick)))
    return Table(columns, "SAYS", rows)


def _said(tick: Tick) -> str:
    if tick.word == "roll_back":
        return f"roll back: {tick.culprit}"
    return tick.word if tick.counted else f"{tick.word}, no comparison in this tick"


def _verdict(judged: Judgement, rules: Rules) -> Sequence[Part]:
    found, last = judged.decided, judged.ticks[-1]
    if found is None:
        what = f"harm {_evidence(last.e_harm)} of {threshold(rules.harm):g}"
        return (
            "hold: ",
            f"{what}, no harm {_evidence(last.e_no_harm)} of {threshold(rules.no_harm):g} ({last.wanting})",
        )
    number = judged.ticks.index(found) + 1
    if found.word == "roll_back":
        evidence = f"{_evidence(found.e_harm)} >= {threshold(rules.harm):g}"
        return (
            ("roll back", "bold red"),
            f" at tick {number} ({found.tick}): {found.culprit}, evidence of harm {evidence}",
        )
    evidence = f"{_evidence(found.e_no_harm)} >= {threshold(rules.no_harm):g}"
    return (("advance", "bold green"), f" at tick {number} ({found.tick}): evidence of no harm {evidence}")


def _many(series: Series, metric: str, rules: Rules, as_json: bool) -> None:
    judged_by = metric or series.metrics[0]
    if judged_by not in series.metrics:
        raise PermanentError(f"--metric: no metric is called {judged_by}; there are {', '.join(series.metrics)}")
    ticks = judge_many(series, judged_by, rules.no_harm)
    bound = winning_bound(len(series.arms), rules.no_harm)
    if as_json:
        say_json(
            {
                "metric": judged_by,
                "arms": list(series.arms),
                "bound": bound,
                "ticks": [asdict(tick) for tick in ticks],
                "winner": _first_winner(ticks),
                "repeated_rows": series.repeated,
                "dropped_ticks": list(series.dropped),
            }
        )
        return
    for line in _many_lines(series, judged_by, ticks, bound):
        say(*line)


def _many_lines(series: Series, metric: str, ticks: Sequence[ContestTick], bound: float) -> Iterator[Sequence[Part]]:
    yield (f"The best of {', '.join(series.arms)} by {metric}, {len(ticks)} ticks; an arm wins at {bound:g}",)
    yield ("",)
    columns = [Column("TICK"), *(Column(arm) for arm in series.arms)]
    rows = [
        Row((tick.tick, *(_evidence(tick.least_e[arm]) for arm in series.arms)), _arms_said(tick)) for tick in ticks
    ]
    yield from Table(columns, "SAYS", rows).lines(None)
    yield ("",)
    yield from _curves([(arm, [tick.least_e[arm] for tick in ticks], bound) for arm in series.arms])
    yield ("",)
    yield from ((line,) for line in _left_aside(series))
    won = _first_winner(ticks)
    if won is None:
        yield ("no winner yet: no arm is surely better than every other",)
        return
    yield (
        (f"{won['arm']} wins", "bold green"),
        f" at tick {won['number']} ({won['tick']}): surely better than every other arm",
    )


def _arms_said(tick: ContestTick) -> str:
    won = f"{tick.winner} wins" if tick.winner else ""
    return "; ".join(part for part in (won, *(f"{arm} is out" for arm in tick.dropped)) if part) or "-"


def _first_winner(ticks: Sequence[ContestTick]) -> dict[str, Any] | None:
    return next(
        ({"arm": t.winner, "tick": t.tick, "number": number} for number, t in enumerate(ticks, 1) if t.winner), None
    )


def _curves(curves: Sequence[tuple[str, Sequence[float], float]]) -> Iterator[Sequence[Part]]:
    """Each as a line of its own on one logarithmic scale, which ends at ten times its bound."""
    label = max(len(name) for name, *_ in curves) + 2
    for name, values, bound in curves:
        shown = [math.log(max(value, _LOW)) for value in thinned(values, _COLUMNS)]
        curve = sparkline(shown, math.log(_LOW), math.log(bound * 10))
        yield (name.ljust(label), (curve, "cyan"), f"  {_LOW:g} to {bound * 10:g}, at last {_evidence(values[-1])}")


def _left_aside(series: Series) -> Iterator[str]:
    if series.repeated:
        yield f"{series.repeated} rows came again and were not counted again."
    if series.dropped:
        yield f"Dropped for all arms, because a count ran backwards: {', '.join(series.dropped)}."


def _evidence(value: float) -> str:
    return f"{value:.3g}" if value < 1e6 else ">1e6"


def _two_json(series: Series, judged: Judgement, rules: Rules) -> dict[str, Any]:
    found = judged.decided
    return {
        "stable": judged.stable,
        "candidate": judged.candidate,
        "metrics": list(series.metrics),
        "rules": asdict(rules),
        "decision": found.word if found else "hold",
        "decided_at": found.tick if found else None,
        "ticks": [asdict(tick) for tick in judged.ticks],
        "odds_ratios": {
            name: {"low": b.low, "high": b.high if math.isfinite(b.high) else None, "likeliest": b.likeliest}
            for name, b in judged.odds_ratios.items()
        },
        "repeated_rows": series.repeated,
        "dropped_ticks": list(series.dropped),
    }
