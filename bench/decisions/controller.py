"""Whole rollouts over 10 % and 50 % to all the traffic (T6): errors, latency and token counts together, in worlds that drift.

The engine advances on evidence of no harm; the others after 30 minutes in a stage without having rolled back, as they are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple, Protocol

from bench.decisions.judges import Alarm, Argo, EachTick, Flagger, Judge, Kayenta, z_rejects
from bench.decisions.worlds import EDGES, Minute, Scenario, minutes, shifted
from bench.numbers import percentile
from shared.rollout.proof import KEPT
from shared.rollout.statistics import binomial, latency, tables
from shared.rollout.statistics.combine import combine_harm, decide, either
from shared.rollout.statistics.dispersion import guard, update_guarded
from shared.rollout.statistics.process import e_value, update

LONGEST = 240
"""Ticks; what is not decided then is held."""
BAKE = 30
SCENARIOS = tuple(
    scenario
    for rps in (10, 100)
    for scenario in (
        Scenario("equal, 0.1 % errors", rps, (0.001, 0.001)),
        Scenario("equal, 1 % errors", rps, (0.01, 0.01)),
        Scenario("errors 1 → 1.5 %", rps, (0.01, 0.015)),
        Scenario("errors 1 → 2 %", rps, (0.01, 0.02)),
        Scenario("errors 1 → 5 %", rps, (0.01, 0.05)),
        Scenario("errors 0.1 → 0.5 %", rps, (0.001, 0.005)),
        Scenario("latency +10 %", rps, (0.001, 0.001), slower=1.1),
        Scenario("latency +30 %", rps, (0.001, 0.001), slower=1.3),
        Scenario("too many tokens 1 → 3 %", rps, (0.001, 0.001), over=(0.01, 0.03)),
    )
)
PROMISES = (
    *(scenario for scenario in SCENARIOS if scenario.rps == 10 and scenario.is_null),
    Scenario("errors at the margin: 1.5 times the odds", 10, (0.01, shifted(0.01, math.log(1.5)))),
)
"""Worlds in which the engine alone is asked how often it does what it promises; the last may be promoted one time in twenty."""
Word = Literal["roll_back", "advance", "hold"]


class Controller(Protocol):
    """One rollout's decisions."""

    def decide(self, minute: Minute, stage: int, ticks_in_stage: int) -> Word:
        """After one more minute."""


class EvidenceController:
    """The engine, composed as its defaults are: harm averaged over three metrics at 1 %, no harm of each at 5 %.

    No harm: errors below 2.0 times the stable's odds at 10 %, 1.5 at 50 %, or below 0.5 %; latency below 1.5 and 1.3 times the odds of being
    beyond the stable's P50 and P95; tokens below 2.0 times, or below 3 %.
    """

    def __init__(self) -> None:
        self._harm = tables.harm()
        self._errors, self._over = guard(self._harm, KEPT), guard(self._harm, KEPT)
        self._latency = latency.begin_exceedance(EDGES, self._harm, KEPT)
        self._ni = {psi: tables.no_harm(psi) for psi in (2.0, 1.5, 1.3)}
        self._floors = binomial.below(0.005), binomial.below(0.03)
        self._below = [test.begin() for test in self._floors]
        self._error_ni = {psi: self._ni[psi].begin() for psi in (2.0, 1.5)}
        self._over_ni = self._ni[2.0].begin()
        self._slow_ni = {(psi, edge): self._ni[psi].begin() for psi in (1.5, 1.3) for edge in (EDGES[0], EDGES[3])}

    def decide(self, minute: Minute, stage: int, ticks_in_stage: int) -> Word:
        self._update(minute)
        harm = combine_harm(
            {"errors": self._errors.e, "latency": latency.e_average(self._latency), "tokens": self._over.e}
        )
        psi = (1.5, 1.3)[stage]
        no_harm = [
            either(e_value(self._error_ni[(2.0, 1.5)[stage]]), e_value(self._below[0])),
            either(e_value(self._over_ni), e_value(self._below[1])),
            *(e_value(process) for (margin, _), process in self._slow_ni.items() if margin == psi),
        ]
        return decide(harm.e, no_harm, ticks_in_stage=ticks_in_stage)

    def _update(self, minute: Minute) -> None:
        self._errors = update_guarded(self._errors, self._harm, minute.errors)
        self._over = update_guarded(self._over, self._harm, minute.over)
        self._latency = latency.update_exceedance(self._latency, self._harm, *minute.latency)
        for at, table in enumerate((minute.errors, minute.over)):
            ratios = self._floors[at].log_ratios(table.candidate, table.candidate_bad)
            self._below[at] = update(self._below[at], ratios)
        for psi, process in self._error_ni.items():
            self._error_ni[psi] = update(process, self._ni[psi].log_ratios(minute.errors))
        self._over_ni = update(self._over_ni, self._ni[2.0].log_ratios(minute.over))
        for (psi, edge), process in self._slow_ni.items():
            beyond = latency.exceedance_table(*minute.latency, edge)
            self._slow_ni[psi, edge] = update(process, self._ni[psi].log_ratios(beyond)) if beyond else process


class BakingController:
    """A judge of harm; what it has not taken back after 30 minutes in a stage goes on."""

    def __init__(self, judge: Judge, seen: Callable[[Minute], Sequence[tables.Table]]) -> None:
        self._judge, self._seen = judge, seen

    def decide(self, minute: Minute, stage: int, ticks_in_stage: int) -> Word:
        if self._judge.rolls_back(self._seen(minute)):
            return "roll_back"
        return "advance" if ticks_in_stage >= BAKE else "hold"


def _limits(minute: Minute) -> Sequence[tables.Table]:
    """Errors at most 1 %, P99 at most 500 ms: what is known to need a threshold."""
    return minute.errors, minute.slow


def _compared(minute: Minute) -> Sequence[tables.Table]:
    return minute.errors, minute.slower, minute.over


CONTROLLERS: dict[str, Callable[[], Controller]] = {
    "engine": EvidenceController,
    "z each tick": lambda: BakingController(EachTick(z_rejects, 3), _compared),
    "Kayenta growing": lambda: BakingController(Kayenta(metrics=3), _compared),
    "Flagger 1 % x5": lambda: BakingController(Flagger(), _limits),
    "Argo 1 %, limit 3": lambda: BakingController(Argo(metrics=2), _limits),
    "alarm 1 %": lambda: BakingController(Alarm(), _limits),
}


class Journey(NamedTuple):
    """How one rollout ended."""

    end: Literal["promoted", "rolled_back", "held"]
    ticks: int
    reached: int
    """The highest share before all the traffic, in percent."""
    bad: int
    """Failed answers of the candidate in that time."""


@dataclass(frozen=True)
class RolloutTask:
    """Some rollouts of one scenario, for one process."""

    world: Scenario
    first: int
    runs: int
    seed: int
    controllers: tuple[str, ...] = tuple(CONTROLLERS)


def run_rollouts(task: RolloutTask) -> tuple[RolloutTask, dict[str, list[Journey]]]:
    """By controller; each sees the same worlds, though not at the same share at the same time."""
    found: dict[str, list[Journey]] = {name: [] for name in task.controllers}
    for run in range(task.first, task.first + task.runs):
        name = f"{task.seed}/{task.world.name}/{task.world.rps}/{run}"
        seen: list[tuple[Minute, Minute]] = []
        source = minutes(Random(name), task.world, LONGEST)
        for controller in task.controllers:
            found[controller].append(_journey(CONTROLLERS[controller](), seen, source))
    return task, found


def _journey(
    controller: Controller, seen: list[tuple[Minute, Minute]], source: Iterator[tuple[Minute, Minute]]
) -> Journey:
    stage = in_stage = bad = 0
    for tick in range(LONGEST):
        if tick == len(seen):
            seen.append(next(source))
        minute = seen[tick][stage]
        in_stage, bad = in_stage + 1, bad + minute.errors.candidate_bad
        word = controller.decide(minute, stage, in_stage)
        reached = (10, 50)[stage]
        if word == "roll_back":
            return Journey("rolled_back", tick + 1, reached, bad)
        if word == "advance":
            if stage == 1:
                return Journey("promoted", tick + 1, reached, bad)
            stage, in_stage = 1, 0
    return Journey("held", LONGEST, (10, 50)[stage], bad)


@dataclass(frozen=True)
class Account:
    """One controller in one scenario."""

    runs: int
    promoted: float
    rolled_back: float
    held: float
    reached_50: float
    promote_ticks: tuple[float, float]
    """Median and P90 of those promoted; nan where there is none."""
    roll_back_ticks: tuple[float, float]
    bad_served: float
    """Failed answers of the candidate until its end; median."""


def account(journeys: Sequence[Journey]) -> Account:
    """What the table shows."""
    runs = len(journeys)

    def share(end: str) -> float:
        return sum(journey.end == end for journey in journeys) / runs

    return Account(
        runs,
        share("promoted"),
        share("rolled_back"),
        share("held"),
        sum(journey.reached == 50 for journey in journeys) / runs,
        _middle([journey.ticks for journey in journeys if journey.end == "promoted"]),
        _middle([journey.ticks for journey in journeys if journey.end == "rolled_back"]),
        _middle([journey.bad for journey in journeys])[0],
    )


def _middle(values: Sequence[int]) -> tuple[float, float]:
    if not values:
        return math.nan, math.nan
    return percentile(values, 50), percentile(values, 90)
