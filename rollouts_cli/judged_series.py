"""The engine on a recorded series, tick by tick: one candidate beside its stable, or the best of several arms.

What is bet on, guarded and combined is what judges rollouts (``shared.rollout.statistics``); only the counts come from a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from rollouts_cli.recorded_series import Series
from shared.rollout.statistics import arms as contests
from shared.rollout.statistics import binomial, tables
from shared.rollout.statistics.combine import combine_harm, combine_no_harm, decide, either
from shared.rollout.statistics.dispersion import Guarded, guard, update_guarded
from shared.rollout.statistics.interval import Bounds, Interval
from shared.rollout.statistics.process import Process, e_value, update
from shared.rollout.statistics.tables import Table

Word = Literal["roll_back", "advance", "hold"]


@dataclass(frozen=True)
class Rules:
    """What is asked of the series."""

    margin: float = 1.5
    """Times the stable's odds of a bad request."""
    floor: float = 0.005
    """A share of bad requests below this is never worse; 0 for no floor."""
    harm: float = 0.01
    no_harm: float = 0.05
    least_ticks: int = 5


@dataclass(frozen=True)
class Tick:
    """What is known after one tick."""

    tick: str
    counted: bool
    """Whether any metric had both arms in it."""
    e_harm: float
    e_no_harm: float
    culprit: str
    """The metric that says most of harm."""
    wanting: str
    """The metric that is furthest from being shown harmless."""
    word: Word


@dataclass(frozen=True)
class Judgement:
    """A whole series of two arms."""

    stable: str
    candidate: str
    ticks: tuple[Tick, ...]
    odds_ratios: dict[str, Bounds]
    """By metric, after the last tick, with 95 % at all times together."""

    @property
    def decided(self) -> Tick | None:
        """The first tick that did not say hold."""
        return next((tick for tick in self.ticks if tick.word != "hold"), None)


@dataclass(frozen=True)
class ContestTick:
    """What is known of several arms after one tick."""

    tick: str
    least_e: dict[str, float]
    """By arm: its least evidence of being better than another one."""
    winner: str | None
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class _Metric:
    harm: Guarded
    relative: Process
    floor: Process | None
    odds_ratio: Interval = field(default_factory=Interval)


def judge_two(series: Series, stable: str, candidate: str, rules: Rules) -> Judgement:
    """Harm and no harm of a candidate, after every tick."""
    harm, relative = tables.harm(), tables.no_harm(rules.margin)
    floor = binomial.below(rules.floor) if rules.floor else None
    states = {
        metric: _Metric(guard(harm), relative.begin(), floor.begin() if floor else None) for metric in series.metrics
    }
    seen, counted = [], 0
    for tick in series.ticks:
        informs = False
        for metric, state in states.items():
            cell = series.counts.get((tick, metric), {})
            table = Table(*cell.get(stable, (0, 0)), *cell.get(candidate, (0, 0)))
            if not table.informs:
                continue
            informs = True
            below = floor.log_ratios(table.candidate, table.candidate_bad) if floor else None
            states[metric] = replace(
                state,
                harm=update_guarded(state.harm, harm, table),
                relative=update(state.relative, relative.log_ratios(table)),
                floor=update(state.floor, below) if state.floor else None,
                odds_ratio=state.odds_ratio.updated(table),
            )
        counted += informs
        seen.append(_weighed(tick, states, rules, counted, informs=informs))
    return Judgement(stable, candidate, tuple(seen), {m: state.odds_ratio.bounds() for m, state in states.items()})


def _weighed(tick: str, states: dict[str, _Metric], rules: Rules, counted: int, *, informs: bool) -> Tick:
    harm = combine_harm({metric: state.harm.e for metric, state in states.items()})
    no_harm = {metric: _no_harm(state) for metric, state in states.items()}
    least = combine_no_harm(no_harm)
    word = decide(
        harm.e,
        no_harm.values(),
        alpha=rules.harm,
        alpha_advance=rules.no_harm,
        ticks_in_stage=counted,
        least_ticks=rules.least_ticks,
    )
    return Tick(tick, informs, harm.e, least.e, harm.metric, least.metric, word)


def _no_harm(state: _Metric) -> float:
    relative = e_value(state.relative)
    return either(relative, e_value(state.floor)) if state.floor else relative


def judge_many(series: Series, metric: str, alpha: float) -> tuple[ContestTick, ...]:
    """The best of three or more arms by one metric, after every tick."""
    state, seen = contests.begin_contest(series.arms), []
    for tick in series.ticks:
        state = contests.update_contest(state, series.counts.get((tick, metric), {}))
        pairs = contests.e_values(state)
        least = {arm: min(row.values()) for arm, row in pairs.items()}
        seen.append(
            ContestTick(tick, least, contests.winner(pairs, alpha), tuple(sorted(contests.dropped(pairs, alpha))))
        )
    return tuple(seen)
