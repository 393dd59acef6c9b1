"""``rollouts plan``: before a rollout, how long each stage will take at this traffic, and what it will find."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from rollouts_cli.assumed import USUAL_USE, Values, World, usual_latency
from rollouts_cli.console import AsJson, reported, say, say_json, width
from rollouts_cli.layout import Column, Row, Table
from rollouts_cli.lookup import read_policy
from rollouts_cli.plots import bar
from rollouts_cli.stage_plan import Found, Plan, least_harm, plan_stages
from shared.errors import PermanentError
from shared.policy.rollout import RolloutSpec
from shared.policy.units import format_duration, format_share, parse_share
from shared.rollout.claims import is_latency

PolicyFile = Annotated[Path, typer.Argument(help="A file with one policy.", metavar="POLICY", show_default=False)]
Rps = Annotated[float, typer.Option("--rps", help="Requests per second of the whole endpoint.", min=0.0)]
ErrorRate = Annotated[str, typer.Option("--error-rate", help="Of the stable: 0.01 or 1%.")]
P50 = Annotated[float | None, typer.Option("--stable-p50", help="Median of the stable's latency_ms.")]
P95 = Annotated[float | None, typer.Option("--stable-p95", help="P95 of the stable's latency_ms.")]
Stable = Annotated[
    list[str], typer.Option("--stable", help="P50 and P95 of another metric, as NAME=P50,P95; may be repeated.")
]

_MINUTES = (5, 10, 20, 30, 60, 120, 240)
_BAR = 32


def plan(
    policy: PolicyFile,
    rps: Rps,
    error_rate: ErrorRate = "1%",
    stable_p50: P50 = None,
    stable_p95: P95 = None,
    stable: Stable = [],  # noqa: B006 (typer wants a list, and nobody changes it)
    as_json: AsJson = False,
) -> None:
    """Say how long each stage will take at this traffic, and the smallest degradation that will be found in that time.

    Times are estimates of medians for a candidate that equals the stable; lag, settle and bake are in them.
    """
    with reported(as_json):
        loaded = read_policy(policy, as_json)
        spec = loaded.rollout
        measured = dict(_named(text) for text in stable) | _latency(stable_p50, stable_p95)
        world = _world(spec, rps, _share(error_rate), measured)
        planned = plan_stages(spec, world)
        if as_json:
            say_json(_plan_json(loaded.model, spec, world, planned))
            return
        for line in _lines(loaded.model, spec, world, planned, measured):
            say(*line)


def _share(text: str) -> float:
    try:
        share = parse_share(text)
    except ValueError as error:
        raise PermanentError(f"--error-rate: {error}") from None
    if not 0 <= share < 1:
        raise PermanentError(f"--error-rate: {text} is no share of errors; give one from 0 to below 100%")
    return share


def _latency(p50: float | None, p95: float | None) -> dict[str, Values]:
    if p95 is None:
        if p50 is not None:
            raise PermanentError("--stable-p50 needs --stable-p95 beside it: one quantile alone says nothing of tails")
        return {}
    return {"latency_ms": _values("--stable-p95", p50 if p50 is not None else p95 / 2.7, p95)}


def _named(text: str) -> tuple[str, Values]:
    name, _, numbers = text.partition("=")
    try:
        p50, p95 = (float(number) for number in numbers.split(","))
    except ValueError:
        raise PermanentError(f"--stable {text}: write it like tokens_per_image=220,340 (median and P95)") from None
    return name, _values(f"--stable {text}", p50, p95)


def _values(option: str, p50: float, p95: float) -> Values:
    if not 0 < p50 < p95 < math.inf:
        raise PermanentError(f"{option}: a P95 of {p95:g} does not lie above a median of {p50:g} above 0")
    return Values.of(p50, p95)


def _world(spec: RolloutSpec, rps: float, error_rate: float, measured: dict[str, Values]) -> World:
    assumed = {check.metric: usual_latency(check) for check in spec.checks if is_latency(check)}
    return World(rps, error_rate, assumed | measured)


def _lines(
    model: str, spec: RolloutSpec, world: World, planned: Plan, measured: dict[str, Values]
) -> Iterator[Sequence[Any]]:
    about = f" at {world.rps:g} requests/s and {format_share(world.error_rate)} errors, advancing by {spec.advance}"
    yield ((model, "bold"), f"{about}: {_time(planned.seconds)} until all the traffic")
    yield ("",)
    yield from _table(spec, world, planned).lines(width())
    yield from _curve(spec, world)
    yield from ((f"{note}",) for note in _notes(spec, world, planned, measured))
    yield from ((("warning: ", "bold yellow"), text) for text in planned.warnings)


def _table(spec: RolloutSpec, world: World, planned: Plan) -> Table:
    columns = [Column("STAGE"), Column("TRAFFIC"), Column("TIME"), Column("WAITS FOR")]
    count = len(spec.stages)
    rows = [
        Row(
            (f"{stage.number}/{count}", f"{stage.traffic} %", _time(stage.seconds), stage.waits_for),
            "; ".join(_found(world, found) for found in stage.found) or "nothing",
        )
        for stage in planned.stages
    ]
    last = spec.stages[-1]
    rows.append(Row((f"{count}/{count}", f"{last.traffic} %", "watch", "-"), "what its absolute limits say"))
    return Table(columns, "FINDS AT LEAST", rows, wrap=True)


def _found(world: World, found: Found) -> str:
    if found.factor is None:
        return f"{found.metric} nothing"
    if found.share is not None:
        return f"{found.metric} {format_share(world.error_rate)} → {_rounded_share(found.share)}"
    # Beyond a doubling a factor reads better than a percentage.
    change = f"{(found.factor - 1) * 100:+.2g} %" if found.factor < 2 else f"×{found.factor:.2g}"
    return f"{found.metric} {change}"


def _rounded_share(share: float) -> str:
    return f"{share * 100:.2g}%" if share < 0.995 else "100%"


def _curve(spec: RolloutSpec, world: World) -> Iterator[Sequence[Any]]:
    """The least that the first check finds after so many judged minutes of the first stage."""
    weight = spec.stages[0].traffic / 100
    checks = [check for check in spec.checks if check.gating and world.knows(check)]
    if not checks or weight == 1 or not world.rps:
        return
    points = [(m, next(least_harm(spec, world, checks, world.rps * weight * m * 60, weight))) for m in _MINUTES]
    sizes = [(m, found, _size(world, found)) for m, found in points]
    largest = max((size for *_, size in sizes if math.isfinite(size)), default=0.0)
    yield ("",)
    yield (f"The least {checks[0].metric} found at {spec.stages[0].traffic} % after", " so much judged time")
    for minutes, found, size in sizes:
        label = f"{format_duration(timedelta(minutes=minutes)):>5}  "
        if math.isfinite(size):
            yield (label, (bar(size, largest, _BAR), "cyan"), f" {_found(world, found).removeprefix(found.metric)[1:]}")
        else:
            yield (label, "nothing")
    yield ("",)


def _size(world: World, found: Found) -> float:
    if found.factor is None:
        return math.inf
    return found.share if found.share is not None else abs(found.factor - 1)


def _notes(spec: RolloutSpec, world: World, planned: Plan, measured: dict[str, Values]) -> Iterator[str]:
    lag, settle = format_duration(spec.metrics.lag), format_duration(spec.metrics.settle)
    yield f"Each stage: {settle} to settle after its shift, at least its bake time, and metrics {lag} late."
    if spec.advance == "bake":
        yield "This policy advances by bake: what is found is what advance: evidence would find in that time."
    for check in spec.checks:
        if is_latency(check) and check.metric not in measured:
            values = world.values[check.metric]
            given = f"using {USUAL_USE:.0%} of its limit" if check.is_absolute else "of the usual shape"
            yield (
                f"Assumed: {check.metric} of the stable {given}, P50 {values.quantile(0.5):.3g}"
                f" and P95 {values.quantile(0.95):.3g}; give --stable-p50 and --stable-p95."
            )
    for metric in dict.fromkeys(planned.unknown):
        yield f"Left out: {metric}; say what the stable does with --stable {metric}=P50,P95."


def _time(seconds: float) -> str:
    return "never" if math.isinf(seconds) else format_duration(timedelta(seconds=seconds))


def _plan_json(model: str, spec: RolloutSpec, world: World, planned: Plan) -> dict[str, Any]:
    return {
        "model": model,
        "rps": world.rps,
        "error_rate": world.error_rate,
        "advance": spec.advance,
        "seconds": _finite(planned.seconds),
        "stages": [
            {key: _finite(value) for key, value in asdict(stage).items()} | {"found": [asdict(f) for f in stage.found]}
            for stage in planned.stages
        ],
        "assumed": {
            name: {"p50": values.quantile(0.5), "p95": values.quantile(0.95)} for name, values in world.values.items()
        },
        "left_out": list(planned.unknown),
        "warnings": list(planned.warnings),
    }


def _finite(value: Any) -> Any:
    """JSON has no infinity; null is never."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
