"""How busy a deployed model was, and how many replicas that takes.

The autoscaler aims at a use of the processor (60 %), needs about a minute to bring a replica that is missing and keeps one for five
minutes that is no longer needed. A minimum is low enough only if the worst rise of the window, arriving before a replica can, is still
carried. Steps are hours and not minutes, so every bound is taken at its worst: the highest minute of the step on the most replicas of the step,
rising from the lowest minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import repeat
from math import ceil, fsum, isnan, nan
from typing import NamedTuple

from shared.costs.fleet import Deployed, Fleet

UP = timedelta(seconds=60)
"""How long the autoscaler takes to bring a replica."""
DOWN = timedelta(minutes=5)
"""How long it keeps one that is no longer needed."""
CEILING = 0.9
"""The use up to which a replica may be loaded for the minute until the next one is there."""
ENOUGH = 0.9
"""The share of the life within the window that has to be measured before anything is concluded."""
LEAST = timedelta(days=7)
"""The shortest time from which something is concluded: every day of the week is in it."""
_ROUNDING = 1e-9


def replicas_for(load: float, use: float) -> int:
    """How many replicas carry so much load (in replicas' full processors) at a use of so much each."""
    return max(1, ceil(load / use - _ROUNDING))


class Moment(NamedTuple):
    """One measured step. A named tuple: there are a million of them in a large fleet."""

    replicas: float
    peak: float
    """The most load, in replicas' full processors (or accelerators, if those are busier)."""
    low: float
    """The least."""
    use: float
    """The mean use of each replica."""
    use_peak: float
    full: bool
    """Whether as many replicas ran as may."""
    p95_ms: float | None


@dataclass(frozen=True)
class Load:
    """The measured steps of one deployed model within its life, in order."""

    moments: tuple[Moment, ...]
    steps: float
    """How many steps it lived; more than ``moments`` where the series have gaps."""
    step: timedelta

    @property
    def conclusive(self) -> bool:
        """Whether there is enough of it."""
        return len(self.moments) >= ENOUGH * self.steps and self.steps * self.step >= LEAST

    @property
    def hours(self) -> float:
        """The hours of its steps, each in whole, as what is derived from them counts them."""
        return len(self.moments) * (self.step / timedelta(hours=1))

    @property
    def peak(self) -> float:
        return max((moment.peak for moment in self.moments), default=0.0)

    @property
    def use_peak(self) -> float:
        return max((moment.use_peak for moment in self.moments), default=0.0)

    def least_minimum(self, target: float) -> int:
        """The lowest minimum of replicas with which every rise of the window is carried until the autoscaler has answered."""
        least, before = 1, self.moments[0].low if self.moments else 0.0
        for moment in self.moments:
            low, before = min(moment.low, before), moment.low  # a rise may begin in the last minute of the step before
            if least * CEILING >= moment.peak:
                continue
            there = replicas_for(low, target) if low else 1
            if there * CEILING < moment.peak:
                least = replicas_for(moment.peak, CEILING)
        return least

    def expected(self, minimum: int, maximum: int, target: float) -> list[float]:
        """The mean replicas of each step with these limits: those of its peak, and for five minutes those of the step before."""
        wanted = []
        for moment in self.moments:
            needed = ceil(moment.peak / target - _ROUNDING)
            wanted.append(float(minimum if needed < minimum else maximum if needed > maximum else needed))
        kept = min(1.0, DOWN / self.step)
        before = wanted[:1] + wanted[:-1]
        return [now + kept * (last - now) if last > now else now for now, last in zip(wanted, before, strict=True)]

    def saved(self, minimum: int, maximum: int, target: float) -> float:
        """The replica-hours that a lower minimum would have saved; never less than nothing in any step."""
        spared = (
            moment.replicas - then
            for moment, then in zip(self.moments, self.expected(minimum, maximum, target), strict=True)
        )
        return fsum(one for one in spared if one > 0) * (self.step / timedelta(hours=1))


def load_of(fleet: Fleet, deployed: Deployed) -> Load | None:
    """None where the replicas, the processor's peaks or (with one) the accelerator's were not measured at all."""
    got = deployed.measured
    if got.replicas is None or got.cpu_peak is None or (deployed.hardware.accelerator and got.gpu_peak is None):
        return None
    begin, end = fleet.life(deployed)
    first, last = int((begin - fleet.start) / fleet.step), -int(-((end - fleet.start) / fleet.step) // 1)
    columns = (got.replicas, got.cpu_peak, got.replicas_peak, got.cpu_low, got.cpu, got.gpu_peak, got.p95_ms)
    rows = zip(
        *(column[first:last] if column is not None else repeat(nan, last - first) for column in columns), strict=True
    )
    minimum, maximum = deployed.minimum, deployed.maximum
    moments = []
    for replicas, cpu_peak, most, low, use, gpu_peak, slow in rows:
        if isnan(replicas) or isnan(cpu_peak):
            continue
        running = ceil(replicas - _ROUNDING) if isnan(most) else most
        busiest = gpu_peak if gpu_peak > cpu_peak else cpu_peak
        moments.append(
            Moment(
                replicas,
                busiest * running,
                0.0 if isnan(low) else low * (replicas if replicas < minimum else minimum),
                busiest if isnan(use) or busiest is gpu_peak else use,
                busiest,
                running >= maximum,
                None if isnan(slow) else slow,
            )
        )
    return Load(tuple(moments), (end - begin) / fleet.step, fleet.step)
