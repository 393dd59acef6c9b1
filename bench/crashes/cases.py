"""Plays flows: once without a fault, then once for each thing that can go wrong, alone and in pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from bench.crashes.ends import End, difference, look
from bench.crashes.faults import Fault, FlowError, Made, Point
from bench.crashes.flows import STATES, Before, Flow
from bench.crashes.plant import Moment, Plant, State

PATIENCE = 60
"""Ticks within which a flow comes to its end, whatever went wrong."""
SETTLING = 8
"""Ticks after the undisturbed run's end: what only follows from it has happened too."""
FEW = 4
"""Second deaths for which it is not worth while to keep where the first has led, tick after tick."""
STILL = 1
"""Ticks after which an end that was reached must still stand."""


@dataclass(frozen=True)
class Outcome:
    """One run with faults."""

    flow: str
    points: tuple[Point, ...]
    happened: int
    """How many of the faults were met."""
    wrong: str
    """How its end differs from the undisturbed run's; empty where it does not."""
    made: tuple[Made, ...] = field(default=(), repr=False)
    after: int = 0
    """Index of the first call after the last fault that happened."""
    sealed: int = 0
    """Index of the first call after the minute of that fault."""
    state: str = ""
    """The fingerprint of everything at the end of that minute."""
    is_cut: bool = False
    """Whether that state was known, and the run ended there."""

    def __str__(self) -> str:
        return f"{self.flow} | {' + '.join(map(str, self.points))} | {self.wrong or 'converges'}"


@dataclass(frozen=True)
class _Kept:
    """Where a run with one death was after so many ticks; a second death later in it begins here."""

    moment: Moment
    tick: int
    stood: int


@dataclass(frozen=True)
class Undisturbed:
    """What a run without faults calls, and how it ends."""

    flow: Flow
    made: tuple[Made, ...]
    end: End

    def points(self) -> list[Point]:
        return points_of(self.made)


class Player:
    """Plays flows on one plant; states and undisturbed runs are made once.

    A run whose faults are over is a function of the state that they have left. Such a state is known by its fingerprint, so a second run
    that comes to it is not played to its end again: it ends as the first one did.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._states: dict[str, State] = {"": plant.save()}
        self._undisturbed: dict[str, Undisturbed] = {}
        self._ends: dict[tuple[str, str], str] = {}
        """By flow and fingerprint: what was wrong at the end."""

    def undisturbed(self, flow: Flow) -> Undisturbed:
        if flow.name not in self._undisturbed:
            plant = self._begin(flow, ())
            for _ in range(PATIENCE):
                if flow.until(plant):
                    break
                plant.pass_minutes(flow.step, flow.step)
            else:
                raise FlowError(f"{flow.name} does not come to its end: {look(plant)}")
            for _ in range(SETTLING):
                plant.pass_minutes(1)
            end = look(plant)
            if not plant.is_quiet or not flow.until(plant):
                raise FlowError(f"{flow.name} goes on after its end: {end}")
            if not (end.is_sound and end.is_settled) or end.dead_letters + end.unsent + end.untold:
                raise FlowError(f"{flow.name} does not end well: {end}")
            self._undisturbed[flow.name] = Undisturbed(flow, (), end)
            again = self.play(flow)
            if again.wrong:
                raise FlowError(f"{flow.name} does not end twice alike: {again}")
            self._undisturbed[flow.name] = Undisturbed(flow, again.made, end)
        return self._undisturbed[flow.name]

    def play(
        self,
        flow: Flow,
        *points: Point,
        to_the_end: bool = True,
        begin: _Kept | None = None,
        keep: list[_Kept] | None = None,
    ) -> Outcome:
        """One run in which these points happen, one after another; without ``to_the_end`` it may stop where a known state is reached.

        It begins with the flow, or where another run with the same first points was; into ``keep`` goes where it is after each tick, once
        all points have happened.
        """
        wanted = self.undisturbed(flow).end
        wrong, stood, sealed, state, is_cut = "it never came to its end", 0, 0, "", False
        watch = self.plant.watch
        try:
            plant = self._begin(flow, points) if begin is None else self._go_back(begin, points)
            stood = begin.stood if begin else 0
            for tick in range(begin.tick if begin else 0, PATIENCE):
                if points and not state and len(watch.happened) == len(points):
                    # Where back-offs have grown, time goes in longer steps: that is part of what comes next.
                    state, sealed = f"{plant.fingerprint()}/{tick // 20}", len(watch.made)
                    known = self._ends.get((flow.name, state))
                    if known is not None and not to_the_end:
                        wrong, is_cut = known, True
                        break
                if state and keep is not None:
                    keep.append(_Kept(plant.moment(), tick, stood))
                if flow.until(plant) and plant.is_quiet:
                    wrong = difference(look(plant), wanted)
                    stood = 0 if wrong else stood + 1
                    if stood > STILL:
                        break
                # Longer and longer: back-offs grow, too.
                step = 1 if stood else flow.step
                plant.pass_minutes(step * (1 + tick // 20), step * (1 + tick // 20))
        except FlowError as exc:
            wrong = str(exc)
        if state:
            self._ends[flow.name, state] = wrong
        after = watch.happened[-1] if watch.happened else 0
        made = tuple(watch.made)
        return Outcome(flow.name, points, len(watch.happened), wrong, made, after, sealed or len(made), state, is_cut)

    def singles(self, flow: Flow) -> Iterator[Outcome]:
        """Every call of the flow, in every way that it can go wrong."""
        for point in self.undisturbed(flow).points():
            yield self.play(flow, point)

    def pairs(
        self, flow: Flow, firsts: Iterable[Outcome], is_wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[Outcome | int]:
        """After every first death each death that can follow: before and after every call that is made from then on.

        First deaths that leave the same state behind have the same future: what follows in it is played once for them all. How many are
        left out for that is yielded as a number.
        """
        seen: set[str] = set()
        for first in firsts:
            is_known = bool(first.state) and first.state in seen
            seen.add(first.state)
            seconds = second_deaths(first, is_known)
            chosen = [second for second in seconds if is_wanted()]
            kept: list[_Kept] = []
            if len(chosen) > FEW and not is_known:
                self.play(flow, *first.points, keep=kept)
            for second in chosen:
                yield self.play(flow, *first.points, second, to_the_end=False, begin=_before(second, first, kept))
            for one in kept:
                self.plant.forget(one.moment)
            yield len(second_deaths(first)) - len(seconds)

    @staticmethod
    def deaths_after(first: Outcome) -> list[Point]:
        """All deaths that can follow a first one."""
        return second_deaths(first)

    def _begin(self, flow: Flow, points: tuple[Point, ...]) -> Plant:
        self._put_back(flow.given)
        plant = self.plant
        plant.load(self._states[flow.given], etags=all(p.fault is not Fault.NO_ETAGS for p in points))
        plant.functions = flow.functions
        plant.watch.reset(points)
        for act in flow.when:
            act(plant)
        return plant

    def _go_back(self, begin: _Kept, points: tuple[Point, ...]) -> Plant:
        self.plant.go_back(begin.moment)
        self.plant.watch.go_on(begin.moment.seen, points)
        return self.plant

    def begin_at(self, name: str) -> Plant:
        """The plant in one of ``STATES``, with all functions."""
        self._put_back(name)
        self.plant.load(self._states[name])
        self.plant.watch.reset()
        return self.plant

    def _put_back(self, name: str) -> None:
        """The state of this name, reached from the one that it begins with."""
        if name in self._states:
            return
        before: Before = STATES[name]
        self._put_back(before.given)
        plant = self.plant
        plant.load(self._states[before.given])
        plant.watch.reset()
        plant.functions = before.functions
        for act in before.when:
            act(plant)
        if not before.until(plant):
            raise FlowError(f"the state {name!r} is not reached: {look(plant)}")
        self._states[name] = plant.save()


def second_deaths(first: Outcome, is_known: bool = False) -> list[Point]:
    """The deaths that can follow a first one; where its state is known, only those of the same minute."""
    end = first.sealed if is_known else len(first.made)
    return [p for p in points_of(first.made[first.after : end]) if p.fault.kills]


def _before(second: Point, first: Outcome, kept: list[_Kept]) -> _Kept | None:
    """The last moment that was kept before the call that a second death meets; None where it is met before the first of them."""
    at = next(i for i in range(first.after, len(first.made)) if first.made[i].call == second.call)
    return next((one for one in reversed(kept) if len(one.moment.seen.made) <= at), None)


def points_of(made: tuple[Made, ...]) -> list[Point]:
    """Every call once, with every fault that it can meet."""
    found: dict[Point, None] = {}
    for at, one in enumerate(made):
        is_last = at + 1 == len(made) or made[at + 1].delivery != one.delivery
        found |= dict.fromkeys(Point(one.call, fault) for fault in one.faults(is_last))
    return list(found)
